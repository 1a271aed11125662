import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createClient, type Client } from 'node-zookeeper-client'
import { BackOff } from '../../../registry/zookeeper/back-off.js'
import { Zk } from '../../../registry/zookeeper/client.js'
import { printServer } from '../../../registry/zookeeper/connect-string.js'
import { abandon, harden } from '../../../registry/zookeeper/harden.js'
import { connectionManagerOf, ConnectionState, jute, type LibraryError } from '../../../registry/zookeeper/internals.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { until } from '../../support/until.js'
import { next, openZk, startZooKeeper } from '../../support/zookeeper.js'

const server = await startZooKeeper(t)
const setUp = await openZk(t, server.connect)

/** The library's client, repaired, behind a network of its own. */
async function clientBehindProxy(t: Test): Promise<{ client: Client; proxy: TcpProxy }> {
  const proxy = await TcpProxy.open(t, server.port)
  const servers = [{ host: '127.0.0.1', port: proxy.port }]
  const client = createClient(printServer(servers[0]!), { sessionTimeout: 4_000, retries: 0 })
  harden(client, { servers, backOff: new BackOff({ servers: 1, maxMs: 500, random: Math.random }), onProtocolError: error => t.fail(error.message) })
  t.after(() => abandon(client))
  client.connect()
  await once(client, 'connected')
  return { client, proxy }
}

