import t from 'tap'
import { Owners } from '../../dispatcher/owners.js'
import { StoreUnavailableError } from '../../dispatcher/store/store.js'
import { Synced } from '../../dispatcher/synced.js'
import { parsePosts, printResults } from '../../protocol/posts.js'
import { firstByRendezvous } from '../../registry/rendezvous.js'
import { FakeClock } from '../support/fake-clock.js'
import { dispatcherNode, draft, edgeNode, Scene } from './cast.js'

/** A video that `owner` owns among `ids`. */
function videoOf(owner: string, ...ids: string[]): string {
  for (let i = 0; ; i++) if (firstByRendezvous(`video${i}`, ids.map(id => ({ id })))?.id === owner) return `video${i}`
}

t.test('a comment goes to the edges that hold its video, and to no other', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v', 'w')
  scene.edge('f', 'v')
  scene.edge('g', 'w')
  const id = await scene.id('v')
  t.same(scene.sent.map(({ target, path }) => [target.id, path]), [['e', '/internal/batch'], ['f', '/internal/batch']])
  t.match(scene.batches('e'), [{ comments: [{ videoId: 'v', prev: 0, id }] }])
  for (const sent of scene.sent) sent.answer()
  await scene.clock.advance(0)
  t.equal(await scene.metric('comments_forwarded_total'), 2)
})

t.test('an edge whose sync was seen in the last 5 s gets its comments too, once', async t => {
  const scene = new Scene(t)
  scene.reply = sent => sent.answer()
  scene.edge('f', 'v')
  await scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: undefined, want: undefined }])
  await scene.dispatcher.sync(edgeNode('f'), [{ videoId: 'v', last: undefined, want: undefined }])
  await scene.clock.advance(4_999)
  await scene.id('v')
  t.same(scene.sent.map(({ target }) => target.id).sort(), ['e', 'f'])
  await scene.clock.advance(1)
  await scene.id('v')
  t.same(scene.sent.slice(2).map(({ target }) => target.id), ['f'])
})

t.test('all that synced in the last 5 s are remembered, up to a bound', async t => {
  const clock = new FakeClock()
  const synced = new Synced(clock, 20)
  await clock.advance(4_000)
  for (let i = 0; i < 5; i++) synced.saw(edgeNode(`e${i}`), ['v'])
  await clock.advance(1_500)
  for (let i = 5; i < 10; i++) synced.saw(edgeNode(`e${i}`), ['v'])
  t.equal(synced.edgesOf('v').length, 10)
  for (let i = 0; i < 100; i++) synced.saw(edgeNode(`f${i}`), ['v'])
  const kept = synced.edgesOf('v').length
  t.ok(kept >= 10 && kept <= 20, `${kept} of 110`)
  t.ok(synced.edgesOf('v').some(({ id }) => id === 'f99'))
  await clock.advance(5_000)
  t.same(synced.edgesOf('v'), [])
})

t.test('an edge that has restarted is another: a late sync of the former one takes no comment from it', async t => {
  const scene = new Scene(t)
  scene.reply = sent => sent.answer()
  for (const instance of ['e-2', 'e-1']) await scene.dispatcher.sync({ ...edgeNode('e'), instance }, [{ videoId: 'v', last: undefined, want: undefined }])
  await scene.id('v')
  t.same(scene.sent.map(({ target }) => target.instance).sort(), ['e-1', 'e-2'])
})

t.test('a refused connection is told to the view', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v')
  scene.view.apply({ kind: 'edge', id: 'e', node: undefined }, 0)
  t.equal(scene.view.subscriptionsOf('v').length, 1, 'it lingers')
  await scene.id('v')
  scene.sent[0]!.fail('lost')
  await scene.clock.advance(0)
  t.equal(scene.view.subscriptionsOf('v').length, 1, 'a lost one says nothing')
  await scene.clock.advance(50)
  scene.sent[1]!.fail('refused')
  await scene.clock.advance(0)
  t.equal(scene.view.subscriptionsOf('v').length, 0)
})

t.test('viewers on an edge at whose address nothing listens are not among those elsewhere', async t => {
  const scene = new Scene(t)
  for (const id of ['e', 'f', 'g']) scene.edge(id, 'v')
  const elsewhere = async (id: string) => (await scene.dispatcher.sync(edgeNode(id), [{ videoId: 'v', last: undefined, want: undefined }]))[0]!.others
  t.same([await elsewhere('e'), await elsewhere('f')], [20, 20])
  scene.reply = sent => (sent.target.id === 'e' ? sent.fail('refused') : sent.answer())
  await scene.id('v')
  await scene.clock.advance(0)
  t.same([await elsewhere('f'), await elsewhere('e')], [10, 20], 'and for e, should it be there, all others are')
})

