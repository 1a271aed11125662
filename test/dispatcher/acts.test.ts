import t from 'tap'
import { StoreUnavailableError } from '../../dispatcher/store/store.js'
import type { AuditRecord } from '../../dispatcher/acts.js'
import { parseActRequest, printActResult, type ActResult } from '../../protocol/acts.js'
import { DEFAULT_SETTINGS, readEntry, type Act, type ActOrder } from '../../protocol/entry.js'
import type { PostResult } from '../../protocol/posts.js'
import { dispatcherNode, draft, edgeNode, Scene } from './cast.js'

let keys = 0
const order = (videoId: string, act: Act, more: Partial<ActOrder> = {}): ActOrder => ({ videoId, key: `act-${keys++}`, actorId: 'mod', asModerator: true, act, ...more })

/** An act that was done. */
async function act(scene: Scene, videoId: string, act: Act): Promise<number> {
  return idOf(await scene.act(order(videoId, act)))
}

function idOf(result: ActResult): number {
  if ('error' in result) throw new Error(result.error.code)
  return result.entryId
}

const codesOf = (results: readonly PostResult[]) => results.map(result => ('error' in result ? result.error.code : 'created'))
const settings = (some: Partial<typeof DEFAULT_SETTINGS>): Act => ({ type: 'settings', settings: { ...DEFAULT_SETTINGS, ...some } })
const newest = { cursor: undefined, direction: 'before', pageSize: 50 } as const
const edge = { id: 'e', instance: 'e-1', internalUrl: 'http://e' }

t.test('a deleted comment is a tombstone in history, replays and syncs, and history has no acts', async t => {
  const scene = new Scene(t)
  const [first, target, last] = [await scene.id('v'), await scene.id('v'), await scene.id('v')]
  for (const from of ['memory', 'store'] as const) {
    if (from === 'memory') await act(scene, 'v', { type: 'deleted', target })
    else await scene.clock.advance(60_000)
    const { comments } = await scene.dispatcher.history('v', newest)
    t.match(comments, [{ id: String(last), content: 'hello' }, { id: String(target), videoId: 'v', deleted: true }, { id: String(first) }], from)
    t.notMatch(JSON.stringify(comments[1]), /hello|ann/)
    const replay = await scene.dispatcher.replay({ videoId: 'v', after: 0, until: last, limit: 10 })
    t.same(replay.comments.map(({ json }) => readEntry('v', json).kind), ['comment', 'tombstone', 'comment'])
    const [answer] = await scene.dispatcher.sync(edge, [{ videoId: 'v', last: first, want: undefined }])
    t.same(answer!.comments.map(({ json }) => readEntry('v', json).kind), ['tombstone', 'comment', 'act'])
  }
  t.equal(scene.store.videos.get('v')![1]!.comment.content, '', 'nothing is left in the store')
})

t.test('an act is answered when the text has left the store, and the same key or another deletion finishes it', async t => {
  const scene = new Scene(t)
  const target = await scene.id('v')
  const deletion = order('v', { type: 'deleted', target })
  scene.store.before = call => {
    if (call === 'erase') throw new StoreUnavailableError('SQLITE_BUSY')
  }
  t.match(await scene.act(deletion), { error: { code: 'OUTCOME_UNKNOWN' } })
  t.match((await scene.dispatcher.history('v', newest)).comments, [{ deleted: true }], 'nobody reads it meanwhile')
  t.equal(scene.store.videos.get('v')![0]!.comment.content, 'hello', 'but it is there')
  scene.store.before = () => {}
  const again = await scene.act(deletion)
  t.match(again, { created: false })
  t.equal(scene.store.videos.get('v')![0]!.comment.content, '')
  t.same(await scene.act(order('v', { type: 'deleted', target })), again, 'another deletion is answered as the first')
  t.equal(scene.store.videos.get('v')!.length, 2)
})

