import t from 'tap'
import { StoreUnavailableError } from '../../dispatcher/store/store.js'
import { Chain } from '../../edge/chain.js'
import { DEFAULT_SETTINGS } from '../../protocol/entry.js'
import { LiveError } from '../../protocol/errors.js'
import { Random } from '../support/random.js'
import { draft, edgeNode } from './cast.js'
import { Clusters } from './clusters.js'

/** A home's answer that it cannot do it, as its gateway gives it. */
const cannot = () => Promise.reject(new LiveError('OVERLOADED', 'too many reads are waiting'))

const NOTHING = { requests: [], viewers: new Map<string, number>() }

/** What the posts became. */
const codes = (results: readonly object[]) => results.map(result => ('error' in result ? (result.error as { code: string }).code : 'stored'))

t.test('a post goes home, and is stored there alone', async t => {
  const { home, away } = new Clusters(t)
  const post = draft('v')
  t.match(await away.post(post), [{ created: true, comment: { videoId: 'v', content: 'hello' } }])
  t.match(await away.post(post), [{ created: false }], 'under its key')
  t.equal((await home.byHome.history('v', { cursor: undefined, direction: 'before', pageSize: 10 })).comments.length, 1)
  t.same(await away.store.lastIds(['v']), new Map([['v', 0]]), 'not here')
})

t.test('a post that was not sent is refused; of one without an answer nobody knows, until its key finds out', async t => {
  const { away, line } = new Clusters(t)
  line.failure = 'refused'
  t.same(codes(await away.post(draft('v'), draft('v'))), ['HOME_UNAVAILABLE', 'HOME_UNAVAILABLE'])
  for (const failure of ['lost', 'timeout'] as const) {
    line.failure = failure
    t.same(codes(await away.post(draft('v'))), ['OUTCOME_UNKNOWN'], failure)
  }
  line.failure = undefined
  line.isDeaf = true
  const post = draft('v')
  t.same(codes(await away.post(post)), ['OUTCOME_UNKNOWN'])
  line.isDeaf = false
  t.match(await away.post(post), [{ created: false }])
})

t.test('an act goes home too, and so does the question who wrote a comment', async t => {
  const { home, away, line } = new Clusters(t)
  const id = await home.id('v')
  t.equal(await away.byHome.authorOf({ videoId: 'v', id }), 'ann')
  const order = { videoId: 'v', key: 'k', actorId: 'mo', asModerator: true, act: { type: 'deleted' as const, target: id } }
  t.match(await away.act(order), { created: true })
  await t.rejects(away.byHome.authorOf({ videoId: 'v', id }), { code: 'COMMENT_NOT_FOUND' }, 'the home\'s own word')
  t.same(home.audit.map(({ type }) => type), ['deleted'])
  t.same(away.audit, [])
  line.failure = 'refused'
  t.match(await away.act(order), { error: { code: 'HOME_UNAVAILABLE' } })
  await t.rejects(away.byHome.held('v'), { code: 'HOME_UNAVAILABLE' })
})

t.test('what the home stores is pushed once to a cluster with viewers, and on to its edges', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  const first = await home.id('v')
  t.match(await clusters.sync(undefined), { head: first, comments: [] }, 'a room opens at the home\'s head')
  away.edge('f', 'v')
  const second = await home.id('v')
  await clusters.pass(100)
  t.equal(line.count('batch'), 1, 'one push for two edges')
  t.same(clusters.pushed, [second])
  t.same(away.batches('f').flatMap(({ comments }) => comments.map(({ prev, id }) => [prev, id])), [[first, second]])
})

t.test('a cluster that has no viewers of a video any more is not pushed to', async t => {
  const clusters = new Clusters(t)
  await clusters.sync(undefined)
  await clusters.pass(12_000)
  await clusters.home.id('v')
  await clusters.pass(100)
  t.notOk(clusters.line.routes.includes('batch'))
})

t.test('once the video is known here, an edge\'s sync costs the home nothing, for as long as it was compared lately', async t => {
  const clusters = new Clusters(t)
  const { home, line } = clusters
  await clusters.sync(undefined)
  const id = await home.id('v')
  await clusters.pass(2_000)
  const before = line.count('sync')
  t.match(await clusters.sync(0), { head: id, from: 'memory', comments: [{ id }] })
  t.equal(line.count('sync'), before)
  t.match(await clusters.sync(0, id + 7), { head: id, from: 'store' }, 'rule 4: an id above what is known asks the home')
  t.equal(line.count('sync'), before + 1)
})

