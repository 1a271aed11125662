import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CLUSTER, EDGES, EXPECTED, parseCluster, parseDrain, printNode } from '../../protocol/nodes.js'
import { withRegistry } from '../../cli/connection.js'
import { expectedNodes, expectNodes } from '../../registry/expected-nodes.js'
import { edgeNode } from '../support/nodes.js'
import { operate } from '../support/operator.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

const server = await startZooKeeper(t)

/** A registry of its own, with an edge, and a name where one is given. */
async function registry(t: Test, chroot: string, cluster?: { id: string; name: string }) {
  const connect = `${server.connect}${chroot}`
  const zk = await openZk(t, connect)
  await zk.ensure(EDGES)
  await zk.create(`${EDGES}/edge-1`, printNode(edgeNode('edge-1')))
  await zk.ensure('/control')
  if (cluster) await zk.create(CLUSTER, printNode(cluster))
  return { connect, zk, wish: () => zk.getData('/control/drain/edge-1').then(({ data }) => parseDrain(data).instance, () => undefined) }
}

/** A data folder as npm start leaves it. */
function dataFolder(folder: string, url: string, cluster?: { id: string; name: string }): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'cluster.json'), JSON.stringify({ cluster, zookeeper: [{ id: 'zookeeper', pid: 1, url, internalUrl: null }], gateways: [], dispatchers: [], edges: [] }))
  return folder
}

t.test('a command that changes things wants to know which cluster, and names the ways to say so', async t => {
  for (const argv of [['drain', 'edge-1'], ['undrain', 'edge-1'], ['spread', 'demo', '2'], ['rebalance'], ['home', 'demo', 'east'], ['secure'], ['name', 'mine'], ['expect', '--edges', '3']]) {
    const [forPeople, json] = [await operate(argv), await operate([...argv, '--json'])]
    const { error } = JSON.parse(json.stderr) as { error: { code: string; message: string } }
    for (const { status, stdout } of [forPeople, json]) t.same([status, stdout], [2, ''], argv.join(' '))
    t.equal(forPeople.stderr, `registry: ${error.message}\n`)
    t.match(error.message, /^which cluster is meant\?[^]*--data FOLDER[^]*--zookeeper HOST:PORT\/CHROOT[^]*ZOOKEEPER_CONNECT[^]*\.\/data/)
    t.equal(error.code, 'BAD_USAGE')
  }
  const { status, stderr } = await operate(['post', 'demo', 'hello'])
  t.equal(status, 2)
  t.match(stderr, /^registry: which gateway is meant\?[^]*--gateway URL[^]*--data FOLDER/)
})

t.test('it says which one it changes, however that was named, and its answer stays alone on stdout', async t => {
  const one = await registry(t, '/one', { id: 'a1', name: 'the first one' })
  const other = await registry(t, '/other', { id: 'b2', name: 'the other' })
  const folder = t.testdir()
  const data = dataFolder(join(folder, 'elsewhere'), other.connect, { id: 'b2', name: 'the other' })
  dataFolder(join(folder, 'data'), one.connect)
  const ways: [string[], { env?: NodeJS.ProcessEnv; folder?: string }, string][] = [
    [['--zookeeper', one.connect], {}, `cluster the first one (a1) at ${one.connect} (from --zookeeper)\n`],
    [[], { env: { ZOOKEEPER_CONNECT: one.connect } }, `cluster the first one (a1) at ${one.connect} (from ZOOKEEPER_CONNECT)\n`],
    [[], { folder }, `cluster the first one (a1) at ${one.connect} (from ./data/cluster.json)\n`],
  ]
  for (const [argv, place, said] of ways) {
    const { status, stdout, stderr } = await operate(['drain', 'edge-1', '--json', ...argv], place)
    t.same([status, stderr], [0, said])
    t.same(JSON.parse(stdout), { id: 'edge-1', instance: 'i1' })
    t.equal(await one.wish(), 'i1')
    t.equal((await operate(['undrain', 'edge-1', ...argv], place)).status, 0)
  }
  t.equal(await other.wish(), undefined, 'the other one was left alone')

  const { status, stderr } = await operate(['drain', 'edge-1', '--data', data], { folder, env: { ZOOKEEPER_CONNECT: one.connect } })
  t.same([status, stderr], [0, `cluster the other (b2) at ${other.connect} (from ${data}/cluster.json)\n`], 'a flag goes before the environment')
  t.equal(await other.wish(), 'i1')
  t.equal(await one.wish(), undefined)
})

