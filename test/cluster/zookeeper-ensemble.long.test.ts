import { join } from 'node:path'
import t, { type Test } from 'tap'
import { peerPorts } from '../../cluster/ensemble.js'
import type { Member } from '../../cluster/folder.js'
import { Ports } from '../../cluster/ports.js'
import { modeOf } from '../../registry/zookeeper/four-letter-word.js'
import { startLocalServer, type LocalServer } from '../../registry/zookeeper/local-server.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { sawEverything } from '../support/delivered.js'
import { Poster } from '../support/poster.js'
import { isAlive } from '../support/process.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(180_000)

const SILENT_MS = 300
const HOST = '127.0.0.1'

function modeOfMember({ url }: Member): Promise<string | undefined> {
  return modeOf(HOST, Number(/:(\d+)/.exec(url!)![1]), SILENT_MS)
}

async function membersThat(cluster: Cluster, are: (mode: string | undefined) => boolean): Promise<Member[]> {
  const { zookeeper } = cluster.record()
  const modes = await Promise.all(zookeeper.map(modeOfMember))
  return zookeeper.filter((_, i) => are(modes[i]))
}

async function leaderOf(cluster: Cluster): Promise<Member> {
  return until(async () => (await membersThat(cluster, mode => mode === 'leader'))[0], { what: 'there is a leader' })
}

async function allServe(cluster: Cluster): Promise<void> {
  await until(async () => (await membersThat(cluster, mode => mode !== undefined)).length === 3, { what: 'all servers serve' })
}

async function postsGoOn(poster: Poster): Promise<void> {
  const before = poster.acknowledged.length
  await until(() => poster.acknowledged.length > before + 20)
}

/** Who comes now is served too. */
async function newcomersCome(t: Test, cluster: Cluster, videoId: string): Promise<void> {
  const viewer = await watchReady(t, cluster.stream(videoId))
  const said = await cluster.say(videoId, 'hello')
  await viewer.waitFor(({ id }) => id === said.id)
}

t.test('an ensemble of three loses its leader, freezes and loses its majority: posts, streams and newcomers go on', async t => {
  const cluster = await startCluster(t, ['--zookeepers', '3', '--edges', '2', '--dispatchers', '2'])
  const { zookeeper } = cluster.record()
  t.same(zookeeper.map(({ id }) => id), ['zookeeper-1', 'zookeeper-2', 'zookeeper-3'])
  t.equal(new Set(zookeeper.map(({ url }) => url)).size, 3)
  const viewers = await Promise.all(Array.from({ length: 5 }, () => watchReady(t, cluster.stream('zk'))))
  const poster = new Poster(cluster, 'zk')
  t.after(() => poster.stop())

  const first = await leaderOf(cluster)
  const pid = cluster.kill(first.id)
  await newcomersCome(t, cluster, 'leaderless')
  await cluster.again(first.id, pid)
  t.equal(cluster.member(first.id).url, first.url, 'it is where it was')
  await allServe(cluster)

  const second = await leaderOf(cluster)
  cluster.kill(second.id, 'SIGSTOP')
  await until(async () => (await membersThat(cluster, mode => mode === 'leader')).some(({ id }) => id !== second.id), { what: 'another leads' })
  t.equal((await cluster.registry('edges')).status, 0, 'commands reach the servers that are left')
  await newcomersCome(t, cluster, 'frozen')
  cluster.kill(second.id, 'SIGCONT')
  await allServe(cluster)

  const lost = zookeeper.slice(0, 2)
  for (const { id } of lost) cluster.kill(id, 'SIGSTOP')
  await until(async () => (await membersThat(cluster, mode => mode !== undefined)).length === 0, { what: 'nobody serves' })
  await newcomersCome(t, cluster, 'alone')
  await postsGoOn(poster)
  for (const { id } of lost) cluster.kill(id, 'SIGCONT')
  await allServe(cluster)

  await until(async () => (JSON.parse((await cluster.registry('video', 'zk', '--json')).stdout) as { viewers: number }).viewers === 5)
  await postsGoOn(poster)
  await poster.stop()
  t.same(poster.refused, [])
  await sawEverything(t, cluster, 'zk', viewers)

  const pids = cluster.members().map(member => member.pid!)
  t.match(await cluster.stop(), { status: 0 })
  t.same(pids.filter(isAlive), [])
})

t.test('one server grows to three, as docs/operators.md says, while posts and streams go on', async t => {
  const [folder, ports] = [tempFolder(t), new Ports()]
  const [clients, peers] = [[await ports.take(HOST), await ports.take(HOST), await ports.take(HOST)], await peerPorts(ports, 3)]
  const running = new Map<number, LocalServer>()
  t.after(() => Promise.all(Array.from(running.values(), server => server.stop())))
  const stop = async (number: number) => {
    await running.get(number)?.stop()
    running.delete(number)
  }
  /** @param of how many servers its configuration has; 0: none, it stands alone */
  const start = async (number: number, of: number) => {
    await stop(number)
    const ensemble = of === 0 ? {} : { ensemble: { number, servers: peers.slice(0, of) } }
    running.set(number, await startLocalServer({ folder: join(folder, String(number)), port: clients[number - 1]!, heapMb: 128, ...ensemble }))
  }
  const serve = (...numbers: number[]) => until(async () => (await Promise.all(numbers.map(number => modeOf(HOST, clients[number - 1]!, SILENT_MS)))).every(mode => mode !== undefined), { what: `servers ${numbers.join(', ')} serve`, timeoutMs: 20_000 })

  await start(1, 0)
  const cluster = await startCluster(t, ['--zookeeper', `${clients.map(port => `${HOST}:${port}`).join(',')}/grown`, '--edges', '2', '--dispatchers', '2'])
  t.equal((await cluster.registry('name', 'grown')).status, 0)
  const viewers = await Promise.all(Array.from({ length: 5 }, () => watchReady(t, cluster.stream('zk'))))
  const poster = new Poster(cluster, 'zk')
  t.after(() => poster.stop())

  // The second joins one that has everything, and no majority is without it.
  await start(2, 2)
  await start(1, 2)
  await serve(1, 2)
  await start(3, 3)
  for (const number of [2, 1]) {
    await start(number, 3)
    await serve(number)
  }
  await serve(1, 2, 3)
  await newcomersCome(t, cluster, 'grown')

  await stop(1)
  await serve(2, 3)
  const { stdout } = await cluster.registry('edges', '--json')
  t.same((JSON.parse(stdout) as { id: string }[]).map(({ id }) => id).sort(), ['edge-1', 'edge-2'], 'nothing of the registry is lost')
  await newcomersCome(t, cluster, 'first-gone')
  await postsGoOn(poster)
  await poster.stop()
  t.same(poster.refused, [])
  await sawEverything(t, cluster, 'zk', viewers)
})
