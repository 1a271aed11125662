import t from 'tap'
import type { Draft } from '../../protocol/comment.js'
import { StoreUnavailableError } from '../../dispatcher/store/store.js'
import { draft, Scene } from './cast.js'

/** Holds every append up until it is released. */
function holdAppends(scene: Scene): { release: () => void } {
  const held = { release: () => {} }
  scene.store.before = call => (call === 'append' ? new Promise(resolve => (held.release = resolve)) : undefined)
  return held
}

t.test('a post is answered with its comment', async t => {
  const scene = new Scene(t)
  const results = await scene.post(draft('v', '  hello  '), draft('w'))
  t.match(results, [{ created: true, comment: { videoId: 'v', content: 'hello', authorId: 'ann', createdAt: scene.clock.wall() } }, { created: true }])
  t.equal(await scene.metric('comments_stored_total'), 2)
})

t.test('a moderator\'s comment says so, and nobody else can have theirs say it', async t => {
  const scene = new Scene(t)
  const results = await scene.post({ ...draft('v'), exempt: true }, { ...draft('v'), by: 'moderator' } as Draft)
  t.same(results.map(result => 'comment' in result && result.comment.by), ['moderator', undefined])
})

t.test('each bad post is refused by name, the others of its batch are stored', async t => {
  const scene = new Scene(t)
  const results = await scene.post(draft('no/id'), draft('v', ' '), draft('v', 'x', { key: 'a b' }), draft('v', 'x', { authorId: '' }), draft('v', 'x', { authorName: 'a\nb' }), draft('v'))
  t.same(results.map(result => ('error' in result ? result.error.code : 'created')), ['BAD_VIDEO_ID', 'BAD_COMMENT', 'BAD_IDEMPOTENCY_KEY', 'BAD_COMMENT', 'BAD_COMMENT', 'created'])
  t.equal(scene.store.calls.append, 1)
  t.equal(await scene.metric('posts_total', { code: 'BAD_COMMENT' }), 3)
})

t.test('all that arrived while the last commit ran goes in the next one', async t => {
  const scene = new Scene(t)
  await scene.post(draft('v'), draft('w')) // from now on it is known who may post
  const before = scene.store.calls.append
  const held = holdAppends(scene)
  const posts = [scene.post(draft('v'))]
  for (let i = 0; i < 30; i++) posts.push(scene.post(draft('v'), draft('w')))
  t.equal(scene.store.calls.append, before + 1)
  held.release()
  await scene.clock.advance(0)
  t.equal(scene.store.calls.append, before + 2)
  held.release()
  t.equal((await Promise.all(posts)).flat().length, 61)
  t.equal(scene.store.calls.append, before + 2)
})

t.test('a very large group is split', async t => {
  const scene = new Scene(t)
  await scene.post(...Array.from({ length: 1_201 }, () => draft('v')))
  t.equal(scene.store.calls.append, 3)
})

t.test('rule 1: nothing is acknowledged or forwarded before it is stored', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v')
  const held = holdAppends(scene)
  let answered = false
  const posted = scene.post(draft('v')).then(() => (answered = true))
  await scene.clock.advance(1_000)
  t.notOk(answered)
  t.equal(scene.sent.length, 0)
  held.release()
  await posted
  t.equal(scene.sent.length, 1)
})

t.test('beyond its bytes the queue refuses at once, and takes again when there is room', async t => {
  const scene = new Scene(t, { maxQueueBytes: 4 * 400 })
  const post = () => scene.post(draft('v', 'x'.repeat(100))) // 400 bytes
  const held = holdAppends(scene)
  const taken = [post(), post(), post(), post()]
  t.match(await post(), [{ error: { code: 'OVERLOADED' } }], 'while the others still wait')
  held.release()
  await scene.clock.advance(0)
  held.release()
  t.ok((await Promise.all(taken)).flat().every(result => 'comment' in result))
  scene.store.before = () => {}
  t.match(await post(), [{ created: true }])
})

t.test('a repeated key is answered with its first comment and leaves only a hint', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v')
  scene.reply = sent => sent.answer()
  const post = draft('v')
  const [first] = await scene.post(post)
  const [again] = await scene.post(post)
  t.match(again, { created: false, comment: (first as { comment: object }).comment })
  await scene.clock.advance(0)
  const [, hint] = scene.batches('e')
  t.match(hint, { comments: [], hints: [{ videoId: 'v', id: (first as { comment: { id: number } }).comment.id }] })
  t.match(await scene.post({ ...post, content: 'other' }), [{ error: { code: 'KEY_REUSED' } }])
})

