import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DISPATCHERS, EDGES, GATEWAYS, HOLDINGS, printHoldings, printNode } from '../../protocol/nodes.js'
import { NONCE_HEADER, PROOF_HEADER } from '../../protocol/wire.js'
import type { Diagnosis } from '../../cli/doctor/examination.js'
import { Zk } from '../../registry/zookeeper/client.js'
import { startLocalServer } from '../../registry/zookeeper/local-server.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { sawEverything } from '../support/delivered.js'
import { dispatcherNode, edgeNode } from '../support/nodes.js'
import { operate } from '../support/operator.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'
import { openZk } from '../support/zookeeper.js'

t.setTimeout(230_000)

const SMALL = ['--edges', '1', '--dispatchers', '1']
const VIDEOS = ['a', 'b', 'c', 'd']
const secret = (cluster: Cluster, name: string) => readFileSync(join(cluster.data, name), 'utf8').trim()

/** A stranger on this machine. Whatever it is asked it answers as a part would, and it writes down what it hears. */
async function stranger(t: Test, part: string) {
  const heard: string[] = []
  const server = createServer((request, response) => {
    const nonce = request.headers[NONCE_HEADER]
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text)).on('end', () => {
      heard.push(`${request.method} ${request.url} ${JSON.stringify(request.rawHeaders)} ${body}`)
      // It passes the question on to a real part.
      const proof = typeof nonce === 'string' ? fetch(`${part}/healthz`, { headers: { [NONCE_HEADER]: nonce } }).then(({ headers }) => headers.get(PROOF_HEADER)) : Promise.resolve(null)
      void proof.then(proof => response.writeHead(200, proof === null ? {} : { [PROOF_HEADER]: proof }).end('{"id":"rogue","instance":"i1"}'))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, heard }
}

t.test('entries of parts that are none draw no token, no comment and no viewer to themselves', async t => {
  const cluster = await startCluster(t, ['--gateways', '1', '--edges', '2', '--dispatchers', '2'])
  const zk = await cluster.openZk(t)
  const rogue = await stranger(t, cluster.member('edge-1').internalUrl!)
  const place = { internalUrl: rogue.url, publicUrl: rogue.url }
  await zk.create(`${EDGES}/rogue`, printNode(edgeNode('rogue', { ...place, capacity: 1_000_000 })), { ephemeral: true })
  await zk.create(`${HOLDINGS}/rogue`, printHoldings({ instance: 'i1', videos: new Map(VIDEOS.map(video => [video, 100_000])) }), { ephemeral: true })
  await zk.create(`${DISPATCHERS}/rogue`, printNode(dispatcherNode('rogue', { internalUrl: rogue.url })), { ephemeral: true })
  await until(() => rogue.heard.length > 0 || cluster.say('a', 'hello').then(() => false), { what: 'somebody asks the stranger' })

  const viewers = await Promise.all(VIDEOS.map(video => watchReady(t, cluster.stream(video))))
  for (const [i, video] of VIDEOS.entries()) {
    const { id } = await cluster.say(video, 'a comment that no stranger hears')
    await viewers[i]!.waitFor(event => event.id === id, { what: `a comment on ${video} arrives` })
  }
  for (const [i, video] of VIDEOS.entries()) await sawEverything(t, cluster, video, [viewers[i]!])
  t.ok(viewers.every(({ events }) => !JSON.stringify(events).includes('rogue')))
  await t.test('its operators hear of it, and send it nothing either', async t => {
    const { stdout } = await operate(['doctor', '--json', '--data', cluster.data])
    const { findings } = JSON.parse(stdout) as Diagnosis
    t.ok(findings.some(({ code, subjects }) => ['token_wrong', 'node_unproven'].includes(code) && subjects.includes('rogue')), JSON.stringify(findings.map(({ code, subjects }) => [code, subjects])))
    t.equal((await operate(['store', '--json', '--data', cluster.data])).status, 0)
  })
  const logs = ['gateway-1', 'dispatcher-1', 'dispatcher-2', 'edge-1', 'edge-2'].map(id => readFileSync(join(cluster.data, 'logs', `${id}.log`), 'utf8')).join('')
  t.match(logs, /"code":"WRONG_PROOF","url":"[^"]+".*"event":"peer_unproven"/)
  const all = rogue.heard.join('\n')
  t.notMatch(all, secret(cluster, 'internal-token'))
  t.notMatch(all, /authorization|a comment that no stranger hears/i)
  t.ok(rogue.heard.every(each => each.startsWith('GET /healthz ')), rogue.heard.find(each => !each.startsWith('GET /healthz ')) ?? '')
})

t.test('npm start closes its ZooKeeper to strangers, and its operators need no more than the folder', async t => {
  const folder = tempFolder(t)
  const data = join(folder, 'data')
  await anOpenRegistry(data)
  const cluster = await startCluster(t, SMALL, { data })
  t.equal(statSync(join(data, 'zookeeper-auth')).mode & 0o777, 0o600)
  t.match(secret(cluster, 'zookeeper-auth'), /^live-comments:[\w-]{32}$/)
  t.notMatch(readFileSync(join(data, 'cluster.json'), 'utf8') + cluster.output, secret(cluster, 'zookeeper-auth').split(':')[1]!)

  const { ZOOKEEPER_CONNECT: connect } = cluster.zookeeperEnv
  const without = await openZk(t, connect)
  for (const path of ['/', EDGES, HOLDINGS, DISPATCHERS, GATEWAYS, '/control', '/control/drain']) {
    await t.rejects(without.getChildren(path), { code: 'NO_AUTH' }, path)
    await t.rejects(without.create(`${path === '/' ? '' : path}/rogue`, Buffer.from('x')), { code: 'NO_AUTH' }, path)
  }
  for (const path of [`${EDGES}/edge-1`, `${HOLDINGS}/edge-1`, `${EDGES}/old`, '/control/cluster', '/control/expected', '/control/store', '/control/drain/edge-9']) await t.rejects(without.getData(path), { code: 'NO_AUTH' }, path)

  const { status, stdout } = await operate(['doctor', '--json', '--data', data])
  const { findings } = JSON.parse(stdout) as Diagnosis
  t.same(findings.filter(({ code }) => code === 'znode_open'), [])
  t.same([status, findings.filter(({ level }) => level === 'problem').map(({ code, subjects }) => [code, subjects])], [1, [['znode_left_over', ['/edges/old']], ['node_refuses', ['old']]]], 'what a stranger had left there is named')
  for (const env of [{ ZOOKEEPER_CONNECT: connect }, {}]) {
    const beside = await operate(['drain', 'edge-1'], { env, folder })
    t.equal(beside.status, 0, beside.stderr)
    t.equal((await operate(['undrain', 'edge-1'], { env, folder })).status, 0)
  }
  t.match(await operate(['edges'], { env: { ZOOKEEPER_CONNECT: connect } }), { status: 1, stderr: /we have no credentials/ }, 'elsewhere')
  const viewer = await watchReady(t, cluster.stream('demo'))
  const { id } = await cluster.say('demo', 'hello')
  await viewer.waitFor(event => event.id === id)
  await cluster.stop()
  const password = secret(cluster, 'zookeeper-auth').split(':')[1]!
  const logs = ['../zookeeper/zookeeper.log', 'edge-1.log', 'edge-1.err', 'dispatcher-1.log', 'gateway-1.log'].map(name => readFileSync(join(data, 'logs', name), 'utf8'))
  t.notMatch(logs.join(''), password)

  t.comment('once more: the credentials are the same')
  const before = secret(cluster, 'zookeeper-auth')
  const again = await startCluster(t, SMALL, { data, env: { ZOOKEEPER_AUTH: 'somebody:else-entirely' } })
  t.equal(secret(again, 'zookeeper-auth'), before)
  await again.say('demo', 'hello')
  const root = await openZk(t, again.zookeeperEnv.ZOOKEEPER_CONNECT, { auth: ['somebody:else-entirely'] })
  t.ok((await root.getChildren(EDGES)).names.includes('edge-1'), 'credentials of the environment come first, and open what the folder\'s had closed')
})

/** What an npm start left that knew no credentials, and a stranger's entry in it. */
async function anOpenRegistry(data: string): Promise<void> {
  mkdirSync(data, { recursive: true })
  writeFileSync(join(data, 'identity.json'), '{"id":"0a1b2c3d","name":"old","chroot":"/live-comments-0a1b2c3d"}\n')
  const server = await startLocalServer({ folder: join(data, 'zookeeper'), heapMb: 128 })
  const zk = new Zk(`${server.connect}/live-comments-0a1b2c3d`)
  try {
    await zk.ready(AbortSignal.timeout(10_000))
    for (const path of [EDGES, HOLDINGS, DISPATCHERS, GATEWAYS, '/control/drain', '/control/clocks']) await zk.ensure(path)
    await zk.create('/control/cluster', printNode({ id: '0a1b2c3d', name: 'old' }))
    await zk.create('/control/expected', printNode({ gateways: 1, edges: 3, dispatchers: 2 }))
    await zk.create('/control/drain/edge-9', printNode({ instance: 'gone' }))
    await zk.create(`${EDGES}/old`, printNode(edgeNode('old', { state: 'draining', internalUrl: 'http://127.0.0.1:1' })))
  } finally {
    await zk.close()
    await server.stop()
  }
}