t.test('what a dispatcher that died has not erased is erased by whoever reads the state next', async t => {
  const scene = new Scene(t)
  const target = await scene.elsewhere('v')
  await scene.store.append([{ ...draft('v', '', { authorId: 'mod' }), act: { type: 'deleted', target } }], scene.clock.wall())
  scene.store.before = call => {
    if (call === 'erase') throw new StoreUnavailableError('SQLITE_BUSY')
  }
  for (const content of ['hello', '']) {
    t.equal(scene.store.videos.get('v')![0]!.comment.content, content)
    t.match(await scene.post(draft('v')), [{ created: true }])
    await scene.clock.advance(2_000)
    scene.store.before = () => {}
    if (content === 'hello') await scene.post(draft('v'))
  }
})

t.test('an act goes to the edges that hold the video and to every dispatcher, behind the tombstone of what still waits', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x', 'y')
  scene.edge('e', 'v')
  const videoId = scene.mine('v', 'd', 'x', 'y')
  scene.edge('f', videoId)
  await scene.id(videoId) // under way from now on
  const target = await scene.id(videoId)
  const id = await act(scene, videoId, { type: 'deleted', target })
  for (const other of ['x', 'y']) t.same(scene.batches(other).flatMap(({ comments }) => comments.map(comment => comment.id)), [id], `${other} may have the text in memory`)
  for (const sent of scene.sent.splice(0)) sent.answer()
  await scene.clock.advance(0)
  const toEdge = scene.batches('f').flatMap(({ comments }) => comments)
  t.same(toEdge.map(comment => [comment.id, readEntry(videoId, comment.json).kind]), [[target, 'tombstone'], [id, 'act']])
  t.same(scene.batches('e'), [])
})

t.test('what another dispatcher deletes leaves memory with the push, and without one within a second', async t => {
  const scene = new Scene(t)
  const [first, target, last] = [await scene.id('v'), await scene.id('v'), await scene.id('v')]
  const [outcome] = await scene.store.append([{ ...draft('v', '', { authorId: 'mod' }), act: { type: 'deleted', target } }], scene.clock.wall())
  if (outcome?.kind !== 'created') throw new Error('not stored')
  const older = async ({ dispatcher }: Scene) => (await dispatcher.history('v', { ...newest, cursor: last })).comments
  const replayed = async ({ dispatcher }: Scene) => (await dispatcher.replay({ videoId: 'v', after: 0, until: last, limit: 10 })).comments.map(({ json }) => readEntry('v', json).kind)
  t.match(await older(scene), [{ id: String(target), content: 'hello' }, { id: String(first) }], 'compared a moment ago')
  await scene.clock.advance(1_001)
  t.same(await replayed(scene), ['comment', 'tombstone', 'comment'], 'after a second it is compared again')
  t.match(await older(scene), [{ id: String(target), deleted: true }, { id: String(first), content: 'hello' }])

  const other = new Scene(t)
  const push = (id: number, prev: number, json: string) => other.dispatcher.batch({ comments: [{ videoId: 'v', prev, id, json }], hints: [] })
  const ids = [0, first, target, last]
  for (let i = 1; i < 4; i++) push(ids[i]!, ids[i - 1]!, JSON.stringify({ id: String(ids[i]), authorId: 'ann', content: 'hello', createdAt: 1 }))
  push(outcome.comment.id, last, `{"id":"${outcome.comment.id}","type":"deleted","target":"${target}"}`)
  other.store.before = () => Promise.reject(new StoreUnavailableError('away')) // memory alone
  t.match(await older(other), [{ id: String(target), deleted: true }, { id: String(first), content: 'hello' }])
  t.same(await replayed(other), ['comment', 'tombstone', 'comment'])
})

