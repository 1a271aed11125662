import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { CalmLog } from '../../registry/calm-log.js'
import { zookeeperReady } from '../../registry/start.js'
import { Zk } from '../../registry/zookeeper/client.js'
import { systemClock } from '../../runtime/clock.js'
import { until } from '../support/until.js'
import { startZooKeeper } from '../support/zookeeper.js'

t.test('a process started while ZooKeeper is away says what it waits for until it comes', async t => {
  const server = await startZooKeeper(t)
  await server.kill()
  const lines: string[] = []
  const log = pino({ messageKey: 'event' }, new Writable({ write: (chunk: Buffer, _, done) => (lines.push(chunk.toString()), done()) }))
  const zk = new Zk(server.connect)
  t.after(() => zk.close())
  let ready = false
  const waiting = zookeeperReady(zk, server.connect, new CalmLog({ log, clock: systemClock })).then(() => (ready = true))
  await until(() => lines.length > 0)
  t.match(JSON.parse(lines[0]!), { event: 'waiting_for_zookeeper', zookeeper: server.connect })
  t.notOk(ready)
  await server.start()
  await waiting
  t.ok(zk.connected)
})

t.test('waiting ends when it is told to', async t => {
  const zk = new Zk('127.0.0.1:1')
  t.after(() => zk.close())
  await t.rejects(zookeeperReady(zk, '127.0.0.1:1', new CalmLog({ log: pino({ level: 'silent' }), clock: systemClock }), AbortSignal.timeout(50)), { name: 'AbortError' })
})
