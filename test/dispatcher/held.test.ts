import t, { type Test } from 'tap'
import type { Verdict } from '../../dispatcher/review.js'
import { StoreUnavailableError } from '../../dispatcher/store/store.js'
import { WordList } from '../../dispatcher/words.js'
import type { Draft } from '../../protocol/comment.js'
import type { Decision } from '../../protocol/held.js'
import type { PostResult, TimedDraft } from '../../protocol/posts.js'
import { dispatcherNode, draft, Scene } from './cast.js'

const approve: Decision = { kind: 'approve' }
const refuse: Decision = { kind: 'refuse', reason: 'be kind' }

/** A dispatcher whose review says of each post what its content is: publish, hold, refuse. */
function reviewing(t: Test): Scene {
  return new Scene(t, {}, {}, undefined, ({ content }) => Promise.resolve({ kind: content } as Verdict))
}

const kindOf = (result: PostResult | undefined) => (result === undefined ? 'none' : 'error' in result ? result.error.code : 'held' in result ? 'held' : result.created ? 'created' : 'repeated')

async function post(scene: Scene, ...drafts: TimedDraft[]): Promise<string[]> {
  return (await scene.post(...drafts)).map(kindOf)
}

/** The comment is held. @returns its id among those that are */
async function hold(scene: Scene, one: Draft): Promise<string> {
  await scene.post(one)
  const { id } = (await scene.dispatcher.held(one.videoId)).at(-1)!
  return id
}

const decide = (scene: Scene, id: string, decision: Decision) => scene.dispatcher.decide('v', id, { actorId: 'mod', decision })

t.test('what the review says happens, before anything is stored; without a review nothing is looked for', async t => {
  const scene = reviewing(t)
  t.same(await post(scene, draft('v', 'publish'), draft('v', 'hold'), draft('v', 'refuse'), draft('v', 'unavailable')), ['created', 'held', 'REVIEW_REFUSED', 'REVIEW_UNAVAILABLE'])
  t.equal(scene.store.calls.append, 1, 'those of one answer share a commit')
  t.match(await scene.dispatcher.held('v'), [{ authorId: 'ann', content: 'hold', heldAt: scene.clock.wall() }])
  t.match((await scene.dispatcher.history('v', { cursor: undefined, direction: 'before', pageSize: 9 })).comments, [{ content: 'publish' }])
  for (const code of ['created', 'held', 'REVIEW_REFUSED', 'REVIEW_UNAVAILABLE']) t.equal(await scene.metric('posts_total', { code }), 1, code)
  const plain = new Scene(t)
  t.same(await post(plain, draft('v', 'hold')), ['created'])
  t.equal(plain.store.calls.held, 0)
})

t.test('moderators are not reviewed', async t => {
  t.same(await post(reviewing(t), { ...draft('v', 'refuse'), exempt: true }), ['created'])
})

t.test('a retry is told what became of it, whatever the review says by then', async t => {
  const scene = reviewing(t)
  const one = draft('v', 'hold')
  const id = await hold(scene, one)
  for (const kind of ['publish', 'hold', 'refuse', 'unavailable'] as const) {
    scene.verdict = () => Promise.resolve({ kind })
    t.same(await post(scene, one), ['held'], kind)
    t.same(await post(scene, { ...one, content: 'other' }), ['KEY_REUSED'], 'a key belongs to its content')
  }
  t.match(await decide(scene, id, approve), { id: Number })
  for (const kind of ['publish', 'hold', 'refuse', 'unavailable'] as const) {
    scene.verdict = () => Promise.resolve({ kind })
    t.same(await post(scene, one), ['repeated'], kind)
  }
  t.equal(scene.store.videos.get('v')!.length, 1)

  scene.verdict = ({ content }) => Promise.resolve({ kind: content } as Verdict)
  const other = draft('v', 'hold')
  t.same(await decide(scene, await hold(scene, other), refuse), { refused: true })
  for (const kind of ['publish', 'hold', 'refuse'] as const) {
    scene.verdict = () => Promise.resolve({ kind })
    t.match(await scene.post(other), [{ error: { code: 'REVIEW_REFUSED', message: 'be kind' } }], kind)
  }
  t.equal(scene.store.videos.get('v')!.length, 1)
})