t.test('an act that comes again is news to every memory: whoever did it may have told nobody', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const videoId = scene.mine('v', 'd', 'x')
  await scene.clock.advance(10_001)
  const [first, target, last] = [await scene.id(videoId), await scene.id(videoId), await scene.id(videoId)]
  const deletion = order(videoId, { type: 'deleted', target })
  const [outcome] = await scene.store.append([{ videoId, authorId: deletion.actorId, content: '', key: deletion.key, act: deletion.act }], scene.clock.wall())
  if (outcome?.kind !== 'created') throw new Error('not stored')
  await scene.clock.advance(1_001)
  const older = async () => (await scene.dispatcher.history(videoId, { ...newest, cursor: last })).comments
  t.match(await older(), [{ id: String(target), content: 'hello' }, { id: String(first) }], 'its owner may answer from memory for half a minute')
  t.match(await scene.act(deletion), { entryId: outcome.comment.id, created: false })
  t.match(await older(), [{ id: String(target), deleted: true }, { id: String(first), content: 'hello' }])
  await scene.clock.advance(0)
  t.same(scene.batches('x').flatMap(({ hints }) => hints), [{ videoId, id: outcome.comment.id }])
})

t.test('an act is passed on to the owner, and done here where the owner does not answer', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const videoId = scene.theirs('v', 'd', 'x')
  const asked = order(videoId, settings({ closed: true }))
  const done = scene.act(asked)
  await scene.clock.advance(0)
  const [sent] = scene.sent
  t.match(sent, { path: '/internal/acts', target: { id: 'x' } })
  t.same(parseActRequest(sent!.body).order, asked)
  t.equal(parseActRequest(sent!.body).passedOn, true)
  sent!.answer(printActResult({ entryId: 7, created: true }))
  t.same(await done, { entryId: 7, created: true })
  t.equal(scene.store.calls.append, 0)
  const other = scene.act(order(videoId, settings({ closed: true })))
  await scene.clock.advance(0)
  scene.sent[1]!.fail('refused')
  t.match(await other, { created: true })
})

t.test('an act has what time its caller waits, less what it waited itself, and no more; so has one that is passed on', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  await scene.clock.advance(10_000)
  const [mine, theirs] = [scene.mine('v', 'd', 'x'), scene.theirs('v', 'd', 'x')]
  const wanted = (videoId: string, leftMs: number, lostMs: number) => scene.dispatcher.act({ passedOn: false, order: order(videoId, settings({ closed: true })), leftMs }, lostMs)
  t.match(await wanted(mine, 500, 500), { error: { code: 'UNAVAILABLE' } })
  t.match(await wanted(mine, 500, 499), { created: true })
  scene.sent.splice(0)
  for (const [leftMs, lostMs] of [[900, 400], [5_000, 0]] as const) void wanted(theirs, leftMs, lostMs)
  await scene.clock.advance(0)
  t.same(scene.sent.filter(({ path }) => path === '/internal/acts').map(({ body }) => parseActRequest(body).leftMs), [500, 1_500])
})

t.test('what an owner may have done, and we could not, is unknown; what it has not been sent is not', async t => {
  for (const [failure, code] of [['lost', 'OUTCOME_UNKNOWN'], ['timeout', 'OUTCOME_UNKNOWN'], ['refused', 'STORE_UNAVAILABLE']] as const) {
    for (const call of ['append', 'madeBy'] as const) {
      const scene = new Scene(t)
      scene.dispatchers('d', 'x')
      const videoId = scene.theirs('v', 'd', 'x')
      const target = await scene.elsewhere(videoId)
      scene.store.before = each => {
        if (each === call) throw new StoreUnavailableError('away')
      }
      scene.reply = sent => sent.fail(failure)
      t.match(await scene.act(order(videoId, { type: 'deleted', target }, { actorId: 'ann', asModerator: false })), { error: { code } }, `${failure}, ${call}`)
    }
  }
})

