import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CLUSTER, DISPATCHERS, DRAIN, EDGES, GATEWAYS, HOLDINGS } from '../../protocol/nodes.js'
import { joinConnectStrings } from '../../registry/zookeeper/connect-string.js'
import { startCluster } from '../support/cluster.js'
import { sawEverything } from '../support/delivered.js'
import { Random } from '../support/random.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'
import { openZk } from '../support/zookeeper.js'

t.setTimeout(230_000)

const VIDEOS = ['a', 'b', 'c']
const DIRECTORIES = [EDGES, HOLDINGS, DISPATCHERS, GATEWAYS]

t.test('entries of the registry with flipped bits, or cut short: no process ends, posts go on, and every viewer sees all', async t => {
  const cluster = await startCluster(t, ['--gateways', '2', '--edges', '2', '--dispatchers', '2'])
  const pids = () => cluster.members().map(({ pid }) => pid).join()
  const before = pids()
  const viewers = await Promise.all(VIDEOS.map(video => watchReady(t, cluster.stream(video))))
  const zk = await openZk(t, joinConnectStrings(cluster.record().zookeeper.map(({ url }) => url!)))
  await until(async () => (await Promise.all(DIRECTORIES.map(path => zk.getChildren(path)))).every(({ names }) => names.length === 2), { what: 'all have announced themselves' })
  const random = new Random(1)

  /** Puts these entries right again. */
  const sound = new Map<string, Buffer>()
  const mend = async () => {
    for (const [path, data] of sound) await zk.setData(path, data)
    sound.clear()
  }
  const damage = async (path: string) => {
    const { data } = await zk.getData(path)
    sound.set(path, data)
    await zk.setData(path, damaged(data, random))
  }
  /** Every video's viewer sees a post. */
  const sayAll = async () => {
    for (const [i, video] of VIDEOS.entries()) {
      const { id } = await cluster.say(video, 'hello')
      await viewers[i]!.waitFor(event => event.id === id, { what: `a comment on ${video} arrives` })
    }
  }

  await sayAll()
  await zk.ensure(DRAIN)
  for (const id of ['gateway-1', 'edge-1']) await zk.create(`${DRAIN}/${id}`, Buffer.from('{"instance":"'))
  for (let round = 0; round < 8; round++) {
    // What can still be read may lie about one node of each kind, until that node writes it anew.
    for (const directory of DIRECTORIES) await damage(`${directory}/${random.pick((await zk.getChildren(directory)).names)}`)
    await damage(CLUSTER)
    await sayAll()
    await mend()
  }

  const statuses = new Set<number>()
  for (let round = 0; round < 3; round++) {
    for (const directory of DIRECTORIES) for (const id of (await zk.getChildren(directory)).names) await damage(`${directory}/${id}`)
    for (const video of VIDEOS) statuses.add((await cluster.post(video, { content: 'whatever the entries say' })).status)
    await mend()
  }
  t.ok([...statuses].every(status => [201, 503, 504].includes(status)), [...statuses].join())
  await until(() => sayAll().then(() => true, () => false), { what: 'posts go on' })
  for (const [i, video] of VIDEOS.entries()) await sawEverything(t, cluster, video, [viewers[i]!])

  t.equal(pids(), before, 'nobody was started again')
  const logs = cluster.members().filter(({ id }) => !id.startsWith('zookeeper')).map(({ id }) => readFileSync(join(cluster.data, 'logs', `${id}.log`), 'utf8'))
  t.ok(logs.every(log => !log.includes('"event":"bug"')))
  t.ok(logs.some(log => log.includes('"event":"registry_rubbish"')), 'it is said')
})

/** Some bits flipped, or the end missing. */
function damaged(data: Buffer, random: Random): Buffer {
  if (random.chance(0.25)) return data.subarray(0, random.below(data.length))
  const copy = Buffer.from(data)
  for (let bits = random.pick([1, 2, 8]); bits > 0; bits--) copy[random.below(copy.length)]! ^= 1 << random.below(8)
  return copy
}