t.test('a push that is lost comes by the next turn\'s sync, to every edge', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  await clusters.sync(undefined)
  await home.id('v')
  await clusters.pass(100)
  const id = await home.elsewhere('v') // nobody pushes it
  line.routes.length = 0
  await clusters.sync(clusters.pushed[0])
  await clusters.pass(5_000)
  t.ok(clusters.pushed.includes(id))
  t.notOk(line.routes.includes('batch'))
  t.equal(away.bugs.length, 0)
})

t.test('a video that nobody here held for a while is compared anew', async t => {
  const clusters = new Clusters(t)
  await clusters.sync(undefined)
  await clusters.pass(12_000)
  const id = await clusters.home.elsewhere('v')
  t.match(await clusters.sync(0), { head: id, from: 'store', comments: [{ id }] })
})

t.test('a hint of the home reaches the edges, and voids what was compared', async t => {
  const clusters = new Clusters(t)
  await clusters.sync(undefined)
  const id = await clusters.home.elsewhere('v')
  clusters.away.byHome.pushed('home', { comments: [], hints: [{ videoId: 'v', id }] })
  await clusters.away.clock.advance(0)
  t.match(clusters.away.batches('e'), [{ comments: [], hints: [{ videoId: 'v', id }] }])
  t.match(await clusters.sync(0), { head: id, comments: [{ id }] })
})

t.test('while the line is cut, viewing goes on with what is known, and the rest comes once it heals', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  const first = await home.id('v')
  await clusters.sync(undefined)
  const second = await home.id('v')
  await clusters.pass(100)
  t.same(clusters.pushed, [second])
  line.failure = 'timeout'
  const missed = [await home.id('v'), await home.id('v')]
  for (let i = 0; i < 6; i++) {
    await clusters.pass(2_000)
    t.match(await clusters.sync(first), { head: second, from: 'memory', comments: [{ id: second }] }, 'from memory, which never says that there is no more')
  }
  t.match(await clusters.sync(undefined), { head: second, from: 'memory' }, 'a new room opens there')
  t.match(await clusters.sync(first - 1), { head: second, from: 'memory', more: true, comments: [] }, 'so does one that begins before what is known')
  t.match(await away.byHome.replay({ videoId: 'v', after: first, until: second, limit: 10 }), { from: 'memory', comments: [{ id: second }] })
  await t.rejects(away.byHome.replay({ videoId: 'v', after: 0, until: second, limit: 10 }), { code: 'HOME_UNAVAILABLE' }, 'further back only the home knows')
  t.same(await away.byHome.sync(edgeNode('e'), [{ videoId: 'w', last: undefined, want: undefined }]), [], 'of another nothing is known: no answer, and no failure of ours')
  line.failure = undefined
  for (let i = 0; i < 8; i++) {
    await clusters.pass(2_000)
    await clusters.sync(second)
  }
  t.same([...new Set(clusters.pushed)], [second, ...missed])
  t.match(await clusters.sync(second), { head: missed[1], comments: missed.map(id => ({ id })) })
})

t.test('history is the home\'s; during a cut it is what is known, else refused', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  const query = { cursor: undefined, direction: 'before', pageSize: 2 } as const
  const ids = [await home.id('v'), await home.id('v')]
  await clusters.sync(undefined)
  for (let i = 0; i < 3; i++) ids.push(await home.id('v'))
  await clusters.pass(100)
  const idsOf = ({ comments }: { comments: readonly Record<string, unknown>[] }) => comments.map(({ id }) => Number(id))
  t.same(idsOf(await away.byHome.history('v', { ...query, pageSize: 10 })), ids.toReversed())
  line.failure = 'refused'
  const page = await away.byHome.history('v', query)
  t.same(idsOf(page), [ids[4], ids[3]])
  t.equal(page.nextCursor, String(ids[3]))
  const next = await away.byHome.history('v', { ...query, cursor: ids[3]! })
  t.same(idsOf(next), [ids[2]], 'where what is known ends')
  t.equal(next.nextCursor, String(ids[2]), 'the cursor leads on')
  await t.rejects(away.byHome.history('v', { ...query, cursor: ids[2]! }), { code: 'HOME_UNAVAILABLE' })
  await t.rejects(away.byHome.history('w', query), { code: 'HOME_UNAVAILABLE' })
  t.same(idsOf(await away.byHome.history('v', { cursor: ids[1]!, direction: 'after', pageSize: 10 })), ids.slice(2))
})