t.test('what a slow owner refuses while we act too is as we say', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const videoId = scene.theirs('v', 'd', 'x')
  scene.pings = (_, timeoutMs) => new Promise(resolve => scene.clock.after(timeoutMs, () => resolve('timeout')))
  let end = (): void => {}
  const held = new Promise<void>(resolve => (end = resolve))
  scene.store.before = () => held
  const done = scene.act(order(videoId, settings({ closed: true })))
  await scene.clock.advance(600)
  scene.sent[0]!.answer(printActResult({ error: { code: 'STORE_UNAVAILABLE', message: 'away' } }))
  await scene.clock.advance(1)
  end()
  t.match(await done, { created: true })
})

t.test('who may do what', async t => {
  const scene = new Scene(t)
  const own = await scene.id('v')
  const deletion = (more: Partial<ActOrder>) => scene.act(order('v', { type: 'deleted', target: own }, { asModerator: false, ...more }))
  t.match(await deletion({ actorId: 'bob' }), { error: { code: 'FORBIDDEN' } })
  t.match(await deletion({ actorId: 'anonymous' }), { error: { code: 'FORBIDDEN' } })
  for (const each of [settings({}), { type: 'pinned', target: own }, { type: 'author-banned', authorId: 'bob', until: 1 }] as const) {
    t.match(await scene.act(order('v', each, { actorId: 'ann', asModerator: false })), { error: { code: 'FORBIDDEN' } }, each.type)
  }
  t.equal(await scene.dispatcher.authorOf({ videoId: 'v', id: own }), 'ann')
  const first = await deletion({ actorId: 'ann', key: 'k' })
  t.match(first, { created: true })
  t.match(await deletion({ actorId: 'ann', key: 'k' }), { entryId: idOf(first), created: false }, 'the same again')
  t.match(await deletion({ actorId: 'ann' }), { error: { code: 'COMMENT_NOT_FOUND' } })
  await t.rejects(scene.dispatcher.authorOf({ videoId: 'v', id: own }), { code: 'COMMENT_NOT_FOUND', status: 404 })
  for (const target of [1, idOf(first)]) {
    for (const asModerator of [true, false]) t.match(await scene.act(order('v', { type: 'deleted', target }, { actorId: 'ann', asModerator })), { error: { code: 'COMMENT_NOT_FOUND' } })
    await t.rejects(scene.dispatcher.authorOf({ videoId: 'v', id: target }), { code: 'COMMENT_NOT_FOUND' })
  }
  t.match(await scene.act(order('v', { type: 'author-banned', authorId: 'mod', until: 1 })), { error: { code: 'BAD_ACT' } })
  t.match(await scene.act(order('no/id', settings({}))), { error: { code: 'BAD_VIDEO_ID' } })
})

t.test('an author\'s deletion that another dispatcher does between our looks for it and for its comment is answered as done', async t => {
  const scene = new Scene(t)
  const target = await scene.id('v')
  const deletion = order('v', { type: 'deleted', target }, { actorId: 'ann', asModerator: false })
  scene.store.before = async call => {
    if (call !== 'page') return
    scene.store.before = () => {}
    await scene.store.append([{ ...draft('v', '', { authorId: 'ann', key: deletion.key }), act: deletion.act }], scene.clock.wall())
    await scene.store.erase('v', target)
  }
  t.match(await scene.act(deletion), { created: false })
  t.match(await scene.act({ ...deletion, key: 'another' }), { error: { code: 'COMMENT_NOT_FOUND' } })
})

t.test('acts are refused while a node of a former version is there', async t => {
  const scene = new Scene(t)
  const target = await scene.id('v')
  const former = { ...edgeNode('old'), entries: undefined }
  scene.view.apply({ kind: 'edge', id: 'old', node: former }, 0)
  t.match(await scene.act(order('v', { type: 'deleted', target })), { error: { code: 'UPGRADE_UNFINISHED' } })
  scene.view.apply({ kind: 'edge', id: 'old', node: { ...former, entries: true } }, 0)
  scene.view.apply({ kind: 'dispatcher', id: 'x', node: { ...dispatcherNode('x'), entries: undefined } }, 0)
  t.match(await scene.act(order('v', { type: 'deleted', target })), { error: { code: 'UPGRADE_UNFINISHED' } })
  t.equal(scene.store.videos.get('v')!.length, 1)
})