t.test('a cluster that took the place of the one that was written down is not touched', async t => {
  const now = await registry(t, '/taken', { id: 'new', name: 'who is there now' })
  const folder = t.testdir()
  dataFolder(join(folder, 'data'), now.connect, { id: 'old', name: 'who was there' })
  for (const argv of [['drain', 'edge-1'], ['edges']]) {
    const { status, stdout, stderr } = await operate(argv, { folder })
    t.same([status, stdout], [1, ''])
    t.match(stderr, `is the registry of who is there now (new) now, not of who was there (old)`)
  }
  t.equal(await now.wish(), undefined)
})

t.test('a chroot that is no registry is left as it is', async t => {
  const connect = `${server.connect}/mistyped`
  for (const argv of [['drain', 'edge-1'], ['name', 'mine'], ['expect', '--edges', '3']]) t.match(await operate([...argv, '--zookeeper', connect]), { status: 1, stdout: '', stderr: `there is no registry at ${connect}` })
  const zk = await openZk(t, server.connect)
  t.equal(await zk.exists('/mistyped'), null)
})

t.test('--data of a folder on which no cluster runs is a problem found', async t => {
  const folder = t.testdir()
  t.match(await operate(['edges', '--data', folder]), { status: 1, stdout: '', stderr: `no local cluster runs on ${folder}` })
})

t.test('what only reads may read the one that is there by default, and says which that is', async t => {
  const { connect } = await registry(t, '/default', { id: 'd1', name: 'by default' })
  const lines: string[] = []
  await withRegistry({ address: { connect, source: 'the default', auth: undefined, isDefault: true }, note: line => lines.push(line) }, ['edges'], () => {})
  t.same(lines, [`cluster by default (d1) at ${connect} (the default)`])
})

t.test('a cluster is given a name, and keeps its identity when it is given another', async t => {
  const { connect, zk } = await registry(t, '/named')
  const named = async (name: string) => {
    const { status, stdout } = await operate(['name', name, '--zookeeper', connect, '--json'])
    t.equal(status, 0)
    return JSON.parse(stdout) as { id: string; name: string }
  }
  const first = await named('first')
  t.match(first, { id: /^[0-9a-f]{8}$/, name: 'first' })
  t.same(await named('second'), { id: first.id, name: 'second' })
  t.same(parseCluster((await zk.getData(CLUSTER)).data), { id: first.id, name: 'second' })
  t.match((await operate(['drain', 'edge-1', '--zookeeper', connect])).stderr, `cluster second (${first.id})`)
  for (const bad of ['', ' x', 'x'.repeat(65), 'é']) t.equal((await operate(['name', bad, '--zookeeper', connect])).status, 2, bad)
})

t.test('what should be there is set by absolute counts, and stands beside what is there', async t => {
  const { connect, zk } = await registry(t, '/expecting', { id: 'e1', name: 'expecting' })
  const expect = async (...flags: string[]) => {
    const { status, stdout, stderr } = await operate(['expect', ...flags, '--zookeeper', connect, '--json'])
    t.equal(status, 0)
    return { rows: JSON.parse(stdout) as unknown, stderr }
  }
  const rows = (gateways: number | null, edges: number | null, dispatchers: number | null) => [
    { kind: 'gateways', expected: gateways, announced: 0 },
    { kind: 'edges', expected: edges, announced: 1 },
    { kind: 'dispatchers', expected: dispatchers, announced: 0 },
  ]
  t.same(await expect(), { rows: rows(null, null, null), stderr: '' }, 'nobody has said anything')
  t.equal(await zk.exists(EXPECTED), null, 'whoever only asks changes nothing')
  const said = `cluster expecting (e1) at ${connect} (from --zookeeper)\n`
  t.same(await expect('--gateways', '2', '--edges', '3'), { rows: rows(2, 3, null), stderr: said })
  t.same(await expect('--dispatchers', '0'), { rows: rows(2, 3, 0), stderr: said }, 'what is not given stays')
  t.match((await operate(['expect', '--zookeeper', connect])).stdout, /^NODES {8}EXPECTED {2}ANNOUNCED\ngateways +2 +0\nedges +3 +1\ndispatchers +0 +0\n$/)
  await zk.setData(EXPECTED, Buffer.from('rubbish'))
  t.same(await expect('--edges', '1'), { rows: rows(null, 1, null), stderr: said })
})

t.test('counts that are set at the same time are all kept', async t => {
  const { connect, zk } = await registry(t, '/at-once')
  const other = await openZk(t, connect)
  await Promise.all([expectNodes(zk, { gateways: 1 }), expectNodes(other, { edges: 2 }), expectNodes(zk, { dispatchers: 3 })])
  t.same(await expectedNodes(zk), { gateways: 1, edges: 2, dispatchers: 3 })
})

t.end()
