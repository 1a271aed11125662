import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { json } from '../../../runtime/http/reply.js'
import { HttpServer } from '../../../runtime/http/server.js'
import { UnreadConnections } from '../../../runtime/http/unread.js'
import { FakeClock } from '../../support/fake-clock.js'
import { sendRaw } from '../../support/raw-request.js'
import { until } from '../../support/until.js'

function unreadConnections() {
  const clock = new FakeClock()
  const told: Record<string, unknown>[] = []
  const metrics = new Registry()
  const unread = new UnreadConnections({ clock, metrics, log: { warn: (fields: unknown) => told.push(fields as Record<string, unknown>) } as never })
  const ended = (address: readonly number[], openMs = 1) => unread.ended(new Uint8Array(address).buffer, openMs)
  const count = async () => (await metrics.getSingleMetric('live_unread_connections_total')!.get()).values[0]!.value
  return { clock, told, unread, ended, count }
}

const minutes = (count: number) => count * 60_000
const LOOPBACK = [127, 0, 0, 1]

function serve(t: Test) {
  const given = unreadConnections()
  const server = new HttpServer({ unread: given.unread, onBug: error => t.fail('a bug', { error }) }).route('GET', '/healthz', () => json({ status: 'ok' }))
  t.after(() => server.close())
  return { ...given, port: server.listen('127.0.0.1', 0) }
}

const UNREADABLE: Readonly<Record<string, string>> = {
  'HTTP/1.0': 'GET /healthz HTTP/1.0\r\n\r\n',
  'HTTP/1.0 with a Host': 'GET /healthz HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n',
  'the whole URL': 'GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: x\r\n\r\n',
  TLS: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
}

for (const [what, bytes] of Object.entries(UNREADABLE)) {
  t.test(`${what} is refused, counted and, the third time, told`, async t => {
    const { port, told, count } = serve(t)
    for (let times = 1; times <= 3; times++) {
      t.equal(told.length, 0)
      const { statuses, closed } = await sendRaw(port, bytes)
      t.match(statuses, [/^(505|400)$/])
      t.ok(closed)
      await until(async () => (await count()) === times)
    }
    t.match(told, [{ from: 'this machine', times: 3 }])
  })
}

t.test('a check of the port is counted; requests are not, answered or left, nor what the server itself does not admit', async t => {
  const { port, count } = serve(t)
  const whole = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
  await sendRaw(port, whole, { enough: ({ statuses }) => statuses.length > 0 })
  await sendRaw(port, whole + 'GET / HTTP/1.0\r\n\r\n') // behind a request, it is somebody who knows better
  t.equal(await count(), 0)
  await sendRaw(port, '', { limitMs: 1 })
  await until(async () => (await count()) === 1)

  const { unread, count: other } = unreadConnections()
  const closed = new HttpServer({ unread, connections: { admits: () => false, keeps: () => true, silent: () => ({ over() {} }), unsure: () => undefined }, onBug: () => {} })
  t.after(() => closed.close())
  t.ok((await sendRaw(closed.listen('127.0.0.1', 0), whole)).closed)
  t.equal(await other(), 0)
})

t.test('a line names the network and no address, comes once an hour for each, and never for the internet', async t => {
  const { clock, told, ended, count } = unreadConnections()
  const times = (count: number, address: readonly number[]) => {
    for (let i = 0; i < count; i++) ended(address)
  }
  await clock.advance(minutes(90))
  times(9, [10, 1, 2, 3])
  t.match(told, [{ from: '10.1.2.0/24', times: 3 }])
  times(9, [0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9])
  t.match(told[1], { from: 'fd00:0:0:1::/64' })
  times(9, [203, 0, 113, 7])
  times(2, LOOPBACK)
  t.equal(told.length, 2)
  await clock.advance(minutes(11))
  times(2, LOOPBACK)
  times(9, [10, 1, 2, 4])
  t.equal(told.length, 2, 'two and two are too far apart; the network has been named')
  await clock.advance(minutes(55))
  times(3, [10, 1, 2, 4])
  t.match(told[2], { from: '10.1.2.0/24' })
  t.equal(await count(), 9 + 9 + 9 + 2 + 2 + 9 + 3)
})

t.test('who connects and sends nothing for a while is a browser ahead of its requests', async t => {
  const { told, ended, count } = unreadConnections()
  for (let i = 0; i < 9; i++) ended(LOOPBACK, 1_500)
  t.same(told, [])
  t.equal(await count(), 0)
})