t.test('each act stands in the audit log, and no comment does', async t => {
  const scene = new Scene(t)
  const target = await scene.id('v')
  const pinned = await act(scene, 'v', { type: 'pinned', target })
  await act(scene, 'v', { type: 'author-banned', authorId: 'eve', until: 5 })
  const deletion = order('v', { type: 'deleted', target }, { actorId: 'ann', asModerator: false })
  for (let i = 0; i < 2; i++) await scene.act(deletion)
  await act(scene, 'v', { type: 'pinned', target: undefined })
  await act(scene, 'v', { type: 'settings', settings: { ...DEFAULT_SETTINGS, closed: true } })
  const records: AuditRecord[] = scene.audit
  t.match(records, [
    { actor: 'mod', asModerator: true, videoId: 'v', type: 'pinned', entryId: String(pinned), target: String(target) },
    { type: 'author-banned', authorId: 'eve', until: 5 },
    { actor: 'ann', asModerator: false, type: 'deleted', target: String(target) },
    { type: 'pinned' },
    { type: 'settings', settings: { ...DEFAULT_SETTINGS, closed: true } },
  ])
  t.equal(records.length, 5, 'once')
  t.notOk('target' in records[3]!)
  t.notMatch(JSON.stringify(records), /hello/)
  t.match(await scene.registry.metrics(), /live_acts_total\{type="deleted"\} 1/)
})

t.test('the state of a video is what its acts have come to, and comes with a sync', async t => {
  const scene = new Scene(t)
  const target = await scene.id('v')
  const state = async (withStates = true) => (await scene.dispatcher.sync(edge, [{ videoId: 'v', last: target, want: undefined }], withStates))[0]!.state
  t.same(await state(), { settings: DEFAULT_SETTINGS, pinned: undefined, bans: new Map() })
  t.equal(await state(false), undefined)
  await act(scene, 'v', settings({ slowModeSeconds: 7 }))
  await act(scene, 'v', { type: 'pinned', target })
  const reads = scene.store.calls.state
  t.match(await state(), { settings: { slowModeSeconds: 7 }, pinned: { id: target, content: 'hello' } })
  t.equal(scene.store.calls.state, reads, 'what was stored here is known')
  await act(scene, 'v', { type: 'deleted', target })
  t.match(await state(), { settings: { slowModeSeconds: 7 }, pinned: undefined })
  t.notMatch(JSON.stringify(await scene.dispatcher.sync(edge, [{ videoId: 'v', last: 0, want: undefined }])), /hello/, 'nor in the pin')
  await scene.store.append([{ ...draft('v', '', { authorId: 'mod' }), act: settings({ closed: true }) }], scene.clock.wall())
  await scene.clock.advance(1_001)
  t.match(await state(), { settings: { closed: true } }, 'what another dispatcher stored is read')
})

