import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { DISPATCHERS, EDGES, HOLDINGS, printHoldings, printNode } from '../../protocol/nodes.js'
import { LINGER_MS, type Change } from '../../registry/view.js'
import { RegistryWatcher } from '../../registry/watcher.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import { ZkError } from '../../registry/zookeeper/zk-error.js'
import type { Log } from '../../runtime/log.js'
import { expireSession } from '../support/expire-session.js'
import { FakeClock } from '../support/fake-clock.js'
import { dispatcherNode, edgeNode } from '../support/nodes.js'
import { until } from '../support/until.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'


function watch(t: Test, zk: Zk) {
  const clock = new FakeClock()
  const lines: Record<string, unknown>[] = []
  const say = (fields: object, event: string) => void lines.push({ event, ...fields })
  const log = { info: say, warn: say } as unknown as Log
  const metrics = new Registry()
  const watcher = new RegistryWatcher({ zk, clock, log, metrics, watch: ['edges', 'holdings', 'dispatchers'] })
  t.after(() => watcher.close())
  const told: Change[] = []
  watcher.onChange(change => told.push(change))
  const gauge = async (name: string) => (await metrics.getSingleMetric(name)!.get()).values[0]?.value
  return { watcher, clock, told, gauge, lines }
}

/** A watcher on a connection of its own that has read one edge, e1, which `other` can change. */
async function watchOneEdge(t: Test) {
  const server = await startZooKeeper(t)
  const own = await openZk(t, server.connect)
  const other = await openZk(t, server.connect)
  for (const path of [EDGES, HOLDINGS, DISPATCHERS]) await other.ensure(path)
  await other.create(`${EDGES}/e1`, printNode(edgeNode('e1')))
  const { watcher, clock } = watch(t, own)
  await until(() => watcher.loaded)
  return { server, own, other, watcher, clock }
}

const videos = (entries: Record<string, number>, instance = 'i1') => printHoldings({ instance, videos: new Map(Object.entries(entries)) })

t.test('the view follows the registry, and each change is told once it is in the view', async t => {
  const server = await startZooKeeper(t)
  const own = await openZk(t, `${server.connect}/c`)
  const other = await openZk(t, `${server.connect}/c`)
  for (const path of [EDGES, HOLDINGS, DISPATCHERS]) await other.ensure(path)
  await other.create(`${EDGES}/e1`, printNode(edgeNode('e1')))
  await other.create(`${HOLDINGS}/e1`, videos({ v: 3 }))
  const { watcher, told, gauge } = watch(t, own)
  t.notOk(watcher.loaded)
  t.ok(watcher.stale, 'nothing has been read')
  await until(() => watcher.loaded)
  t.equal(watcher.stalenessMs(), 0)
  t.notOk(watcher.stale)
  t.equal(watcher.view.viewersOf('v'), 3)
  t.equal(await gauge('live_registry_edges'), 1)
  t.equal(await gauge('live_registry_videos'), 1)
  t.equal(await gauge('live_registry_connected'), 1)

  told.length = 0
  const seen = new Promise<number>(resolve => {
    const stop = watcher.onChange(() => {
      resolve(watcher.view.viewersOf('v'))
      stop()
    })
  })
  await other.setData(`${HOLDINGS}/e1`, videos({ v: 5 }))
  t.equal(await seen, 5)
  await other.create(`${DISPATCHERS}/d1`, printNode(dispatcherNode('d1')))
  await until(() => watcher.view.dispatcher('d1'))
  t.same(told.map(({ kind, id }) => [kind, id]), [['holdings', 'e1'], ['dispatcher', 'd1']])
})

t.test('rubbish is counted, named and ignored, and mends', async t => {
  const server = await startZooKeeper(t)
  const zk = await openZk(t, server.connect)
  for (const path of [EDGES, HOLDINGS, DISPATCHERS]) await zk.ensure(path)
  await zk.create(`${EDGES}/e1`, Buffer.from('rubbish'))
  await zk.create(`${EDGES}/e2`, printNode(edgeNode('another')))
  await zk.create(`${HOLDINGS}/e3`, Buffer.from('rubbish'))
  await zk.create(`${EDGES}/e4`, printNode(edgeNode('e4')))
  const { watcher, told, gauge } = watch(t, zk)
  await until(() => watcher.loaded)
  t.same([...watcher.rubbish].sort(), [`${EDGES}/e1`, `${EDGES}/e2`, `${HOLDINGS}/e3`])
  t.same(told.map(({ id }) => id), ['e4'])
  t.equal(await gauge('live_registry_rubbish_total'), 3)
  await zk.setData(`${EDGES}/e4`, Buffer.from('{}'))
  await until(() => watcher.rubbish.has(`${EDGES}/e4`))
  t.ok(watcher.view.edge('e4'), 'what was known stays')
  await zk.setData(`${EDGES}/e1`, printNode(edgeNode('e1')))
  await until(() => watcher.view.edge('e1'))
  await zk.remove(`${EDGES}/e2`)
  await until(() => watcher.rubbish.size === 2)
})