t.test('so is one that the rules would refuse by now', async t => {
  const scene = new Scene(t, {}, { maxLength: 3 })
  scene.edge('e', 'v')
  const post = draft('v')
  await scene.store.append([post], scene.clock.wall()) // before the rule was set, and not forwarded
  const id = scene.store.videos.get('v')![0]!.comment.id
  t.match(await scene.post(post), [{ created: false, comment: { id } }])
  t.match(scene.batches('e'), [{ comments: [], hints: [{ videoId: 'v', id }] }])
})

t.test('while the store is away posts are refused, what waits with them, and nothing is forwarded', async t => {
  const scene = new Scene(t)
  await scene.post(draft('v'), draft('w')) // from now on it is known who may post
  const before = scene.store.calls.append
  scene.edge('e', 'v')
  let fail = (): void => {}
  scene.store.before = () => new Promise((_, reject) => (fail = () => reject(new StoreUnavailableError('SQLITE_FULL'))))
  const posts = [scene.post(draft('v')), scene.post(draft('v'), draft('w'))]
  fail()
  for (const result of (await Promise.all(posts)).flat()) t.match(result, { error: { code: 'STORE_UNAVAILABLE' } })
  t.equal(scene.store.calls.append, before + 1)
  t.equal(scene.sent.length, 0)
  scene.store.before = () => {}
  t.match(await scene.post(draft('v')), [{ created: true }], 'and taken again when it is back')
})

t.test('a post that alone cannot be stored is refused alone: those beside it and behind it are stored', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v', 'bad')
  scene.store.damaged = videoId => (videoId === 'bad' ? 'SQLITE_CORRUPT' : undefined)
  const held = holdAppends(scene)
  const posts = [scene.post(draft('v')), scene.post(draft('bad'), draft('v'), draft('w'), draft('bad')), scene.post(draft('w'))]
  for (let i = 0; i < 2; i++) {
    await scene.clock.advance(0)
    held.release()
  }
  const codes = (await Promise.all(posts)).flat().map(result => ('error' in result ? result.error.code : 'created'))
  t.same(codes, ['created', 'STORE_UNAVAILABLE', 'created', 'created', 'STORE_UNAVAILABLE', 'created'])
  t.equal(await scene.metric('posts_total', { code: 'STORE_UNAVAILABLE' }), 2)
  t.equal(await scene.metric('accept_queue_bytes'), 0)
  t.same(scene.bugs, [])
})

t.test('what waits behind a commit whose outcome is unknown was not stored, and is told so', async t => {
  const scene = new Scene(t)
  let fail = (): void => {}
  scene.store.committed = () => new Promise((_, reject) => (fail = () => reject(new StoreUnavailableError('its thread ended', { unknown: true }))))
  const first = scene.post(draft('v'))
  await scene.clock.advance(0)
  const behind = scene.post(draft('v'))
  fail()
  t.match(await first, [{ error: { code: 'OUTCOME_UNKNOWN' } }])
  t.match(await behind, [{ error: { code: 'STORE_UNAVAILABLE' } }])
  t.equal(scene.store.videos.get('v')!.length, 1)
})

t.test('a commit whose outcome is unknown is not acknowledged; the same key finds out', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v')
  const post = draft('v')
  scene.store.committed = () => Promise.reject(new StoreUnavailableError('its thread ended', { unknown: true }))
  t.match(await scene.post(post), [{ error: { code: 'OUTCOME_UNKNOWN' } }])
  t.equal(scene.sent.length, 0)
  scene.store.committed = () => {}
  t.match(await scene.post(post), [{ created: false }])
  t.equal(scene.store.videos.get('v')!.length, 1)
})

t.test('an error of the store that is a bug is told, and answered', async t => {
  const scene = new Scene(t)
  scene.store.before = () => Promise.reject(new TypeError('bug'))
  t.match(await scene.post(draft('v')), [{ error: { code: 'INTERNAL' } }])
  t.match(scene.bugs, [TypeError])
})

t.test('a post whose time has passed while it waited is refused, and never stored', async t => {
  const scene = new Scene(t)
  let release = () => {}
  scene.store.before = () => new Promise(resolve => (release = resolve))
  const first = scene.post(draft('v', 'first'))
  await scene.clock.advance(0)
  const second = scene.dispatcher.posts({ passedOn: false, posts: [{ ...draft('v', 'late'), leftMs: 500 }, { ...draft('v', 'in time'), leftMs: 5_000 }] })
  await scene.clock.advance(1_000)
  scene.store.before = () => {}
  release()
  t.match(await first, [{ created: true }])
  t.match(await second, [{ error: { code: 'UNAVAILABLE' } }, { created: true }])
  t.same(scene.store.videos.get('v')!.map(({ comment }) => comment.content), ['first', 'in time'])
  t.equal(await scene.metric('accept_queue_bytes'), 0)
})

