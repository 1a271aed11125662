import t from 'tap'
import { printNode, STORE, type ExpectedStore } from '../../protocol/nodes.js'
import { StoreWatch } from '../../registry/expected-store.js'
import { createLog } from '../../runtime/log.js'
import { until } from '../support/until.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

const store = (id: string): ExpectedStore => ({ id, generation: 'g', file: 'here:1:2', stored: 3 })

t.test('which store is expected: who says so first wins, and everybody learns', async t => {
  const server = await startZooKeeper(t)
  const watch = async () => {
    let changes = 0
    const watch = new StoreWatch({ zk: await openZk(t, server.connect), log: createLog('test', 'test', 'silent'), onChange: () => changes++ })
    t.after(() => watch.close())
    await watch.firstRead
    return { watch, changes: () => changes }
  }
  const [one, two] = [await watch(), await watch()]
  for (const { watch } of [one, two]) {
    t.equal(watch.isRead, true)
    t.equal(watch.expected, undefined)
  }
  const won = await Promise.all([one.watch.expect(store('one'), undefined), two.watch.expect(store('two'), undefined)])
  t.equal(won.filter(Boolean).length, 1)
  const winner = won[0] ? 'one' : 'two'
  for (const { watch } of [one, two]) await until(() => watch.expected?.id === winner)

  const first = one.watch.expected
  t.equal(await one.watch.expect(store('three'), undefined), false, 'one is expected by now')
  t.equal(await one.watch.expect(store('three'), first), true)
  await until(() => two.watch.expected?.id === 'three')
  t.equal(await two.watch.expect(store('four'), first), false, 'that is not what stands there any more')
  await two.watch.replace(store('five'))
  await until(() => one.watch.expected?.id === 'five')
  t.ok(one.changes() >= 3)

  const operator = await openZk(t, server.connect)
  await operator.setData(STORE, Buffer.from('rubbish'))
  await operator.setData(STORE, printNode(store('six')))
  await until(() => one.watch.expected?.id === 'six', { what: 'rubbish is passed over' })
  await operator.remove(STORE)
  await until(() => one.watch.expected === undefined && two.watch.expected === undefined)
  await operator.create(STORE, printNode(store('seven')))
  await until(() => one.watch.expected?.id === 'seven' && two.watch.expected?.id === 'seven')
})

t.test('while ZooKeeper is away what was read last stands', async t => {
  const server = await startZooKeeper(t)
  const zk = await openZk(t, server.connect)
  const watch = new StoreWatch({ zk, log: createLog('test', 'test', 'silent'), onChange: () => {} })
  t.after(() => watch.close())
  await watch.firstRead
  await watch.replace(store('one'))
  await server.kill()
  await until(() => !zk.connected)
  t.equal(watch.expected?.id, 'one')
  await t.rejects(watch.expect(store('two'), watch.expected), { code: /^(CONNECTION_LOSS|TIMEOUT)$/ })
  await server.start()
  await until(() => zk.connected)
  await until(() => watch.expect(store('two'), watch.expected).catch(() => false))
  t.equal(watch.expected?.id, 'two')
})
