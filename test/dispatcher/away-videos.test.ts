import t from 'tap'
import { toWire } from '../../dispatcher/store/store.js'
import { parseActRequest } from '../../protocol/acts.js'
import { DEFAULT_SETTINGS, readEntry } from '../../protocol/entry.js'
import { LiveError } from '../../protocol/errors.js'
import { parsePeerSync, printAnswers, type RoomAnswer, type WireComment } from '../../protocol/wire.js'
import { Homes } from '../../registry/homes.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import { draft, edgeNode, Scene } from './cast.js'
import { Clusters } from './clusters.js'

const opening = (videoId: string) => ({ videoId, last: undefined, want: undefined })
const deletion = (target: number) => ({ videoId: 'v', key: `delete-${target}`, actorId: 'mo', asModerator: true, act: { type: 'deleted' as const, target } })
const idsOf = ({ comments }: { comments: readonly Record<string, unknown>[] }) => comments.map(({ id }) => Number(id))
const kindsOf = ({ comments }: { comments: readonly WireComment[] }) => comments.map(({ json }) => readEntry('v', json).kind)

/** Deletes a comment where it is at home. @returns the act, as it is sent */
async function deleted(home: Scene, target: number): Promise<WireComment> {
  const result = await home.act(deletion(target))
  if (!('entryId' in result)) throw new Error('not deleted')
  const page = await home.store.page('v', { after: result.entryId - 1, until: result.entryId, newestFirst: false, limit: 1 })
  return toWire(page[0]!)
}

t.test('a room that has all that is known is not told that there is more', async t => {
  const clusters = new Clusters(t)
  t.match(await clusters.sync(undefined), { head: 0, more: false })
  t.match(await clusters.sync(0), { from: 'memory', comments: [], more: false }, 'at the end')
  const id = await clusters.home.id('v')
  await clusters.pass(100)
  t.match(await clusters.sync(0), { from: 'memory', comments: [{ id }], more: false }, 'from where memory begins')
})

t.test('all rooms of one sync are answered, and caught up together', async t => {
  const clusters = new Clusters(t)
  const { home, away } = clusters
  const answers = await away.byHome.sync(edgeNode('e'), [opening('v'), opening('w')])
  t.same(answers.map(({ videoId }) => videoId).sort(), ['v', 'w'])
  const ids = [await home.elsewhere('v'), await home.elsewhere('w')]
  await clusters.pass(1_600)
  t.same(clusters.pushed.sort(), ids.sort())
})

t.test('what one answer does not hold is asked for in the same turn, and no more than that', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  await clusters.sync(undefined)
  const outcomes = await home.store.append(Array.from({ length: 1_200 }, () => draft('v')), home.clock.wall())
  await clusters.pass(1_600)
  t.same(clusters.pushed, outcomes.map(outcome => outcome.kind === 'created' && outcome.comment.id))
  t.equal(line.count('sync'), 4, 'the room\'s, and one for each 500 comments')
  t.equal(away.bugs.length, 0)
})

t.test('a turn asks of a thousand videos at a time, until it has asked of all', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  const videoIds = Array.from({ length: 1_500 }, (_, i) => `v${i}`)
  for (const from of [0, 1_000]) await away.byHome.sync(edgeNode('e'), videoIds.slice(from, from + 1_000).map(opening))
  const ids = [await home.elsewhere('v0'), await home.elsewhere('v1499')]
  await clusters.pass(1_600)
  t.same(clusters.pushed.sort(), ids.sort())
  t.equal(line.count('sync'), 4)
})

t.test('a home is asked once a turn, and not again for what was just compared', async t => {
  const clusters = new Clusters(t)
  const { line } = clusters
  await clusters.sync(undefined)
  await clusters.pass(3_100)
  t.equal(line.count('sync'), 3)
  await clusters.pass(1_300)
  await clusters.sync(undefined, 9)
  await clusters.pass(200)
  t.equal(line.count('sync'), 4)
})

t.test('a turn that takes long is not joined by the next', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  await clusters.sync(undefined)
  await home.store.append(Array.from({ length: 1_200 }, () => draft('v')), home.clock.wall())
  const answer = home.byHome.syncOfPeer.bind(home.byHome)
  home.byHome.syncOfPeer = async (...asked) => {
    await new Promise<void>(resolve => void away.clock.after(700, resolve))
    return answer(...asked)
  }
  await clusters.pass(4_400)
  t.equal(line.count('sync'), 4)
  t.equal(clusters.pushed.length, 1_200)
})

t.test('a video that is held for long is compared each turn all the same', async t => {
  const clusters = new Clusters(t)
  for (let i = 0; i < 8; i++) {
    await clusters.sync(undefined)
    await clusters.pass(2_000)
  }
  const id = await clusters.home.elsewhere('v')
  await clusters.pass(1_600)
  t.same(clusters.pushed, [id])
})

