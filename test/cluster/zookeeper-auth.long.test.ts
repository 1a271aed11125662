import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DISPATCHERS, DRAIN, EDGES, HOLDINGS } from '../../protocol/nodes.js'
import type { Diagnosis } from '../../cli/doctor/examination.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import { run, startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { operate } from '../support/operator.js'
import { watchReady } from '../support/viewer.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

t.setTimeout(230_000)

const AUTH = 'parts:the-zookeeper-password'
const zookeeper = await startZooKeeper(t)
const SMALL = ['--edges', '1', '--dispatchers', '1']

/** Every node below the root that `zk` can list, ZooKeeper's own left out. */
async function allPaths(zk: Zk, path = '/'): Promise<string[]> {
  const { names } = await zk.getChildren(path)
  const children = names.filter(name => path !== '/' || name !== 'zookeeper').map(name => `${path === '/' ? '' : path}/${name}`)
  return [...children, ...(await Promise.all(children.map(child => allPaths(zk, child)))).flat()]
}

async function works(t: Test, cluster: Cluster): Promise<void> {
  const viewer = await watchReady(t, cluster.stream('demo'))
  const { id } = await cluster.say('demo', 'hello')
  await viewer.waitFor(event => event.id === id)
}

t.test('a cluster with credentials leaves no znode to strangers, and its operators need them', async t => {
  const connect = `${zookeeper.connect}/secured/cluster`
  const cluster = await startCluster(t, ['--zookeeper', connect, '--edges', '2', '--dispatchers', '1'], { env: { ZOOKEEPER_AUTH: AUTH } })
  await works(t, cluster)
  const registry = (argv: string[], env = {}) => operate(argv, { env: { ZOOKEEPER_CONNECT: connect, ...env } })
  t.equal((await registry(['drain', 'edge-2'], { ZOOKEEPER_AUTH: AUTH })).status, 0)

  const root = await openZk(t, zookeeper.connect, { auth: [AUTH] })
  const paths = (await allPaths(root)).filter(path => path.startsWith('/secured'))
  for (const path of ['/secured', '/secured/cluster', '/secured/cluster/edges/edge-1', '/secured/cluster/holdings/edge-2', '/secured/cluster/dispatchers/dispatcher-1', '/secured/cluster/control/drain/edge-2']) t.ok(paths.includes(path), path)
  for (const path of paths) t.match(await root.getAcl(path), [{ scheme: 'digest', mayChange: true }], path)

  const file = join(tempFolder(t), 'auth')
  writeFileSync(file, `${AUTH}\n`)
  t.match(JSON.parse((await registry(['edges', '--json', '--zookeeper-auth-file', file])).stdout), [{ id: 'edge-1' }, { id: 'edge-2' }])
  for (const [env, said] of [[{}, /we have no credentials: set ZOOKEEPER_AUTH/], [{ ZOOKEEPER_AUTH: 'parts:other-password' }, /belongs to other credentials than those of ZOOKEEPER_AUTH/]] as const) {
    const { status, stdout, stderr } = await registry(['edges'], env)
    t.same([status, stdout], [1, ''])
    t.match(stderr, said)
    t.notMatch(stderr, /password/)
    t.match(JSON.parse((await registry(['doctor', '--json'], env)).stdout), { healthy: false, findings: [{ code: 'zookeeper_refuses' }] })
  }
  t.equal((await registry(['edges'], { ZOOKEEPER_AUTH: 'no colon' })).status, 2)
})

t.test('parts with wrong credentials say so and end, instead of waiting', async t => {
  const connect = `${zookeeper.connect}/secured/cluster`
  const cluster = await startCluster(t, ['--zookeeper', connect, ...SMALL], { env: { ZOOKEEPER_AUTH: 'parts:wrong-password' }, ready: false })
  t.match(await cluster.exited, { status: 2 })
  t.match(cluster.errors, /other credentials than those of ZOOKEEPER_AUTH/)
  t.match(cluster.errors, /bad configuration\nZooKeeper at [^ ]+ refuses us at \//)
  t.notMatch(cluster.errors + cluster.output, /wrong-password/)
  const alone = await run(['edge'], { ZOOKEEPER_CONNECT: connect, PORT: '0', INTERNAL_PORT: '0' })
  t.match(alone, { status: 2, stderr: /bad configuration\nZooKeeper at [^ ]+ refuses us at \/.*no credentials: set ZOOKEEPER_AUTH/ })
})

t.test('doctor tells of znodes that anyone may change, and secure closes them under a running cluster', async t => {
  const connect = `${zookeeper.connect}/once-open`
  const without = await openZk(t, connect)
  for (const path of [EDGES, HOLDINGS, DISPATCHERS, `${DRAIN}/edge-1`]) await without.ensure(path) // as a cluster without credentials leaves them
  const cluster = await startCluster(t, ['--zookeeper', connect, ...SMALL], { env: { ZOOKEEPER_AUTH: AUTH } })
  const registry = (...argv: string[]) => operate(argv, { env: { ZOOKEEPER_CONNECT: connect, ZOOKEEPER_AUTH: AUTH } })
  const openPaths = async () => (JSON.parse((await registry('doctor', '--json')).stdout) as Diagnosis).findings.filter(({ code }) => code === 'znode_open').flatMap(({ subjects }) => subjects)
  t.same((await openPaths()).sort(), ['/', '/control', '/control/drain', '/control/drain/edge-1', '/dispatchers', '/edges', '/holdings'])
  t.match(await operate(['secure'], { env: { ZOOKEEPER_CONNECT: connect } }), { status: 1, stderr: /no credentials to secure/ })
  t.match(await registry('secure'), { status: 0, stdout: /^\d+ znodes can now/ })
  t.same(await openPaths(), [])
  const stranger = await openZk(t, connect)
  await t.rejects(stranger.getChildren('/edges'), { code: 'NO_AUTH' })
  await works(t, cluster)
  const killed = cluster.kill('edge-1')
  await cluster.again('edge-1', killed)
  await works(t, cluster)
})

t.end()