t.test('a pipe whose edge has gone for good ends, and begins again when the edge is back', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v')
  await scene.id('v')
  scene.view.apply({ kind: 'edge', id: 'e', node: undefined }, 0)
  scene.sent[0]!.fail('refused')
  scene.reply = sent => sent.fail('refused')
  await scene.clock.advance(7_500)
  const tries = scene.sent.length
  t.ok(tries > 3, 'for some seconds it tries')
  await scene.clock.advance(2_000)
  t.equal(scene.sent.length, tries, 'and then no more')
  scene.edge('e', 'v')
  await scene.id('v')
  t.equal(scene.sent.length, tries + 1)
})

t.test('rule 2: what failed is tried for as long as its edge is in view or syncs', async t => {
  for (const inView of [true, false]) {
    const scene = new Scene(t)
    const sync = () => scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: undefined, want: undefined }])
    if (inView) scene.edge('e', 'v')
    else await sync()
    scene.reply = sent => sent.answer()
    await scene.id('v')
    await scene.clock.advance(4_000)
    if (!inView) await sync()
    await scene.clock.advance(2_000)
    scene.reply = sent => sent.fail('lost')
    const id = await scene.id('v')
    await scene.clock.advance(inView ? 20_000 : 100)
    scene.reply = sent => sent.answer()
    await scene.clock.advance(2_000)
    t.match(scene.batches('e').at(-1), { comments: [], hints: [{ videoId: 'v', id }] }, inView ? 'in view' : 'synced')
  }
})

t.test('a pipe that nobody used for a while is forgotten, one with a batch under way goes on', async t => {
  const scene = new Scene(t)
  scene.edge('idle', 'v')
  scene.edge('busy', 'w')
  const to = (id: string) => scene.sent.filter(({ target }) => target.id === id)
  await scene.clock.advance(1)
  await scene.id('v')
  await scene.id('w')
  to('idle')[0]!.answer()
  await scene.clock.advance(20_000)
  scene.edge('idle', 'v')
  await scene.id('v')
  t.equal(to('idle').length, 2)
  t.not(to('idle')[1]!.target, to('idle')[0]!.target, 'a new pipe, to the edge as it is now')
  await scene.id('w')
  t.equal(to('busy').length, 1, 'rule 2: one batch in flight')
})

t.test('a dispatcher that is closed sends nothing more, and leaves nothing that waits', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v')
  scene.edge('stuck', 'w')
  await scene.id('v')
  scene.sent[0]!.fail('lost')
  await scene.id('w')
  let drained = false
  void scene.dispatcher.drain(60_000).then(() => (drained = true))
  await scene.clock.advance(10)
  t.notOk(drained)
  scene.dispatcher.close()
  await scene.clock.advance(0)
  t.ok(drained)
  t.equal(scene.clock.pending, 0)
  t.equal(scene.sent.length, 2)
})

t.test('a post of another\'s video is passed on, once and marked, with the others of its owner', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const [mine, theirs] = [videoOf('d', 'd', 'x'), videoOf('x', 'd', 'x')]
  const drafts = [draft(theirs), draft(mine), draft(theirs)]
  const posted = scene.post(...drafts)
  t.match(scene.sent, [{ target: { id: 'x' }, path: '/internal/posts' }])
  t.same(parsePosts(scene.sent[0]!.body), { passedOn: true, entries: true, posts: [drafts[0], drafts[2]].map(post => ({ ...post!, leftMs: 1_500 })) })
  const comment = { id: 7, videoId: theirs, authorId: 'ann', content: 'hello', createdAt: 1 }
  scene.sent[0]!.answer(printResults([{ comment, created: true }, { error: { code: 'OVERLOADED', message: 'later' } }]))
  t.match(await posted, [{ comment: { id: 7 } }, { comment: { videoId: mine } }, { error: { code: 'OVERLOADED' } }])
  t.same([...scene.store.videos.keys()], [mine])
})