t.test('what a sync brings stays in memory; nothing that was there before the video was known is pushed', async t => {
  const clusters = new Clusters(t)
  const { home, away } = clusters
  const ids = [await home.elsewhere('v'), await home.elsewhere('v')]
  t.match(await clusters.sync(0), { from: 'store', comments: ids.map(id => ({ id })) })
  t.match(await clusters.sync(0), { from: 'memory', comments: ids.map(id => ({ id })) })
  await away.clock.advance(0)
  t.same(clusters.pushed, [])
})

t.test('the highest id that anybody has named is asked of the home', async t => {
  const clusters = new Clusters(t)
  const { away, line } = clusters
  const wanted = () => parsePeerSync(line.bodies.get('sync')!).requests.map(({ want }) => want)
  await clusters.sync(undefined)
  away.byHome.pushed('home', { comments: [], hints: [{ videoId: 'v', id: 10 }] })
  await clusters.sync(undefined, 5)
  t.same(wanted(), [10], 'the home has hinted at it')
  await clusters.sync(undefined, 15)
  t.same(wanted(), [15], 'an edge knows of it')
})

t.test('a replay is answered from memory where that was compared lately and reaches, else by the home', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  const replay = (after: number, until: number, limit: number): Promise<RoomAnswer> => away.byHome.replay({ videoId: 'v', after, until, limit })
  const old = await home.elsewhere('v')
  t.match(await replay(0, old, 10), { from: 'store', comments: [{ id: old }] }, 'nothing is known of the video')
  await clusters.sync(undefined)
  const ids = [await home.id('v'), await home.id('v')]
  await clusters.pass(100)
  t.match(await replay(old, ids[1]!, 2), { from: 'memory', more: false, comments: ids.map(id => ({ id })) })
  t.match(await replay(old, ids[1]!, 1), { from: 'memory', more: true, comments: [{ id: ids[1] }] })
  t.match(await replay(0, ids[1]!, 2), { from: 'store', more: true, comments: ids.map(id => ({ id })) }, 'what lies before memory counts too')
  const id = await home.elsewhere('v')
  t.match(await replay(ids[1]!, id, 10), { from: 'store', comments: [{ id }] }, 'rule 4')
  await clusters.pass(12_000)
  const asked = line.count('replay')
  await replay(old, ids[1]!, 2)
  t.equal(line.count('replay'), asked + 1, 'rule 5')
  line.failure = 'refused'
  t.match(await replay(old, ids[1]!, 2), { from: 'memory', comments: ids.map(each => ({ id: each })) })
  await t.rejects(replay(ids[1]!, id + 1, 10), { code: 'HOME_UNAVAILABLE' })
  await t.rejects(away.byHome.replay({ videoId: 'w', after: 0, until: 5, limit: 10 }), { code: 'HOME_UNAVAILABLE' })
})

t.test('an answer for another video is none', async t => {
  const { home, away } = new Clusters(t)
  home.byHome.replay = async () => ({ videoId: 'w', head: 5, others: 0, from: 'store', more: false, comments: [] })
  await t.rejects(away.byHome.replay({ videoId: 'v', after: 0, until: 5, limit: 10 }), { code: 'HOME_UNAVAILABLE' })
})

t.test('what another dispatcher tells of a video counts: an act takes the text from memory, a hint voids what was compared', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  await clusters.sync(undefined)
  const target = await home.id('v')
  await clusters.pass(100)
  line.failure = 'refused'
  const act = await deleted(home, target)
  away.byHome.batch({ comments: [act], hints: [] })
  const answer = await clusters.sync(0)
  t.equal(answer?.from, 'memory')
  t.same(kindsOf(answer!), ['tombstone', 'act'])
  line.failure = undefined
  const id = await home.elsewhere('v')
  away.byHome.batch({ comments: [], hints: [{ videoId: 'v', id }] })
  t.match(await clusters.sync(act.id), { head: id, from: 'store' })
})

t.test('an act that another dispatcher tells of takes the text from what waits for edges', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  away.reply = undefined
  await clusters.sync(undefined)
  await home.id('v')
  await clusters.pass(100)
  const target = await home.id('v')
  await clusters.pass(100)
  line.failure = 'refused'
  away.byHome.batch({ comments: [await deleted(home, target)], hints: [] })
  for (const sent of away.sent) sent.answer()
  await away.clock.advance(100)
  t.same(away.batches('e').flatMap(batch => kindsOf(batch)), ['comment', 'tombstone'])
})

