import t from 'tap'
import { Zk } from '../../../registry/zookeeper/client.js'
import type { SessionListener } from '../../../registry/zookeeper/session.js'
import { expireSession } from '../../support/expire-session.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { next, openZk, startZooKeeper } from '../../support/zookeeper.js'

const server = await startZooKeeper(t)

/** Writes down what happens to a session. */
function recorder(events: string[]): SessionListener {
  return {
    onSession: () => events.push('session'),
    onConnected: () => events.push('connected'),
    onSuspended: () => events.push('suspended'),
    onLost: () => events.push('lost'),
  }
}

t.test('an expired session is followed by a new one within a second', async t => {
  const zk = await openZk(t, server.connect)
  const first = zk.session.id
  await zk.create('/mine', Buffer.alloc(0), { ephemeral: true })
  const events: string[] = []
  zk.session.listen(recorder(events))
  const reopened = next(zk, 'onConnected', 1_000)
  await expireSession(zk.session.client, server.port)
  await reopened
  t.same(events, ['suspended', 'lost', 'session', 'connected'])
  t.not(zk.session.id, first)
  t.equal(zk.session.epoch, 2)
  t.equal(await zk.exists('/mine'), null)
})

t.test('a session survives a restart of the server', async t => {
  const zk = await openZk(t, server.connect)
  const { id } = zk.session
  await zk.create('/survivor', Buffer.alloc(0), { ephemeral: true })
  await server.kill()
  await t.rejects(zk.exists('/survivor'), { code: 'CONNECTION_LOSS' })
  await server.start()
  await zk.ready(AbortSignal.timeout(5_000))
  t.equal(zk.session.id, id)
  t.equal((await zk.exists('/survivor'))?.ephemeralOwner, id)
})

t.test('a client started while the server is away waits for it', async t => {
  await server.kill()
  const zk = new Zk(`${server.connect}/waiting`)
  t.after(() => zk.close())
  await t.rejects(zk.ready(AbortSignal.timeout(200)), { name: 'AbortError' })
  const ready = zk.ready(AbortSignal.timeout(10_000))
  await server.start()
  await ready
  await zk.ensure('/')
})

t.test('a server whose data was wiped is served anew, with a new session', async t => {
  const zk = await openZk(t, `${server.connect}/wiped`, { sessionTimeoutMs: 1_000 })
  await zk.ensure('/a')
  await server.kill()
  server.wipe()
  await server.start()
  await next(zk, 'onSession', 8_000)
  t.equal(zk.session.epoch, 2)
  t.equal(await zk.exists('/a'), null)
  await zk.ensure('/a')
  t.type(await zk.exists('/a'), Object)
})

t.test('listeners are called in the order in which they were added, until they stop', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  const told: string[] = []
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`, { onSuspended: () => told.push('first') })
  const stop = zk.session.listen({ onSuspended: () => told.push('second') })
  zk.session.listen({ onSuspended: () => told.push('third') })
  for (const expected of [['first', 'second', 'third'], ['first', 'third']]) {
    const suspended = next(zk, 'onSuspended')
    proxy.cut()
    await suspended
    t.same(told.splice(0), expected)
    stop()
    await zk.ready(AbortSignal.timeout(5_000))
  }
})

t.end()
