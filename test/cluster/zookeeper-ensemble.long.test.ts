import t, { type Test } from 'tap'
import type { Member } from '../../cluster/folder.js'
import { modeOf } from '../../registry/zookeeper/four-letter-word.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { sawEverything } from '../support/delivered.js'
import { Poster } from '../support/poster.js'
import { isAlive } from '../support/process.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(180_000)

const SILENT_MS = 300

function modeOfMember({ url }: Member): Promise<string | undefined> {
  return modeOf('127.0.0.1', Number(/:(\d+)/.exec(url!)![1]), SILENT_MS)
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
