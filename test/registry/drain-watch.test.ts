import t from 'tap'
import { DRAIN, printNode } from '../../protocol/nodes.js'
import { DrainWatch } from '../../registry/drain-watch.js'
import { createLog } from '../../runtime/log.js'
import { expireSession } from '../support/expire-session.js'
import { until } from '../support/until.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

t.test('an edge learns that an operator wishes it to leave, and that he no longer does', async t => {
  const server = await startZooKeeper(t)
  const zk = await openZk(t, server.connect)
  const operator = await openZk(t, server.connect)
  const told: boolean[] = []
  const watch = new DrainWatch({ zk, log: createLog('test', 'test', 'silent'), id: 'e1', instance: 'i2', onWish: wished => told.push(wished) })
  t.after(() => watch.close())
  const path = `${DRAIN}/e1`

  await operator.ensure(path)
  await operator.setData(path, printNode({ instance: 'i1' })) // its former self
  await operator.setData(path, Buffer.from('rubbish'))
  await operator.setData(path, printNode({ instance: 'i2' }))
  await until(() => told.length === 1)
  await operator.remove(path)
  await until(() => told.length === 2)

  await expireSession(zk.session.client, server.port)
  await until(() => zk.connected && zk.session.epoch === 2)
  await operator.create(path, printNode({ instance: 'i2' }))
  await until(() => told.length === 3)
  t.same(told, [true, false, true])
})

t.test('a wish that stood before the edge did is heard', async t => {
  const server = await startZooKeeper(t)
  const zk = await openZk(t, server.connect)
  await zk.ensure(DRAIN)
  await zk.create(`${DRAIN}/e1`, printNode({ instance: 'i1' }))
  const told: boolean[] = []
  const watch = new DrainWatch({ zk, log: createLog('test', 'test', 'silent'), id: 'e1', instance: 'i1', onWish: wished => told.push(wished) })
  t.after(() => watch.close())
  await until(() => told.length === 1)
  t.same(told, [true])
})