t.test('a store that stood still makes no comment that nobody waits for', async t => {
  const scene = new Scene(t)
  scene.store.before = call => (call === 'append' ? new Promise<void>(resolve => scene.clock.after(3_000, resolve)) : undefined)
  const posted = scene.dispatcher.posts({ passedOn: false, posts: [{ ...draft('v'), leftMs: 2_000 }] })
  await scene.clock.advance(3_000)
  t.match(await posted, [{ error: { code: 'UNAVAILABLE' } }])
  t.equal(scene.store.videos.size, 0)
})

t.test('what a batch waited in its socket while this process did not run comes off its posts\' time', async t => {
  const scene = new Scene(t)
  await scene.clock.freeze(30_000)
  t.ok(scene.dispatcher.lostMs() > 29_000)
  t.match(await scene.dispatcher.posts({ passedOn: false, posts: [{ ...draft('v'), leftMs: 3_000 }] }, scene.dispatcher.lostMs()), [{ error: { code: 'UNAVAILABLE' } }])
  t.equal(scene.store.videos.size, 0)
})

t.test('where the store writes several videos at a time, a commit that hangs holds up its own video alone', async t => {
  const scene = new Scene(t, {}, {}, { appends: 2, reads: 1 })
  const releases = new Map<string, () => void>()
  const append = scene.store.append.bind(scene.store)
  const appended: string[][] = []
  scene.store.append = async (drafts, nowMs) => {
    appended.push(drafts.map(({ content }) => content))
    const { videoId } = drafts[0]!
    if (videoId === 'slow') await new Promise<void>(resolve => releases.set(videoId, resolve))
    return append(drafts, nowMs)
  }
  const slow = scene.post(draft('slow', 's1'))
  const behind = scene.post(draft('slow', 's2'), draft('slow', 's3'))
  t.match(await scene.post(draft('v', 'v1'), draft('w', 'w1')), [{ created: true }, { created: true }])
  t.match(await scene.post(draft('v', 'v2')), [{ created: true }])
  t.same(appended, [['s1'], ['v1'], ['w1'], ['v2']], 'a video has one commit at a time, and two videos do')
  releases.get('slow')!()
  await slow
  releases.get('slow')!()
  t.match(await behind, [{ created: true }, { created: true }])
  t.same(appended.at(-1), ['s2', 's3'])
  await scene.dispatcher.drain(1_000)
})

t.test('one outcome a draft: what is unknown is said of that post alone, and its video is compared anew', async t => {
  const scene = new Scene(t, {}, {}, { appends: 4, reads: 1 })
  const [first] = await scene.post(draft('v'), draft('w'))
  t.ok(first && 'comment' in first)
  const append = scene.store.append.bind(scene.store)
  scene.store.append = async (drafts, nowMs) => {
    const outcomes = await append(drafts, nowMs)
    return outcomes.map((outcome, i) => (drafts[i]!.content === 'lost' ? { kind: 'unknown' as const, reason: 'no answer in time' } : outcome))
  }
  const lost = draft('v', 'lost')
  t.match(await scene.post(lost, draft('v', 'kept'), draft('w', 'kept')), [{ error: { code: 'OUTCOME_UNKNOWN', message: /no answer in time/ } }, { created: true }, { created: true }])
  const before = scene.store.calls.page
  const page = await scene.dispatcher.history('v', { cursor: undefined, direction: 'before', pageSize: 10 })
  t.equal(page.comments.length, 3, 'what was stored all the same is found')
  t.equal(scene.store.calls.page, before + 1, 'in the store')
  t.equal((await scene.dispatcher.history('w', { cursor: undefined, direction: 'before', pageSize: 10 })).comments.length, 2)
  t.equal(scene.store.calls.page, before + 1, 'the other video\'s memory is as good as before')
  scene.store.append = append
  t.match(await scene.post(lost), [{ created: false }])
})

t.test('when it is certain what became of a post, its edges are told of the newest id', async t => {
  const scene = new Scene(t)
  scene.reply = sent => sent.answer()
  scene.edge('e', 'v')
  const id = await scene.elsewhere('v')
  scene.dispatcher.settled('v', id)
  await scene.clock.advance(0)
  t.match(scene.batches('e').at(-1)?.hints, [{ videoId: 'v', id }])
  const sent = scene.sent.length
  scene.dispatcher.settled('v', 0)
  await scene.clock.advance(0)
  t.equal(scene.sent.length, sent, 'there is no such id')
})