t.test('an owner that was replaced, by another or by itself, is called as it is now', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const theirs = videoOf('y', 'd', 'y')
  void scene.post(draft(videoOf('x', 'd', 'x')))
  scene.dispatchers('d', 'y')
  void scene.post(draft(theirs))
  scene.view.apply({ kind: 'dispatcher', id: 'y', node: { ...dispatcherNode('y'), instance: 'y-2' } }, 0)
  void scene.post(draft(theirs))
  await scene.clock.advance(0)
  t.same(scene.sent.filter(({ path }) => path === '/internal/posts').map(({ target }) => target.instance), ['x-1', 'y-1', 'y-2'])
})

t.test('who receives a marked post handles it, and sends the comment to the owner', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const theirs = videoOf('x', 'd', 'x')
  scene.edge('e', theirs)
  t.match(await scene.dispatcher.posts({ passedOn: true, posts: [draft(theirs)] }), [{ created: true }])
  t.same(scene.sent.map(({ target, path }) => [target.id, path]), [['e', '/internal/batch'], ['x', '/internal/batch']])
})

t.test('an owner that cannot be reached: the post is handled here, and it is left alone for a while', async t => {
  for (const failure of ['refused', 'timeout', 'lost', 'status'] as const) {
    const scene = new Scene(t)
    scene.dispatchers('d', 'x')
    const theirs = videoOf('x', 'd', 'x')
    scene.reply = sent => sent.fail(failure)
    const passedOn = () => scene.sent.filter(({ path }) => path === '/internal/posts').length
    t.match(await scene.post(draft(theirs)), [{ created: true }], failure)
    t.match(await scene.post(draft(theirs)), [{ created: true }])
    t.equal(passedOn(), 1)
    await scene.clock.advance(2_000)
    await scene.post(draft(theirs))
    await scene.post(draft(theirs))
    t.equal(passedOn(), 2)
  }
})

t.test('an owner that is frozen is overtaken here, and asked no more until it answers a ping', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const theirs = videoOf('x', 'd', 'x')
  scene.pings = (_, timeoutMs) => new Promise(resolve => scene.clock.after(timeoutMs, () => resolve('timeout')))
  const posted = scene.post(draft(theirs))
  await scene.clock.advance(600)
  t.match(await posted, [{ created: true }])
  t.match(await scene.post(draft(theirs)), [{ created: true }])
  t.equal(scene.sent.filter(({ path }) => path === '/internal/posts').length, 1)
})

t.test('what an owner may have stored, and we could not, is in doubt', async t => {
  for (const [failure, code] of [['lost', 'OUTCOME_UNKNOWN'], ['timeout', 'OUTCOME_UNKNOWN'], ['refused', 'STORE_UNAVAILABLE']] as const) {
    const scene = new Scene(t)
    scene.dispatchers('d', 'x')
    scene.store.before = () => Promise.reject(new StoreUnavailableError('away'))
    scene.reply = sent => sent.fail(failure)
    t.match(await scene.post(draft(videoOf('x', 'd', 'x'))), [{ error: { code } }], failure)
  }
  const full = new Scene(t, { maxQueueBytes: 1 })
  full.dispatchers('d', 'x')
  full.reply = sent => sent.fail('lost')
  const theirs = videoOf('x', 'd', 'x')
  t.match(await full.post(draft(theirs), draft(theirs, ' ')), [{ error: { code: 'OUTCOME_UNKNOWN' } }, { error: { code: 'BAD_COMMENT' } }], 'but not what nobody would store')
})

t.test('each post that is passed on has what time it has left, and no more', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  await scene.clock.advance(10_000)
  const theirs = videoOf('x', 'd', 'x')
  void scene.dispatcher.posts({ passedOn: false, posts: [{ ...draft(theirs), leftMs: 500 }, { ...draft(theirs), leftMs: 5_000 }] })
  t.same(parsePosts(scene.sent[0]!.body).posts.map(({ leftMs }) => leftMs), [500, 1_500])
  void scene.dispatcher.posts({ passedOn: false, posts: [{ ...draft(theirs), leftMs: 900 }] }, 400)
  t.same(parsePosts(scene.sent[1]!.body).posts.map(({ leftMs }) => leftMs), [500], 'less what it waited before it was read')
})

t.test('what nobody has stored in time is in doubt: the owner may store it yet, and so may we', async t => {
  for (const failure of ['lost', 'refused'] as const) {
    const scene = new Scene(t)
    scene.dispatchers('d', 'x')
    scene.store.before = () => new Promise(() => {})
    scene.reply = sent => sent.fail(failure)
    const posted = scene.post(draft(videoOf('x', 'd', 'x')))
    await scene.clock.advance(2_000)
    t.match(await posted, [{ error: { code: 'OUTCOME_UNKNOWN' } }], failure)
  }
})