async function zkBehindProxy(t: Test, sessionTimeoutMs = 4_000): Promise<{ zk: Zk; proxy: TcpProxy }> {
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`, { sessionTimeoutMs })
  return { zk, proxy }
}

t.test('a frozen server is noticed within the session timeout', async t => {
  const zk = await openZk(t, server.connect, { sessionTimeoutMs: 1_500 })
  const pending = t.rejects(
    next(zk, 'onSuspended').then(() => zk.exists('/')),
    { code: 'CONNECTION_LOSS', sent: false },
  )
  server.freeze()
  t.after(() => server.thaw())
  const call = t.rejects(zk.exists('/'), { code: 'CONNECTION_LOSS', ambiguous: true })
  await next(zk, 'onSuspended', 1_500)
  await Promise.all([pending, call])
  server.thaw()
  await zk.ready(AbortSignal.timeout(10_000))
  t.type(await zk.exists('/'), Object)
})

t.test('a peer that accepts and never answers is given up long before the session timeout', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  proxy.silent = true
  const zk = new Zk(`127.0.0.1:${proxy.port}`, { sessionTimeoutMs: 6_000 })
  t.after(() => zk.close())
  await until(() => proxy.accepted >= 2, { timeoutMs: 5_500, what: 'a second attempt' })
  proxy.silent = false
  await zk.ready(AbortSignal.timeout(5_000))
})

t.test('an answer cut in the middle costs the connection, not the session', async t => {
  const { zk, proxy } = await zkBehindProxy(t)
  const { id, epoch } = zk.session
  zk.session.listen({ onWarning: error => t.fail(error.message) })
  await zk.create('/big', Buffer.alloc(5_000, 7))
  for (const bytes of [2, 10, 30, 3_000]) {
    proxy.cutAfter(bytes)
    await t.rejects(zk.getData('/big'), { code: 'CONNECTION_LOSS' })
    await zk.ready(AbortSignal.timeout(5_000))
    t.equal((await zk.getData('/big')).data.length, 5_000)
  }
  t.same([zk.session.id, zk.session.epoch], [id, epoch])
})

t.test('a client is ended in whatever state it is', async t => {
  await t.test('never connected', async t => {
    const proxy = await TcpProxy.open(t, server.port)
    proxy.refusing = true
    const zk = new Zk(`127.0.0.1:${proxy.port}`)
    await zk.close()
    await t.rejects(zk.exists('/'), { code: 'CONNECTION_LOSS', sent: false })
  })

  await t.test('in the middle of a handshake', async t => {
    const proxy = await TcpProxy.open(t, server.port)
    proxy.silent = true
    const zk = new Zk(`127.0.0.1:${proxy.port}`)
    await until(() => proxy.accepted === 1, { what: 'an attempt to connect' })
    await zk.close()
    proxy.silent = false
    await until(() => proxy.connections === 0, { what: 'the attempt is over' })
  })

  await t.test('disconnected', async t => {
    const { zk, proxy } = await zkBehindProxy(t)
    proxy.refusing = true
    proxy.cut()
    await next(zk, 'onSuspended')
    const { accepted } = proxy
    await until(() => proxy.accepted > accepted, { what: 'another attempt' })
    await zk.close()
    proxy.refusing = false
    await until(() => proxy.connections === 0, { what: 'the last attempt is over' })
  })

  await t.test('connected: its ephemeral nodes go at once', async t => {
    const zk = await openZk(t, server.connect, { sessionTimeoutMs: 10_000 })
    await zk.create('/farewell', Buffer.alloc(0), { ephemeral: true })
    await zk.close()
    t.equal(await setUp.exists('/farewell'), null)
  })
})

t.test('what was not sent before a disconnect fails, and never runs later', async t => {
  const { client, proxy } = await clientBehindProxy(t)
  await setUp.create('/late', Buffer.from('before'))
  proxy.refusing = true
  proxy.cut()
  await once(client, 'disconnected')
  const error = await new Promise<Error | object | null>(resolve => {
    client.setData('/late', Buffer.from('too late'), resolve)
  })
  t.match(error, { name: 'CONNECTION_LOSS' })
  proxy.refusing = false
  await once(client, 'connected')
  await new Promise(resolve => client.exists('/late', resolve))
  t.equal((await setUp.getData('/late')).data.toString(), 'before')
})

t.test('failed handshakes do not pile up packets', async t => {
  const { client, proxy } = await clientBehindProxy(t)
  await new Promise(resolve => client.exists('/awaited', () => {}, resolve))
  proxy.refusing = true
  proxy.cut()
  const { accepted } = proxy
  await until(() => proxy.accepted >= accepted + 6, { what: 'six failed attempts' })
  t.ok(connectionManagerOf(client).packetQueue.queue.length <= 1, 'at most the SetWatches of the present attempt')
})

t.test('more watches than fit one packet are set again after a reconnect', async t => {
  const { zk, proxy } = await zkBehindProxy(t, 10_000)
  const nameBytes = 1_000
  const fired: string[] = []
  const watch = (path: string) => fired.push(path)
  const paths = Array.from({ length: 1_200 }, (_, i) => `/${String(i).padStart(nameBytes, 'x')}`)
  await Promise.all(paths.map(path => zk.exists(path, watch)))
  proxy.cut()
  await next(zk, 'onSuspended')
  await zk.ready(AbortSignal.timeout(5_000))
  // Answered behind the watches: they are set.
  await zk.exists('/')
  const seen = [paths[0]!, paths.at(-1)!]
  for (const path of seen) await setUp.create(path, Buffer.alloc(0))
  await until(() => fired.length === 2, { what: 'the watches fire' })
  t.same(fired, seen)
  t.equal(proxy.accepted, 2, 'one reconnect')
})

t.test('a client that only receives keeps its session by pings', async t => {
  const { zk, proxy } = await zkBehindProxy(t, 1_200)
  const paths = Array.from({ length: 30 }, (_, i) => `/notice-${i}`)
  let fired = 0
  await Promise.all(paths.map(path => zk.exists(path, () => fired++)))
  // Each of these puts off the library's own ping, and together they outlast the session.
  for (const path of paths) {
    await setUp.create(path, Buffer.alloc(0))
    await sleep(100)
  }
  await until(() => fired === paths.length, { what: 'every notice' })
  t.same([zk.session.epoch, proxy.accepted], [1, 1])
})

t.test('the request counter wraps', async t => {
  const zk = await openZk(t, server.connect)
  connectionManagerOf(zk.session.client).xid = 0x7ffffffe - 3
  for (let i = 0; i < 8; i++) t.type(await zk.exists('/'), Object)
  t.ok(connectionManagerOf(zk.session.client).xid < 100)
})

t.test('an error the library does not know is an error like any other', async t => {
  const { client, proxy } = await clientBehindProxy(t)
  const checkWatches = 17
  const { protocol, Request } = jute as unknown as {
    protocol: Record<'RequestHeader' | 'DeleteRequest', new () => { setChrootPath(path?: string): void; byteLength(): number }>
    Request: typeof jute.Request
  }
  // The same shape: a path and a number.
  const payload = Object.assign(new protocol.DeleteRequest(), { path: '/', version: 1 })
  const header = Object.assign(new jute.protocol.RequestHeader(), { type: checkWatches })
  const error = await new Promise<LibraryError | null>(resolve => {
    connectionManagerOf(client).queue(new Request(header, payload), resolve)
  })
  t.match(error, { name: 'NO_WATCHER', code: -121 })
  t.equal(connectionManagerOf(client).state, ConnectionState.connected)
  t.equal(proxy.accepted, 1)
})

t.test('sync is answered, between other calls, without losing the connection', async t => {
  const { zk, proxy } = await zkBehindProxy(t)
  await Promise.all([zk.exists('/'), zk.sync('/'), zk.exists('/'), zk.sync('/'), zk.exists('/')])
  t.equal(proxy.accepted, 1)
  await zk.create('/synced', Buffer.from('x'))
  await setUp.sync('/synced')
  t.equal((await setUp.getData('/synced')).data.toString(), 'x')
})

t.end()
