import t from 'tap'
import { startCluster, type Cluster } from '../support/cluster.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { until } from '../support/until.js'
import { watch, type Viewer } from '../support/viewer.js'

t.setTimeout(200_000)

const FLAGS = ['--gateways', '1', '--dispatchers', '2', '--edges', '1']
const PEER_TOKEN = 'a-token-for-both-clusters'

const said = ({ comments }: Viewer) => comments.map(({ content }) => content)
const isReady = ({ events }: Viewer) => events.some(({ event }) => event === 'ready')

const keyOf = (content: string) => content.replaceAll(' ', '-')

/** Posts until it is stored, under one key: what becomes of a try may be unknown. */
async function sayAtLast(cluster: Cluster, videoId: string, content: string): Promise<void> {
  await until(async () => {
    const response = await cluster.post(videoId, { content }, { 'idempotency-key': keyOf(content) })
    if (![201, 503, 504].includes(response.status)) throw new Error(`${response.status}: ${await response.text()}`)
    return response.status === 201
  }, { timeoutMs: 30_000, what: `${content} is stored` })
}

/** Gives an operators' command until it ends so: on a busy machine a cluster may not have answered the first time. */
async function operated(cluster: Cluster, argv: readonly string[], status: number, said: RegExp): Promise<void> {
  await until(async () => {
    const outcome = await cluster.registry(...argv, '--token', cluster.token)
    return outcome.status === status && said.test(outcome.stdout + outcome.stderr)
  }, { timeoutMs: 30_000, what: `${argv.join(' ')}: ${said.source}` })
}

t.test('two clusters with the line between them cut and healed: each viewer has every comment once and in order', async t => {
  // What stands before the gateways is there before them: PEERS has to name it.
  const [toWest, toEast] = [await TcpProxy.open(t, 1), await TcpProxy.open(t, 1)]
  const env = (name: string, peer: string, { port }: TcpProxy) => ({ env: { CLUSTER_NAME: name, PEERS: `${peer}=http://127.0.0.1:${port}`, PEER_TOKEN, DEFAULT_HOME: 'west' } })
  const [west, east] = await Promise.all([startCluster(t, FLAGS, env('west', 'east', toEast)), startCluster(t, FLAGS, env('east', 'west', toWest))])
  for (const [proxy, cluster] of [[toWest, west], [toEast, east]] as const) proxy.targetPort = Number(new URL(cluster.member('gateway-1').internalUrl!).port)
  const up = async () => (await Promise.all([west, east].flatMap(cluster => ['dispatcher-1', 'dispatcher-2'].map(id => cluster.metric(id, 'live_peer_up'))))).every(value => value === 1)
  await until(up, { timeoutMs: 40_000, what: 'all dispatchers reach the other cluster' })

  const contents: string[] = []
  const say = async (cluster: Cluster) => {
    const content = `comment ${contents.length + 1}`
    await sayAtLast(cluster, 'demo', content)
    contents.push(content)
  }
  const [atWest, atEast] = [watch(t, west.stream('demo')), watch(t, east.stream('demo'))]
  await until(() => isReady(atWest) && isReady(atEast), { timeoutMs: 20_000, what: 'both viewers are ready' })
  for (let i = 0; i < 5; i++) for (const cluster of [west, east]) await say(cluster)
  const all = () => [atWest, atEast].every(viewer => said(viewer).length >= contents.length)
  await until(all, { timeoutMs: 20_000, what: 'what was said on both sides' })
  const counts = ({ events }: Viewer) => events.some(({ event, data }) => event === 'viewers' && (JSON.parse(data) as { viewers: number }).viewers === 2)
  await until(() => counts(atWest) && counts(atEast), { timeoutMs: 30_000, what: 'each side counts both viewers' })
  t.same((await east.history('demo')).map(({ content }) => content), contents, 'history is read at home')
  await operated(east, ['home', 'demo', '--json'], 0, /"home":"west"/)
  await operated(west, ['home', 'demo', 'east'], 1, /demo has comments at west/)
  await operated(east, ['home', 'launch', 'east'], 1, /run this command there first/)
  await operated(west, ['home', 'launch', 'east'], 0, /The home of launch is east/)
  await operated(east, ['home', 'launch', 'east'], 0, /The home of launch is east/)
  await sayAtLast(west, 'launch', 'to the other home')
  t.equal((await east.history('launch')).length, 1)

  // No byte crosses any more, and new connections hang.
  for (const proxy of [toWest, toEast]) proxy.silent = true
  const seen = contents.length
  const posted = east.post('demo', { content: 'cut off' }, { 'idempotency-key': keyOf('cut off') })
  for (let i = 0; i < 10; i++) await say(west)
  await until(() => said(atWest).length === contents.length, { timeoutMs: 20_000, what: 'home goes on' })
  const late = watch(t, east.stream('demo', '?recent=5'))
  await until(() => isReady(late), { timeoutMs: 20_000, what: 'a viewer who comes during the cut is ready' })
  t.same(said(late), contents.slice(seen - 5, seen), 'with what is known')
  t.same(said(atEast), contents.slice(0, seen))
  t.notOk(atEast.isClosed, 'nobody there is sent away')
  const page = await until(() => east.page('demo', '?pageSize=3').catch(() => undefined), { timeoutMs: 20_000, what: 'history' })
  t.same(page.comments.map(({ content }) => content), contents.slice(seen - 3, seen).toReversed(), 'it is what is known')
  await until(async () => (await east.metric('dispatcher-1', 'live_peer_up')) === 0, { timeoutMs: 20_000, what: 'the cut is measured' })
  await operated(east, ['doctor', '--json'], 1, /"peer_unreachable"/)
  const cutOff = await posted
  t.ok([503, 504].includes(cutOff.status), `${cutOff.status}: ${await cutOff.text()}`)

  for (const proxy of [toWest, toEast]) proxy.silent = false
  await sayAtLast(east, 'demo', 'healed')
  contents.push('healed')
  await sayAtLast(east, 'demo', 'cut off') // its key finds out what became of it
  const order = (await west.history('demo')).map(({ content }) => content)
  t.same(order.filter(content => content !== 'cut off'), contents)
  t.equal(order.filter(content => content === 'cut off').length, 1, 'once')
  await until(() => said(atEast).length >= order.length && said(atWest).length >= order.length && said(late).length >= order.length - seen + 5, { timeoutMs: 30_000, what: 'what was missed' })
  for (const viewer of [atWest, atEast]) t.same(said(viewer), order, 'once and in order')
  t.same(said(late), order.slice(seen - 5))
})