t.test('pages of history are the home\'s, from where they are asked for; so is how a video is set', async t => {
  const { home, away } = new Clusters(t)
  const ids = [await home.id('v'), await home.id('v'), await home.id('v')]
  const query = { cursor: ids[2]!, direction: 'before', pageSize: 10 } as const
  t.same(idsOf(await away.byHome.history('v', query)), [ids[1], ids[0]])
  t.same(idsOf(await away.byHome.history('v', { ...query, cursor: undefined })), ids.toReversed())
  const settings = { ...DEFAULT_SETTINGS, closed: true }
  await home.act({ videoId: 'v', key: 'k', actorId: 'mo', asModerator: true, act: { type: 'settings', settings } })
  t.match(await away.byHome.state('v'), { settings })
})

t.test('what the home says of a request itself stands, also where the video is known here', async t => {
  const clusters = new Clusters(t)
  const { home, away } = clusters
  await clusters.sync(undefined)
  await home.id('v')
  await clusters.pass(100)
  home.byHome.history = () => Promise.reject(new LiveError('BAD_REQUEST', 'not so'))
  await t.rejects(away.byHome.history('v', { cursor: undefined, direction: 'before', pageSize: 2 }), { code: 'BAD_REQUEST' })
})

t.test('what a change has waited is taken from the time that the home has', async t => {
  const { home, away, line } = new Clusters(t)
  const id = await home.id('v')
  await away.byHome.act({ passedOn: false, order: deletion(id), leftMs: 2_000 }, 500)
  t.equal(parseActRequest(line.bodies.get('acts')!).leftMs, 1_500)
})

t.test('a video that nobody holds any more leaves nothing behind: neither its viewers elsewhere, nor that its entries were misplaced', async t => {
  const clusters = new Clusters(t)
  const { home, away, line } = clusters
  home.edge('h', 'v')
  await away.store.append([draft('v')], away.clock.wall())
  t.equal((await clusters.sync(undefined))?.others, 10)
  await clusters.sync(undefined)
  await away.clock.advance(0)
  t.same(clusters.misplaced, ['v home'], 'told once while it is held')
  line.failure = 'refused'
  await clusters.pass(12_000)
  t.equal((await clusters.sync(undefined))?.others, 0)
  await away.clock.advance(0)
  t.same(clusters.misplaced, ['v home', 'v home'])
})

t.test('a cluster that does not answer holds up no video of another, and its lag is its own', async t => {
  const homes = new Homes('away', [{ name: 'east', urls: ['http://east'] }, { name: 'west', urls: ['http://west'] }], 'east', new Map(['known', 'unknown'].map(videoId => [videoId, 'west'])))
  let isCut = false
  const scene: Scene = new Scene(t, {}, {}, undefined, undefined, {
    homes,
    client: {
      call: async (url, { path, body = '' }) => {
        if (isCut && url === 'http://west') throw new PeerError('timeout', 'timeout')
        return Buffer.from(path.endsWith('sync') ? printAnswers(parsePeerSync(Buffer.from(body)).requests.map(({ videoId }) => ({ videoId, head: 7, others: 0, from: 'store', more: false, comments: [] }))) : '')
      },
    },
  })
  const answered = async (...videoIds: string[]) => (await scene.byHome.sync(edgeNode('e'), videoIds.map(opening))).map(({ videoId }) => videoId).sort()
  t.same(await answered('known', 'v'), ['known', 'v'])
  isCut = true
  for (let i = 0; i < 4; i++) {
    t.same(await answered('unknown', 'known', 'v'), ['known', 'v'])
    await scene.clock.advance(2_000)
  }
  const { values } = await scene.registry.getSingleMetric('live_peer_lag_seconds')!.get()
  const { east, west } = Object.fromEntries(values.map(({ labels, value }) => [labels['peer'], value])) as { east: number; west: number }
  t.ok(east < 3, `${east}`)
  t.ok(west >= 8, `${west}`)
})

t.test('a video with news that cannot be fetched lags since the home\'s last answer', async t => {
  const clusters = new Clusters(t)
  const { away, line } = clusters
  await clusters.sync(undefined)
  line.failure = 'refused'
  away.byHome.pushed('home', { comments: [], hints: [{ videoId: 'v', id: 5 }] })
  await clusters.pass(3_000)
  const lag = (await away.registry.getSingleMetric('live_peer_lag_seconds')!.get()).values[0]?.value
  t.equal(lag, 3)
})

t.test('a dispatcher that has ended calls no other cluster', async t => {
  const clusters = new Clusters(t)
  const { away, line } = clusters
  await clusters.sync(undefined)
  line.failure = 'lost'
  await clusters.pass(3_000)
  away.byHome.close()
  line.routes.length = 0
  await away.clock.advance(60_000)
  t.same(line.routes, [])
})