t.test('while ZooKeeper is away the view stays, nobody lingers out, and its age is known', async t => {
  const server = await startZooKeeper(t)
  const own = await openZk(t, server.connect)
  const other = await openZk(t, server.connect)
  for (const path of [EDGES, HOLDINGS, DISPATCHERS]) await other.ensure(path)
  await other.create(`${EDGES}/e1`, printNode(edgeNode('e1')), { ephemeral: true })
  const { watcher, clock, told, gauge, lines } = watch(t, own)
  await until(() => watcher.view.edge('e1') && watcher.loaded)
  await other.remove(`${EDGES}/e1`)
  await until(() => watcher.view.lingers('e1'))
  await server.kill()
  await until(() => !own.connected)
  await clock.advance(LINGER_MS * 10)
  t.ok(watcher.view.edge('e1'), 'time without ZooKeeper does not count')
  t.equal(watcher.stalenessMs(), LINGER_MS * 10)
  t.ok(watcher.stale)
  t.equal(await gauge('live_registry_staleness_seconds'), LINGER_MS / 100)
  t.equal(await gauge('live_registry_connected'), 0)
  t.ok(watcher.loaded)
  t.same(lines, Array.from({ length: Math.floor((LINGER_MS * 10) / 30_000) }, (_, i) => ({ event: 'registry_stale', staleMs: 30_000 * (i + 1) })), 'its age is said every half minute')

  await server.start()
  await until(() => watcher.stalenessMs() === 0)
  t.same(lines.at(-1), { event: 'registry_current', staleMs: LINGER_MS * 10 })
  told.length = 0
  await clock.advance(LINGER_MS - 500)
  t.ok(watcher.view.edge('e1'))
  await clock.advance(500)
  t.notOk(watcher.view.edge('e1'))
  t.same(told, [{ kind: 'edge', id: 'e1', node: undefined }], 'the forgetting is told too')
})

t.test('who vanished lingers as long in a busy process, and a pause of it uses up little of that', async t => {
  const { other, watcher, clock } = await watchOneEdge(t)
  await other.remove(`${EDGES}/e1`)
  await until(() => watcher.view.lingers('e1'))
  await clock.freeze(600_000)
  t.ok(watcher.view.edge('e1'))
  for (let busyMs = 0; busyMs < LINGER_MS - 2_000; busyMs += 1_000) await clock.freeze(1_000)
  t.ok(watcher.view.edge('e1'))
  for (let busyMs = 0; busyMs < 2_000; busyMs += 1_000) await clock.freeze(1_000)
  t.notOk(watcher.view.edge('e1'))
})

t.test('a lost session is made good, with what changed meanwhile', async t => {
  const { server, own, other, watcher } = await watchOneEdge(t)
  await expireSession(own.session.client, server.port)
  await until(() => own.connected && own.session.epoch === 2)
  await other.setData(`${EDGES}/e1`, printNode(edgeNode('e1', { viewers: 9 })))
  await until(() => watcher.view.edge('e1')?.viewers === 9)
  await until(() => watcher.stalenessMs() === 0)
})

t.test('a view of which something could not be read is stale, though ZooKeeper is connected', async t => {
  const { own, other, watcher } = await watchOneEdge(t)
  const getData = own.getData.bind(own)
  own.getData = path => Promise.reject(new ZkError('THROTTLED_OP', 'getData', path, true))
  await other.setData(`${EDGES}/e1`, printNode(edgeNode('e1', { viewers: 9 })))
  await until(() => watcher.stale)
  t.ok(own.connected)
  own.getData = getData
  await until(() => !watcher.stale)
  t.equal(watcher.view.edge('e1')?.viewers, 9)
})