t.test('what a slow owner refuses while we store it too is as we say', async t => {
  for (const [failure, expected] of [
    [undefined, { created: true }],
    [new StoreUnavailableError('its thread ended', { unknown: true }), { error: { code: 'OUTCOME_UNKNOWN' } }],
    [new StoreUnavailableError('away'), { error: { code: 'OVERLOADED' } }],
  ] as const) {
    const scene = new Scene(t)
    scene.dispatchers('d', 'x')
    scene.pings = (_, timeoutMs) => new Promise(resolve => scene.clock.after(timeoutMs, () => resolve('timeout')))
    let end = (): void => {}
    const held = new Promise<void>((resolve, reject) => (end = () => (failure ? reject(failure) : resolve())))
    scene.store.before = () => held
    const posted = scene.post(draft(videoOf('x', 'd', 'x')))
    await scene.clock.advance(600)
    scene.sent[0]!.answer(printResults([{ error: { code: 'OVERLOADED', message: 'too many' } }]))
    await scene.clock.advance(1)
    end()
    await scene.clock.advance(1)
    t.match(await posted, [expected])
  }
})

t.test('what an owner says is its word, refusals too', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  scene.reply = sent => sent.answer(printResults([{ error: { code: 'STORE_UNAVAILABLE', message: 'away' } }]))
  t.match(await scene.post(draft(videoOf('x', 'd', 'x'))), [{ error: { code: 'STORE_UNAVAILABLE' } }])
})

t.test('a dispatcher that speaks another wire version owns nothing, and while it is there nothing is settled', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d')
  await scene.id('v')
  await scene.clock.advance(20_000)
  await scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: undefined, want: undefined }])
  const reads = () => scene.store.calls.lastIds
  await scene.clock.advance(5_000)
  const settled = reads()
  await scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: undefined, want: undefined }])
  t.equal(reads(), settled, 'from memory')
  for (const state of ['up', 'draining'] as const) {
    scene.view.apply({ kind: 'dispatcher', id: 'x', node: { ...dispatcherNode('x', state), wire: 2 } }, 0)
    await scene.clock.advance(5_000)
    const before = reads()
    await scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: undefined, want: undefined }])
    t.equal(reads(), before + 1, 'the other version may have stored something')
    await scene.post(draft(videoOf('x', 'd', 'x')))
    t.notOk(scene.sent.some(({ target }) => target.id === 'x'))
  }
})

t.test('rule 5: to a dispatcher that has lost ZooKeeper nothing is settled', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d')
  await scene.id('v')
  await scene.clock.advance(15_000)
  const ask = () => scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: undefined, want: undefined }])
  await ask()
  const reads = scene.store.calls.lastIds
  await scene.clock.advance(2_000)
  await ask()
  t.equal(scene.store.calls.lastIds, reads, 'settled: from memory')
  scene.viewIsCurrent = false
  const id = await scene.elsewhere('v') // whoever owns it now
  await scene.clock.advance(2_000)
  t.match(await ask(), [{ from: 'store', head: id }])
})

t.test('what was both stored by the owner and handled here after a lost answer is one comment', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const post = draft(videoOf('x', 'd', 'x'))
  const posted = scene.post(post)
  await scene.store.append([post], scene.clock.wall()) // the owner did
  scene.sent[0]!.fail('lost')
  t.match(await posted, [{ created: false }])
  t.equal(scene.store.videos.get(post.videoId)!.length, 1)
})

t.test('who stops being owner sends the newest comment of its videos to the new owner', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d')
  const [kept, lost, quiet] = [videoOf('d', 'd', 'x'), videoOf('x', 'd', 'x'), 'quiet']
  await scene.id(kept)
  await scene.id(lost)
  const newest = await scene.id(lost)
  await scene.dispatcher.sync(edgeNode('e'), [{ videoId: quiet, last: undefined, want: undefined }])
  scene.dispatchers('d', 'x')
  t.match(scene.batches('x'), [{ comments: [{ videoId: lost, id: newest }], hints: [] }])
  scene.dispatcher.viewChanged()
  t.equal(scene.sent.length, 1, 'once')
})

t.test('where the dispatchers are the same as before, nobody is asked what to hand over', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const owners = new Owners(scene.view, scene.clock, 'd', () => true)
  t.equal(owners.refresh(), undefined, 'it owned nothing before')
  for (let i = 0; i < 3; i++) t.equal(owners.refresh(), undefined)
  scene.dispatchers('d', 'x', 'y')
  t.ok(owners.refresh())
  t.equal(owners.refresh(), undefined)
})