t.test('an approved comment goes to its edges as any other, once, whoever approves it and however often', async t => {
  const scene = reviewing(t)
  scene.edge('e', 'v')
  const id = await hold(scene, draft('v', 'hold'))
  await scene.clock.advance(0)
  t.same(scene.batches('e'), [])
  const first = await decide(scene, id, approve)
  t.match(first, { id: Number })
  t.same(await Promise.all([decide(scene, id, approve), decide(scene, id, approve)]), [first, first])
  await scene.clock.advance(0)
  t.match(scene.batches('e').flatMap(({ comments }) => comments), [{ id: 'id' in first && first.id, json: /"content":"hold"/ }])
  t.match(await decide(scene, id, refuse), { error: { code: 'ALREADY_DECIDED' } })
  t.same(scene.audit.map(({ actor, type, heldId }) => [actor, type, heldId]), [['mod', 'approved', id]])
  t.notMatch(JSON.stringify(scene.audit), /"hold"/)
  t.same(await scene.dispatcher.held('v'), [])
})

t.test('a refused one is no comment, and cannot be approved', async t => {
  const scene = reviewing(t)
  const id = await hold(scene, draft('v', 'hold'))
  for (let i = 0; i < 2; i++) t.same(await decide(scene, id, refuse), { refused: true })
  t.match(scene.audit, [{ actor: 'mod', type: 'refused', videoId: 'v', heldId: id }])
  t.equal(scene.audit.length, 1)
  t.match(await decide(scene, id, approve), { error: { code: 'ALREADY_DECIDED' } })
  t.match(await decide(scene, '0'.repeat(32), approve), { error: { code: 'COMMENT_NOT_FOUND' } })
  t.same([scene.store.videos.get('v'), await scene.dispatcher.held('v')], [undefined, []])
})

t.test('a moderator\'s word goes before the rules and the state of the video', async t => {
  const scene = reviewing(t)
  const id = await hold(scene, draft('v', 'hold'))
  scene.rules.words = new WordList('hold')
  await scene.act({ videoId: 'v', key: 'k', actorId: 'mod', asModerator: true, act: { type: 'author-banned', authorId: 'ann', until: Number.MAX_SAFE_INTEGER } })
  t.match(await decide(scene, id, approve), { id: Number })
})

t.test('a store that is away is said, and the same decision goes through later', async t => {
  const scene = reviewing(t)
  const one = draft('v', 'hold')
  const id = await hold(scene, one)
  scene.store.before = call => {
    if (call !== 'held') throw new StoreUnavailableError('away')
  }
  t.match(await decide(scene, id, approve), { error: { code: 'STORE_UNAVAILABLE' } })
  t.match(await decide(scene, id, refuse), { error: { code: 'STORE_UNAVAILABLE' } })
  scene.store.before = () => {}
  t.match(await decide(scene, id, approve), { id: Number })
})

t.test('a verdict that comes when nobody waits any more stores nothing', async t => {
  const scene = reviewing(t)
  let answer = (_: Verdict): void => {}
  scene.verdict = () => new Promise(resolve => (answer = resolve))
  for (const kind of ['publish', 'hold'] as const) {
    const posted = post(scene, { ...draft('v'), leftMs: 1_000 })
    await scene.clock.advance(1_001)
    answer({ kind })
    t.same(await posted, ['UNAVAILABLE'])
  }
  t.same([scene.store.calls.append, await scene.dispatcher.held('v')], [0, []])
})

t.test('nothing is held while a dispatcher of a former version is there, which would not find it by its key', async t => {
  const scene = reviewing(t)
  scene.dispatchers('d')
  scene.view.apply({ kind: 'dispatcher', id: 'old', node: { ...dispatcherNode('old', 'draining'), entries: undefined } }, 0)
  t.same(await post(scene, draft('v', 'hold'), draft('v', 'publish')), ['UPGRADE_UNFINISHED', 'created'])
})

t.test('where the owner is slow and we store too, what is held beats a refusal, and a refusal is none while the owner may store', async t => {
  for (const [content, kind] of [['hold', 'held'], ['refuse', 'OUTCOME_UNKNOWN'], ['publish', 'created']] as const) {
    const scene = reviewing(t)
    scene.dispatchers('d', 'x')
    const posted = post(scene, draft(scene.theirs('v', 'd', 'x'), content))
    await scene.clock.advance(0)
    scene.sent[0]!.fail('timeout')
    await scene.clock.advance(0)
    t.same(await posted, [kind])
  }
})

t.test('who asks to be forgotten is, among the held ones too', async t => {
  const scene = reviewing(t)
  await hold(scene, draft('v', 'hold'))
  await hold(scene, draft('w', 'hold'))
  await scene.post(draft('v', 'publish'))
  let [erased, after] = [0, undefined as string | null | undefined]
  while (after !== null) {
    const part = await scene.dispatcher.eraseAuthor('ann', 'operator', after)
    erased += part.erased
    after = part.after
  }
  t.equal(erased, 3)
  t.same([await scene.dispatcher.held('v'), await scene.dispatcher.held('w')], [[], []])
})
