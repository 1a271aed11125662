import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { deflateRawSync } from 'node:zlib'
import { CLUSTER, DISPATCHERS, DRAIN, EDGES, EXPECTED, GATEWAYS, HOLDINGS, STORE } from '../../protocol/nodes.js'
import type { Diagnosis } from '../../cli/doctor/examination.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { sawEverything } from '../support/delivered.js'
import { Random } from '../support/random.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(230_000)

const VIDEOS = ['a', 'b', 'c']
const DIRECTORIES = [EDGES, HOLDINGS, DISPATCHERS, GATEWAYS]

t.test('entries of the registry with flipped bits, or cut short: no process ends, posts go on, and every viewer sees all', async t => {
  const cluster = await startCluster(t, ['--gateways', '2', '--edges', '2', '--dispatchers', '2'])
  const pids = () => cluster.members().map(({ pid }) => pid).join()
  const before = pids()
  const viewers = await Promise.all(VIDEOS.map(video => watchReady(t, cluster.stream(video))))
  const zk = await cluster.openZk(t)
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

  await t.test('entries that no node could have written are one finding each, and everything else goes on', t => beyondBounds(t, cluster, zk, sayAll))

  t.equal(pids(), before, 'nobody was started again')
  const logs = cluster.members().filter(({ id }) => !id.startsWith('zookeeper')).map(({ id }) => readFileSync(join(cluster.data, 'logs', `${id}.log`), 'utf8'))
  t.ok(logs.every(log => !log.includes('"event":"bug"')))
  t.ok(logs.some(log => log.includes('"event":"registry_rubbish"')), 'it is said')
})

/** What a bad one of any kind may be. */
const SHAPES: Readonly<Record<string, Buffer>> = {
  empty: Buffer.alloc(0),
  long: Buffer.alloc(900_000, '{"id":"'),
  blank: Buffer.alloc(900_000, 32),
  deep: Buffer.alloc(900_000, '['),
  'deep-object': Buffer.from(`${'{"id":'.repeat(2_000)}1${'}'.repeat(2_000)}`),
  'no-utf8': Buffer.from('{"id":"no-utf8","instance":"\xff\xfe"}', 'latin1'),
  'no-object': Buffer.from('null'),
}

/** The same of lists of holdings. The first is 62 KB, and 64 MB once it is inflated. */
const LISTS: Readonly<Record<string, Buffer>> = {
  bomb: deflateRawSync(`${'x'.repeat(16)}\n${'a 1\n'.repeat(15_900_000)}`, { level: 9 }),
  bytes: deflateRawSync(Buffer.alloc(64 << 20), { level: 9 }),
  many: deflateRawSync(`i1\n${Array.from({ length: 130_000 }, (_, i) => `${i} 1\n`).join('')}`),
  'no-deflate': Buffer.alloc(900_000, 'x'),
  'no-instance': deflateRawSync('\nv 1\n'),
  'no-letters': deflateRawSync(Buffer.from('i1\n\xff\xfe 1\n', 'latin1')),
}

async function beyondBounds(t: Test, cluster: Cluster, zk: Zk, sayAll: () => Promise<void>): Promise<void> {
  const bad: [path: string, data: Buffer][] = [
    ...[EDGES, DISPATCHERS, GATEWAYS, DRAIN].flatMap(directory => Object.entries(SHAPES).map(([shape, data]): [string, Buffer] => [`${directory}/${shape}`, data])),
    ...Object.entries({ ...SHAPES, ...LISTS }).map(([shape, data]): [string, Buffer] => [`${HOLDINGS}/${shape}`, data]),
  ]
  const settings = [CLUSTER, EXPECTED, STORE]
  const sound = await Promise.all(settings.map(path => zk.getData(path)))
  let worstMs = 0
  let over = false
  const parts = cluster.members().filter(({ internalUrl }) => internalUrl !== null)
  const probes = Promise.all(parts.map(async ({ internalUrl }) => {
    while (!over) {
      const since = performance.now()
      await fetch(`${internalUrl}/healthz`)
      worstMs = Math.max(worstMs, performance.now() - since)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }))
  for (const [path, data] of bad) await zk.create(path, data, { ephemeral: true })
  for (const [i, path] of settings.entries()) await zk.setData(path, Object.values(SHAPES)[i + 1]!)
  await sayAll()
  const { stdout } = await cluster.registry('doctor', '--json')
  const { findings } = JSON.parse(stdout) as Diagnosis
  for (const path of [...bad.map(([path]) => path), ...settings]) t.equal(findings.filter(({ code, subjects }) => code === 'znode_rubbish' && subjects.includes(path)).length, 1, path)
  for (const [i, path] of settings.entries()) await zk.setData(path, sound[i]!.data)
  for (const [path] of bad) await zk.remove(path)
  await sayAll()
  over = true
  await probes
  t.ok(worstMs < 6_000, `the longest that a part was not to be heard: ${Math.round(worstMs)} ms`)
  const log = readFileSync(join(cluster.data, 'logs', 'gateway-1.log'), 'utf8')
  for (const path of [EDGES, DISPATCHERS].flatMap(directory => Object.keys(SHAPES).map(shape => `${directory}/${shape}`)).concat(Object.keys({ ...SHAPES, ...LISTS }).map(shape => `${HOLDINGS}/${shape}`))) {
    t.equal(log.split('\n').filter(line => line.includes('"event":"registry_rubbish"') && line.includes(`"path":"${path}"`)).length, 1, path)
  }
}

/** Some bits flipped, or the end missing. */
function damaged(data: Buffer, random: Random): Buffer {
  if (random.chance(0.25)) return data.subarray(0, random.below(data.length))
  const copy = Buffer.from(data)
  for (let bits = random.pick([1, 2, 8]); bits > 0; bits--) copy[random.below(copy.length)]! ^= 1 << random.below(8)
  return copy
}
