import { Registry } from 'prom-client'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { EDGES, HOLDINGS, parseEdge, parseHoldings, printHoldings, printNode } from '../../protocol/nodes.js'
import { Announcer } from '../../registry/announcer.js'
import { mayReplaceHoldings, mayReplaceNode } from '../../registry/claim.js'
import { connectionManagerOf } from '../../registry/zookeeper/internals.js'
import { createLog } from '../../runtime/log.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { internalServer } from '../../runtime/peers/internal-server.js'
import { expireSession } from '../support/expire-session.js'
import { edgeNode } from '../support/nodes.js'
import { until } from '../support/until.js'
import { openZk, startZooKeeper, type TestZooKeeper } from '../support/zookeeper.js'

const log = createLog('test', 'test', 'silent')
const noVideos = new Map<string, number>()

function newClient(t: Test): InternalClient {
  const client = new InternalClient(undefined)
  t.after(() => client.close())
  return client
}

/** A node's internal port; `stop` makes it refuse. */
function startNode(t: Test, id: string, instance: string) {
  const server = internalServer({ token: undefined, metrics: new Registry(), identity: { id, instance, version: '1' }, notReady: () => undefined, onBug: error => t.fail(String(error)) })
  const url = `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
  t.after(() => server.close())
  return { url, stop: () => server.close() }
}

/** An edge of instance `instance` that announces itself in a session of its own. */
async function announce(t: Test, server: TestZooKeeper, instance: string, internalUrl: string) {
  const zk = await openZk(t, server.connect)
  const own = { id: 'e1', instance }
  const edge = new Announcer({ zk, log, path: `${EDGES}/e1`, data: printNode(edgeNode('e1', { instance, internalUrl })), mayReplace: mayReplaceNode(own, newClient(t)) })
  t.after(() => edge.close())
  const holdings = new Announcer({ zk, log, path: `${HOLDINGS}/e1`, data: printHoldings({ instance, videos: noVideos }), mayReplace: mayReplaceHoldings(own, edge) })
  t.after(() => holdings.close())
  return { zk, edge, holdings }
}

t.test('our own entry, left by a lost session, is replaced', async t => {
  const server = await startZooKeeper(t)
  const { zk, edge, holdings } = await announce(t, server, 'i1', 'http://127.0.0.1:1')
  await until(() => edge.current && holdings.current)
  await expireSession(zk.session.client, server.port)
  await until(() => zk.session.epoch === 2 && edge.current && holdings.current)
  t.equal((await zk.getData(`${EDGES}/e1`)).stat.ephemeralOwner, zk.session.id)
})

t.test('what is set is announced, and closing leaves the registry', async t => {
  const server = await startZooKeeper(t)
  const { zk, edge } = await announce(t, server, 'i1', 'http://127.0.0.1:1')
  await until(() => edge.up)
  edge.set(printNode(edgeNode('e1', { viewers: 7 })))
  await until(() => edge.current)
  t.equal(parseEdge((await zk.getData(`${EDGES}/e1`)).data).viewers, 7)
  await edge.close()
  t.equal(await zk.exists(`${EDGES}/e1`), null)
  t.notOk(edge.up)
})

t.test('an id whose holder lives is not taken; once the holder refuses connections it is, holdings and all', async t => {
  const server = await startZooKeeper(t)
  const old = startNode(t, 'e1', 'i1')
  const first = await announce(t, server, 'i1', old.url)
  await until(() => first.edge.current && first.holdings.current)
  const second = await announce(t, server, 'i2', 'http://127.0.0.1:1')
  const asked = new InternalClient(undefined)
  t.after(() => asked.close())
  t.equal(await mayReplaceNode({ id: 'e1', instance: 'i2' }, asked)((await first.zk.getData(`${EDGES}/e1`)).data), false)
  t.notOk(second.edge.up)
  t.notOk(second.holdings.up)

  // The first process dies without a word: its session, and so its entries, live on.
  old.stop()
  const manager = connectionManagerOf(first.zk.session.client)
  manager.connect = () => {}
  manager.socket?.destroy()
  await until(() => second.edge.current && second.holdings.current)
  t.equal(parseHoldings((await second.zk.getData(`${HOLDINGS}/e1`)).data).instance, 'i2')
})

t.test('only a refusal or another name at the URL makes an entry nobody\'s', async t => {
  const may = mayReplaceNode({ id: 'e1', instance: 'mine' }, newClient(t))
  const ask = (internalUrl: string, instance = 'i1') => may(printNode(edgeNode('e1', { instance, internalUrl })))
  const silent = createServer(() => {})
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const silentUrl = `http://127.0.0.1:${(silent.address() as { port: number }).port}`
  const guarded = internalServer({ token: 'a token of the cluster', metrics: new Registry(), identity: { id: 'e1', instance: 'i1', version: '1' }, notReady: () => undefined, onBug: error => t.fail(String(error)) })
  t.after(() => guarded.close())
  const guardedUrl = `http://127.0.0.1:${guarded.listen('127.0.0.1', 0)}`

  t.equal(await ask(startNode(t, 'e1', 'i1').url), false, 'it lives')
  t.equal(await ask(startNode(t, 'e1', 'i3').url), true, 'another instance answers')
  t.equal(await ask(startNode(t, 'e2', 'i1').url), true, 'another node answers')
  t.equal(await ask('http://127.0.0.1:1'), true, 'refused')
  t.equal(await ask(silentUrl), false, 'silent: it may be frozen')
  t.equal(await ask(guardedUrl), false, 'it wants another token')
  t.equal(await ask(silentUrl, 'mine'), true, 'our own')
  t.equal(await may(Buffer.from('rubbish')), true, 'rubbish')
})