t.test('a deletion takes the text here as well: from memory, from what waits, and from the next answer', async t => {
  const clusters = new Clusters(t)
  const { home, away } = clusters
  await clusters.sync(undefined)
  const id = await home.id('v')
  await home.act({ videoId: 'v', key: 'k', actorId: 'mo', asModerator: true, act: { type: 'deleted', target: id } })
  await clusters.pass(2_000)
  const answer = await clusters.sync(0)
  t.equal(answer?.from, 'memory')
  t.match(answer?.comments.map(({ json }) => JSON.parse(json) as object), [{ deleted: true }, { type: 'deleted', target: String(id) }])
  t.notMatch(JSON.stringify(answer), 'hello')
  t.equal(away.bugs.length, 0)
})

t.test('how a video is set comes with a sync, also from memory', async t => {
  const clusters = new Clusters(t)
  const settings = { ...DEFAULT_SETTINGS, closed: true }
  await clusters.home.act({ videoId: 'v', key: 'k', actorId: 'mo', asModerator: true, act: { type: 'settings', settings } })
  t.match(await clusters.sync(undefined), { state: { settings } })
  t.match(await clusters.sync(undefined), { from: 'memory', state: { settings } })
  t.same(codes(await clusters.away.post(draft('v'))), ['COMMENTS_CLOSED'], 'and the home says what it forbids')
  clusters.line.failure = 'refused'
  t.match(await clusters.away.byHome.state('v'), { settings })
})

t.test('viewers are counted over all clusters', async t => {
  const clusters = new Clusters(t)
  const { home, away } = clusters
  home.edge('h', 'v')
  away.edge('e', 'v')
  away.edge('f', 'v')
  const others = async () => (await home.byHome.sync(edgeNode('h'), [{ videoId: 'v', last: undefined, want: undefined }]))[0]?.others
  t.equal(await others(), 0)
  t.equal((await clusters.sync(undefined))?.others, 20, 'ten on the other edge here, ten at home')
  t.equal((await clusters.sync(undefined))?.others, 20, 'from memory too')
  t.equal(await others(), 20, 'and twenty in the other cluster')
  t.equal((await clusters.sync(undefined, 9))?.others, 20, 'none counts twice')
  await clusters.pass(20_000)
  t.equal(await others(), 0, 'what is not said any more is forgotten')
})

t.test('a home whose store has gone back is believed', async t => {
  const clusters = new Clusters(t)
  const { home } = clusters
  await clusters.sync(undefined)
  const id = await home.id('v')
  await clusters.pass(2_000)
  t.match(await clusters.sync(id), { head: id, from: 'memory' })
  home.byHome.syncOfPeer = async () => [{ videoId: 'v', head: 0, others: 0, from: 'store', more: false, comments: [] }]
  await clusters.pass(4_000)
  t.match(await clusters.sync(id), { head: 0, from: 'store' })
})

t.test('a cluster answers for no video whose home it is not, and takes nothing of its own from another', async t => {
  const { home, away } = new Clusters(t)
  t.same(await away.byHome.syncOfPeer('home', { requests: [{ videoId: 'v', last: undefined, want: undefined }], viewers: new Map() }), [])
  home.edge('e', 'v')
  home.byHome.pushed('away', { comments: [{ videoId: 'v', prev: 0, id: 5, json: '{}' }], hints: [{ videoId: 'v', id: 9 }] })
  await home.clock.advance(100)
  t.same(home.sent, [])
  await t.rejects(away.byHome.syncOfPeer('nobody', NOTHING), { code: 'FORBIDDEN' })
  t.throws(() => away.byHome.pushed('nobody', { comments: [], hints: [] }), { code: 'FORBIDDEN' })
})

t.test('whatever the line and the pushes do, an edge of another cluster has every entry once and in order', async t => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = new Random(seed).next
    const clusters = new Clusters(t)
    const { home, away, line } = clusters
    const got: number[] = []
    const chain = new Chain('v', { opened: () => {}, appended: ({ id }) => got.push(id), restarted: () => t.fail(`seed ${seed}: it went back`) })
    let read = 0
    const step = async (loss: number) => {
      const request = chain.request(chain.open ? undefined : 0)
      const [answer] = await away.byHome.sync(edgeNode('e'), [request], true)
      if (answer) chain.answer(request, answer)
      for (const { comments, hints } of away.batches('e').slice(read)) {
        read++
        if (random() < loss) continue
        for (const comment of comments) chain.deliver(comment)
        for (const { id } of hints) chain.hint(id)
      }
    }
    await step(0)
    const actions: readonly (() => unknown)[] = [
      () => home.id('v'),
      () => home.elsewhere('v'),
      () => away.post(draft('v')),
      () => (line.failure = random() < 0.5 ? undefined : random() < 0.5 ? 'refused' : 'timeout'),
      () => (line.isDeaf = random() < 0.3),
      () => clusters.pass(random() < 0.8 ? 50 : 4_000),
      () => step(0.3),
      () => step(0.3),
    ]
    for (let i = 0; i < 60; i++) await actions[Math.floor(random() * actions.length)]!()
    line.failure = undefined
    line.isDeaf = false
    for (let i = 0; i < 8; i++) {
      await clusters.pass(2_000)
      await step(0)
    }
    const stored = await home.store.page('v', { after: 0, until: Number.MAX_SAFE_INTEGER, newestFirst: false, limit: 1_000 })
    const ids = stored.map(({ comment }) => comment.id)
    if (got.join() !== ids.join()) t.same(got, ids, `seed ${seed}`)
    if (away.bugs.length + home.bugs.length > 0) t.fail(`seed ${seed}: a bug`)
  }
})