t.test('a post that the state of its video forbids is refused, a moderator\'s is not', async t => {
  const scene = new Scene(t)
  const tries = async (more: object = {}) => codesOf(await scene.dispatcher.posts({ passedOn: false, posts: [{ ...draft('v'), ...more }] }))[0]
  t.equal(await tries(), 'created')
  const kept = draft('v')
  await scene.post(kept)
  await act(scene, 'v', settings({ signedInOnly: true }))
  t.equal(await tries(), 'SIGN_IN_REQUIRED')
  t.equal(await tries({ signedIn: true }), 'created')
  await act(scene, 'v', { type: 'author-banned', authorId: 'ann', until: scene.clock.wall() + 60_000 })
  t.equal(await tries({ signedIn: true }), 'BANNED')
  t.equal(await tries({ authorId: 'bob', signedIn: true }), 'created')
  await act(scene, 'v', settings({ closed: true }))
  t.equal(await tries({ authorId: 'bob', signedIn: true }), 'COMMENTS_CLOSED')
  t.equal(await tries({ exempt: true }), 'created')
  t.match(await scene.post(kept), [{ created: false }], 'what a key has made is answered all the same')
  await act(scene, 'v', settings({}))
  t.equal(await tries(), 'BANNED')
  await scene.clock.advance(60_000)
  t.equal(await tries(), 'created', 'until it is over')
  await act(scene, 'v', { type: 'author-banned', authorId: 'ann', until: scene.clock.wall() + 60_000 })
  await act(scene, 'v', { type: 'author-banned', authorId: 'ann', until: 0 })
  t.equal(await tries(), 'created', 'or is lifted')
  t.equal(await scene.metric('accept_queue_bytes'), 0)
})

t.test('slow mode says how long to wait, whoever stored the author\'s last comment', async t => {
  const scene = new Scene(t)
  await act(scene, 'v', settings({ slowModeSeconds: 30 }))
  const tries = async (more: object = {}) => (await scene.dispatcher.posts({ passedOn: false, posts: [{ ...draft('v'), ...more }] }))[0]!
  t.match(await tries(), { created: true })
  await scene.clock.advance(4_500)
  t.match(await tries(), { error: { code: 'SLOW_MODE', retryAfterSeconds: 26, message: /26 s/ } })
  t.match(await tries({ exempt: true }), { created: true })
  t.match(await tries({ authorId: 'bob' }), { created: true })
  for (let i = 0; i < 2; i++) t.match(await tries({ authorId: 'anonymous' }), { created: true }, 'nobody knows whether they have one author')
  await scene.clock.advance(30_000)
  await scene.store.append([draft('v')], scene.clock.wall()) // by another dispatcher
  await scene.clock.advance(29_999)
  t.match(await tries(), { error: { code: 'SLOW_MODE', retryAfterSeconds: 1 } })
  await scene.clock.advance(1)
  const both = await scene.post(draft('v'), draft('v'))
  t.match(both, [{ created: true }, { error: { code: 'SLOW_MODE', retryAfterSeconds: 30 } }], 'also of two at once')
  t.equal(await scene.metric('accept_queue_bytes'), 0)
})

t.test('a video whose state cannot be read takes no posts, and others do', async t => {
  const scene = new Scene(t)
  scene.store.damaged = videoId => (videoId === 'bad' ? 'SQLITE_CORRUPT' : undefined)
  t.same(codesOf(await scene.post(draft('bad'), draft('v'))), ['STORE_UNAVAILABLE', 'created'])
})

t.test('all comments of an author are deleted, page by page, and again from where it failed', async t => {
  const scene = new Scene(t)
  for (let i = 0; i < 5; i++) await scene.post(draft('v'), draft('w', 'fine', { authorId: 'bob' }), draft('w'))
  scene.store.before = () => {}
  let after: string | undefined
  let erased = 0
  let failed = false
  for (let calls = 0; calls < 50; calls++) {
    scene.store.before = call => {
      if (call !== 'append' || failed || erased < 3) return
      failed = true
      throw new StoreUnavailableError('SQLITE_FULL')
    }
    try {
      const part = await scene.dispatcher.eraseAuthor('ann', 'operator', after)
      erased += part.erased
      if (part.after === null) break
      after = part.after
    } catch (error) {
      t.match(error, { code: 'STORE_UNAVAILABLE' })
    }
  }
  t.ok(failed)
  t.ok(erased >= 10)
  const left = [...scene.store.videos.values()].flat()
  t.equal(left.filter(({ comment }) => comment.authorId === 'ann').length, 0)
  t.equal(left.filter(({ comment }) => comment.authorId === 'bob').length, 5)
  t.equal(left.filter(({ act }) => act).length, 10)
})
