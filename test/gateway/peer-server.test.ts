import { Registry } from 'prom-client'
import type { Test } from 'tap'
import t from 'tap'
import { routePeers } from '../../gateway/peer-server.js'
import { parseActResult, printActRequest } from '../../protocol/acts.js'
import { parseDecisionResult, parseHeld, printDecision } from '../../protocol/held.js'
import { parseResults, printPosts } from '../../protocol/posts.js'
import { PEER_HEADER } from '../../protocol/wire.js'
import { Homes } from '../../registry/homes.js'
import { json } from '../../runtime/http/reply.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { internalServer } from '../../runtime/peers/internal-server.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway } from '../support/gateway.js'

const [INTERNAL, PEER] = ['internal-token-of-ours', 'peer-token-of-all-clusters']
const BOTH = new Map([['there', 'east'], ['here', 'west']])

/** Cluster west's gateway, whose dispatcher answers as the test says, and how cluster east calls it. */
function stage(t: Test, { token = PEER, from = 'east', viewLoaded = () => true }: { token?: string; from?: string; viewLoaded?: () => boolean } = {}) {
  const dispatcher = fakeDispatcher(t, 'd')
  const { gateway } = runGateway(t, { dispatchers: [dispatcher.node] })
  const server = internalServer({ token: INTERNAL, peerToken: PEER, metrics: new Registry(), identity: { id: 'g', instance: 'g-1', version: '0' }, notReady: () => undefined, onBug: error => { throw error } })
  routePeers(server, { gateway, homes: new Homes('west', [{ name: 'east', urls: ['http://east'] }], undefined, BOTH), viewLoaded })
  const port = server.listen('127.0.0.1', 0)
  t.after(() => server.close())
  const client = new InternalClient(token, { proof: 'none' })
  t.after(() => client.close())
  const call = (route: string, body?: string) => client.call(`http://127.0.0.1:${port}`, { method: body === undefined ? 'GET' : 'POST', path: `/internal/peer/${route}`, ...(body === undefined ? {} : { body }), headers: from === '' ? {} : { [PEER_HEADER]: from }, timeoutMs: 4_000 })
  const status = (route: string, body?: string) => call(route, body).then(() => 200, (error: unknown) => (error as PeerError).status)
  return { dispatcher, gateway, call, status, client, url: `http://127.0.0.1:${port}` }
}

const posts = (...videoIds: string[]) => printPosts({ passedOn: false, entries: true, posts: videoIds.map((videoId, i) => ({ videoId, authorId: 'ann', content: 'hello', key: `k${i}`, leftMs: 2_000, signedIn: true })) })

t.test('only a cluster of PEERS that has PEER_TOKEN is answered, and that token opens nothing else', async t => {
  t.same(JSON.parse(String(await stage(t).call('ping'))), { cluster: 'west', clusters: ['east', 'west'], defaultHome: null })
  t.equal(await stage(t, { token: INTERNAL }).status('ping'), 401)
  t.equal(await stage(t, { from: 'south' }).status('ping'), 403)
  t.equal(await stage(t, { from: '' }).status('posts', posts('here')), 403)
  const { client, url } = stage(t)
  for (const path of ['/metrics', '/internal/ping']) t.equal(await client.call(url, { method: 'GET', path, timeoutMs: 4_000 }).then(() => 200, (error: unknown) => (error as PeerError).status), 401, path)
})

t.test('a post of a video at home is stored; one whose home is elsewhere is refused, and passed on to nobody', async t => {
  const { dispatcher, call } = stage(t)
  const results = parseResults(await call('posts', posts('here', 'there')))
  t.match(results, [{ created: true, comment: { videoId: 'here' } }, { error: { code: 'HOME_UNAVAILABLE' } }])
  t.match(dispatcher.batches.flat(), [{ videoId: 'here', key: 'k0', signedIn: true }])
  t.equal(dispatcher.batches.flat().length, 1)
})

t.test('a gateway that has not read the registry takes nothing, and says so', async t => {
  let loaded = false
  const { dispatcher, call, status } = stage(t, { viewLoaded: () => loaded })
  const said = await call('posts', posts('here')).catch((error: unknown) => error as PeerError)
  t.match(String((said as PeerError).body), /NOT_READY/)
  for (const route of ['state/here', 'history/here', 'held/here']) t.equal(await status(route), 503, route)
  t.equal(await status('sync', ''), 503)
  t.equal(await status('ping'), 200)
  t.same(dispatcher.batches, [])
  loaded = true
  t.match(parseResults(await call('posts', posts('here'))), [{ created: true }])
})