t.test('comments that our own store has of a video at home elsewhere are noticed when somebody watches it', async t => {
  const clusters = new Clusters(t)
  const { away } = clusters
  await away.store.append([draft('v')], away.clock.wall())
  for (const videoId of ['v', 'w', 'v']) await away.byHome.sync(edgeNode('e'), [{ videoId, last: undefined, want: undefined }])
  await away.clock.advance(0)
  t.same(clusters.misplaced, ['v home'])
})

t.test('a store of ours that is away keeps no room of an away video from its answer', async t => {
  const clusters = new Clusters(t, new Map([['mine', 'away']]))
  const { away } = clusters
  const sync = (...videoIds: string[]) => away.byHome.sync(edgeNode('e'), videoIds.map(videoId => ({ videoId, last: undefined, want: undefined })))
  t.same((await sync('v', 'mine')).map(({ videoId }) => videoId).sort(), ['mine', 'v'])
  await away.clock.advance(60_000)
  away.store.lastIds = () => Promise.reject(new StoreUnavailableError('away'))
  t.same((await sync('v', 'mine')).map(({ videoId }) => videoId), ['v'])
  await t.rejects(sync('mine'), { code: 'STORE_UNAVAILABLE' })
})

t.test('posts of both kinds in one batch have each their result, in order', async t => {
  const { away, home } = new Clusters(t, new Map([['mine', 'away']]))
  const results = await away.post(draft('mine', 'one'), draft('v', 'two'), draft('mine', 'three'))
  t.match(results, [{ comment: { videoId: 'mine', content: 'one' } }, { comment: { videoId: 'v', content: 'two' } }, { comment: { videoId: 'mine', content: 'three' } }])
  t.same(await home.store.lastIds(['mine']), new Map([['mine', 0]]))
})

t.test('a home that cannot do something now has answered: the line stands', async t => {
  const clusters = new Clusters(t)
  const { home, away } = clusters
  await home.id('v')
  await clusters.sync(undefined)
  home.byHome.history = cannot
  await t.rejects(away.byHome.history('w', { cursor: undefined, direction: 'before', pageSize: 2 }), { code: 'HOME_UNAVAILABLE' })
  const id = await home.elsewhere('v')
  t.match(await clusters.sync(0, id), { head: id, from: 'store' }, 'a sync is asked at once')
  home.byHome.syncOfPeer = () => Promise.resolve([])
  t.match(await clusters.sync(0, id + 1), { head: id, from: 'memory' }, 'a room that the home does not answer is answered with what is known')
})

t.test('another rule of homes is noticed, also where calls never cease', async t => {
  const clusters = new Clusters(t)
  for (let i = 0; i < 20; i++) {
    await clusters.sync(undefined, i)
    await clusters.pass(1_000)
  }
  t.same(clusters.differing, [])
  clusters.ping = '{"cluster":"home","clusters":["home","other"],"defaultHome":null}'
  for (let i = 0; i < 35; i++) {
    await clusters.sync(undefined, i)
    await clusters.pass(1_000)
  }
  t.same([...new Set(clusters.differing)], [`home ${clusters.ping}`])
})

t.test('the line\'s state is measured', async t => {
  const clusters = new Clusters(t)
  const { away, line } = clusters
  const metric = async (name: string) => (await away.registry.getSingleMetric(`live_peer_${name}`)!.get()).values[0]?.value
  await clusters.sync(undefined)
  await clusters.pass(2_500)
  t.equal(await metric('up'), 1)
  t.ok((await metric('lag_seconds'))! < 3)
  line.failure = 'lost'
  await clusters.pass(4_500)
  t.equal(await metric('up'), 0)
  t.ok((await metric('silence_seconds'))! >= 4)
  await clusters.sync(undefined)
  t.ok((await metric('lag_seconds'))! >= 4)
})