t.test('a dispatcher that drains hands all its videos over, to each its new owner', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x', 'y')
  const mine = Array.from({ length: 2_000 }, (_, i) => `video${i}`).filter(video => firstByRendezvous(video, ['d', 'x', 'y'].map(id => ({ id })))?.id === 'd')
  t.ok(mine.length > 500, 'more than a slice')
  await scene.dispatcher.posts({ passedOn: true, posts: mine.map(video => draft(video)) })
  scene.reply = sent => sent.answer()
  scene.view.apply({ kind: 'dispatcher', id: 'd', node: dispatcherNode('d', 'draining') }, 0)
  scene.dispatcher.viewChanged()
  await scene.clock.advance(100)
  for (const next of ['x', 'y']) {
    const got = scene.batches(next).flatMap(({ comments }) => comments.map(({ videoId }) => videoId))
    t.same(got.sort(), mine.filter(video => firstByRendezvous(video, ['x', 'y'].map(id => ({ id })))?.id === next).sort())
  }
})

t.test('a new owner that was handed a comment holds it, and extends its recent comments', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d')
  await scene.clock.advance(10_000)
  const first = await scene.elsewhere('v')
  scene.dispatcher.batch({ comments: [{ videoId: 'v', prev: 0, id: first, json: '{"id":"1"}' }], hints: [] })
  const second = await scene.id('v')
  const [answer] = await scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: 0, want: undefined }])
  t.match(answer, { from: 'memory' })
  t.same(answer!.comments.map(({ id }) => id), [first, second])
})

t.test('what was read from a store that another took the place of meanwhile is no answer', async t => {
  const scene = new Scene(t)
  await scene.elsewhere('v')
  const release = scene.holdAnswer('page')
  const page = scene.dispatcher.history('v', { direction: 'before', pageSize: 10, cursor: undefined })
  scene.store.generation = 'another'
  release()
  await t.rejects(page, { code: 'STORE_UNAVAILABLE' })
})

t.test('draining finishes what was accepted and flushes the pipes, for so long and no longer', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v')
  scene.edge('stuck', 'w')
  const posted = scene.post(draft('v'), draft('w'))
  let drained = false
  const draining = scene.dispatcher.drain(1_000).then(() => (drained = true))
  await scene.clock.advance(10)
  t.match(await posted, [{ created: true }, { created: true }])
  t.notOk(drained)
  scene.sent.find(({ target }) => target.id === 'e')!.answer()
  await scene.clock.advance(989)
  t.notOk(drained, 'an edge has not answered')
  await scene.clock.advance(1)
  await draining
  scene.sent.find(({ target }) => target.id === 'stuck')!.answer()
  await scene.dispatcher.drain(1_000)
})

t.test('draining ends with the last batch\'s answer, not before', async t => {
  const scene = new Scene(t)
  scene.edge('e', 'v')
  await scene.post(draft('v'))
  await scene.post(draft('v')) // waits for the first
  let drained = false
  void scene.dispatcher.drain(60_000).then(() => (drained = true))
  await scene.clock.advance(0)
  scene.sent[0]!.answer()
  await scene.clock.advance(0)
  t.notOk(drained)
  scene.sent[1]!.answer()
  await scene.clock.advance(0)
  t.ok(drained)
})

t.test('draining waits for the posts that another dispatcher stores', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d', 'x')
  const posted = scene.post(draft(videoOf('x', 'd', 'x')))
  let drained = false
  void scene.dispatcher.drain(60_000).then(() => (drained = true))
  await scene.clock.advance(10)
  t.notOk(drained)
  scene.sent[0]!.answer(printResults([{ error: { code: 'OVERLOADED', message: 'later' } }]))
  t.match(await posted, [{ error: { code: 'OVERLOADED' } }])
  await scene.clock.advance(0)
  t.ok(drained)
})

t.test('draining does not wait for an edge that is gone', async t => {
  for (const when of ['before', 'meanwhile']) {
    const scene = new Scene(t)
    scene.edge('gone', 'v')
    await scene.post(draft('v'))
    if (when === 'before') scene.sent[0]!.fail('refused')
    let drained = false
    void scene.dispatcher.drain(3_000).then(() => (drained = true))
    await scene.clock.advance(10)
    if (when === 'meanwhile') scene.sent[0]!.fail('refused')
    await scene.clock.advance(0)
    t.ok(drained, when)
  }
})