t.test('what becomes of a post that no dispatcher answers in time is unknown', async t => {
  const { dispatcher, call } = stage(t)
  dispatcher.answer = () => undefined
  const body = printPosts({ passedOn: false, entries: true, posts: [{ videoId: 'here', authorId: 'ann', content: 'x', key: 'k', leftMs: 800 }] })
  t.match(parseResults(await call('posts', body)), [{ error: { code: 'OUTCOME_UNKNOWN' } }])
  t.match(parseResults(await call('posts', body.replace('"leftMs":800', '"leftMs":0'))), [{ error: { code: 'UNAVAILABLE' } }], 'one that is late is not tried')
})

t.test('what a post has waited before it was read is taken from its time', async t => {
  const { dispatcher, gateway, call } = stage(t)
  gateway.pauses.lostMs = () => 500
  await call('posts', posts('here'))
  const [post] = dispatcher.batches.flat()
  t.ok(post!.leftMs! <= 1_500, `${post!.leftMs}`)
})

t.test('acts and decisions likewise', async t => {
  const { dispatcher, call } = stage(t)
  const act = (videoId: string, leftMs = 2_000) => printActRequest({ passedOn: false, order: { videoId, key: 'k', actorId: 'mo', asModerator: true, act: { type: 'deleted', target: 20 } }, leftMs })
  t.match(parseActResult(await call('acts', act('here'))), { created: true })
  t.match(parseActResult(await call('acts', act('there'))), { error: { code: 'HOME_UNAVAILABLE' } })
  t.match(dispatcher.acts, [{ passedOn: false, order: { videoId: 'here' } }])
  dispatcher.answerAct = () => undefined
  t.match(parseActResult(await call('acts', act('here', 800))), { error: { code: 'OUTCOME_UNKNOWN' } })
  const decision = printDecision({ actorId: 'mo', decision: { kind: 'refuse' }, leftMs: 2_000 })
  const heldId = '0'.repeat(32)
  t.same(parseDecisionResult(await call(`held/here/${heldId}`, decision)), { refused: true })
  t.match(parseDecisionResult(await call(`held/there/${heldId}`, decision)), { error: { code: 'HOME_UNAVAILABLE' } })
})

t.test('reads are answered with what a dispatcher says', async t => {
  const { dispatcher, call, status } = stage(t)
  t.same(parseHeld(await call('held/here')), [])
  t.equal(String(await call('state/here')), '{}')
  dispatcher.history = () => json({ comments: [], nextCursor: '7' })
  t.same(JSON.parse(String(await call('history/here?direction=after&cursor=5&pageSize=3'))), { comments: [], nextCursor: '7' })
  t.same(dispatcher.histories, ['here?cursor=5&direction=after&pageSize=3'])
  dispatcher.author = 'ann'
  t.same(JSON.parse(String(await call('comments/here/5'))), { authorId: 'ann', asked: 'here/5' })
  dispatcher.author = undefined
  t.equal(await status('comments/here/5'), 404)
  t.equal(await status('comments/there/5'), 503)
  for (const videoId of ['here', 'there']) t.same(JSON.parse(String(await call(`home/${videoId}`))), { asked: videoId }, 'each cluster says who it takes for the home, of any video')
  t.equal(await status('history/there?direction=before&pageSize=3'), 503)
  t.equal(await status('state/there'), 503)
  t.equal(await status('state/a.b'), 400)
  t.equal(await status('sync', 'nonsense\n'), 400)
  t.equal(await status('replay', 'P there 0 5 10\n'), 503)
})

t.test('syncs and batches are passed on with the name of the cluster, for the videos that they may be for alone', async t => {
  const { dispatcher, call } = stage(t)
  await call('sync', 'S here 5 -\nS there - -\n')
  await call('sync', 'S there - -\nS here - -\nV here 3\nV there 4\n')
  await call('batch', 'H there 7\nH here 7\nC there 0 5 {}\nC here 0 5 {}\n')
  t.same(dispatcher.lines, ['/internal/sync east S here 5 -\n', '/internal/sync east S here - -\nV here 3\n', '/internal/batch east H there 7\nC there 0 5 {}\n'])
})

t.test('a sync is answered as far as dispatchers answer', async t => {
  const { dispatcher, gateway, call, status } = stage(t)
  dispatcher.answerLines = 'R here 7 0 store 0\n'
  t.equal(String(await call('sync', 'S here 5 -\n')), dispatcher.answerLines)
  gateway.client.call = () => Promise.reject(new PeerError('refused', 'refused'))
  t.equal(String(await call('sync', 'S here 5 -\n')), '')
  t.equal(await status('state/here'), 503, 'of one video alone there is no answer')
})

t.test('a sync of a thousand rooms is taken, one of more is refused', async t => {
  const { status } = stage(t)
  const rooms = (count: number) => 'S here 5 -\n'.repeat(count)
  t.equal(await status('sync', rooms(1_000)), 200)
  t.equal(await status('sync', rooms(1_001)), 400)
})
