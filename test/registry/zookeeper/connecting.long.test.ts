import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Zk } from '../../../registry/zookeeper/client.js'
import { connectionManagerOf } from '../../../registry/zookeeper/internals.js'
import type { Loss } from '../../../registry/zookeeper/loss.js'
import { openHole } from '../../support/hole.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { until } from '../../support/until.js'
import { openZk, startZooKeeper } from '../../support/zookeeper.js'

/** The library's own limit for one attempt to connect, with two and with three servers. */
const CONNECT_LIMIT_MS = 2_500

const server = await startZooKeeper(t)
t.jobs = 6 // they wait nearly all the time

/** A client whose servers are tried in the order in which they are given. */
function openInOrder(t: Test, connect: string, onSuspended: (loss: Loss | undefined) => void): Zk {
  const { random } = Math
  Math.random = ascending()
  try {
    const zk = new Zk(connect, { onSuspended })
    t.after(() => zk.close())
    return zk
  } finally {
    Math.random = random
  }
}

function ascending(): () => number {
  let n = 0
  return () => ++n / 1_000
}

for (const holes of [1, 2]) {
  t.test(`a client of ${holes + 1} servers, ${holes} of which drop every SYN, is connected within seconds and stays so`, async t => {
    const ports = await Promise.all(Array.from({ length: holes }, () => openHole(t)))
    const losses: (Loss | undefined)[] = []
    const since = performance.now()
    const zk = openInOrder(t, [...ports.map(port => `127.0.0.1:${port}`), server.connect].join(','), loss => losses.push(loss))
    t.equal(connectionManagerOf(zk.session.client).servers.at(-1)?.port, server.port, 'the server that lives is tried last')
    await zk.ready(AbortSignal.timeout(4_000))
    const tookMs = performance.now() - since
    t.ok(tookMs > holes * 500, `the others were waited for: ${Math.round(tookMs)} ms`)
    await sleep(2 * CONNECT_LIMIT_MS)
    t.same(losses, [])
    t.type(await zk.exists('/'), Object)
    t.equal(zk.session.trouble, undefined)
  })
}

t.test('a server is reached at an IPv6 address', async t => {
  const front = createServer(client => {
    const target = connect(server.port, '127.0.0.1')
    for (const socket of [client, target]) socket.on('error', () => {})
    client.pipe(target).pipe(client)
  }).listen(0, '::1')
  t.after(() => front.close())
  await once(front, 'listening')
  const { port } = front.address() as { port: number }
  const zk = await openZk(t, `[::1]:${port}/ipv6`)
  await zk.ensure('/edges')
  t.type(await zk.exists('/edges'), Object)
})

t.test('a server that grants the session and refuses the first call is asked seldom, and its reason is known', async t => {
  const strict = await startZooKeeper(t, { jvmFlags: ['-Dzookeeper.enforce.auth.enabled=true', '-Dzookeeper.enforce.auth.schemes=digest'] })
  const proxy = await TcpProxy.open(t, strict.port)
  const losses: (Loss | undefined)[] = []
  const zk = new Zk(`127.0.0.1:${proxy.port}/live`, {
    onConnected: () => void zk.getChildren('/edges').catch(() => {}),
    onSuspended: loss => losses.push(loss),
  })
  t.after(() => zk.close())
  await until(() => losses.length >= 2, { what: 'it is refused twice' })
  await sleep(4_000)
  t.ok(proxy.accepted <= 9, `${proxy.accepted} connections in 4 s`)
  t.match(losses[0], { code: 'SESSION_CLOSED_REQUIRE_SASL_AUTH', server: `127.0.0.1:${proxy.port}` })
  t.equal(zk.session.trouble?.code, 'SESSION_CLOSED_REQUIRE_SASL_AUTH')
  const known = await openZk(t, `127.0.0.1:${proxy.port}/live`, { auth: ['parts:right'] })
  await known.ensure('/edges')
})

t.test('a server that hangs up at a call that is too long for it is asked seldom, and the call is named', async t => {
  const narrow = await startZooKeeper(t, { jvmFlags: ['-Djute.maxbuffer=4096'] })
  const proxy = await TcpProxy.open(t, narrow.port)
  const losses: (Loss | undefined)[] = []
  const zk = new Zk(`127.0.0.1:${proxy.port}`, {
    onConnected: () => void zk.create('/long', Buffer.alloc(5_000)).catch(() => {}),
    onSuspended: loss => losses.push(loss),
  })
  t.after(() => zk.close())
  await until(() => losses.length >= 2, { what: 'it hangs up twice' })
  await sleep(4_000)
  t.ok(proxy.accepted <= 9, `${proxy.accepted} connections in 4 s`)
  t.match(losses[0], { code: 'HUNG_UP', unanswered: /^CREATE \/long, 50\d\d bytes$/ })
})

t.test('why there is no connection is known, and forgotten once one has lived', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  proxy.refusing = true
  const zk = new Zk(`127.0.0.1:${proxy.port}`)
  t.after(() => zk.close())
  await until(() => zk.session.trouble)
  t.match(zk.session.trouble, { code: 'HUNG_UP', server: `127.0.0.1:${proxy.port}` })
  proxy.silent = true
  proxy.refusing = false
  await until(() => zk.session.trouble?.code === 'NO_HANDSHAKE')
  await proxy.close()
  await until(() => zk.session.trouble?.code === 'ECONNREFUSED')

  const other = await TcpProxy.open(t, server.port)
  const well = await openZk(t, `127.0.0.1:${other.port}`)
  other.silent = true
  await until(() => well.session.trouble?.code === 'SILENT' || well.session.trouble?.code === 'NO_HANDSHAKE')
  other.silent = false
  await well.ready(AbortSignal.timeout(5_000))
  await until(() => well.session.trouble === undefined, { timeoutMs: 8_000 })
})

t.end()
