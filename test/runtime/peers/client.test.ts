import { createServer, type Server, type Socket } from 'node:net'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { HttpServer } from '../../../runtime/http/server.js'
import type { Log } from '../../../runtime/log.js'
import { failureOf, InternalClient } from '../../../runtime/peers/client.js'
import { internalServer } from '../../../runtime/peers/internal-server.js'
import type { PeerError, PeerFailure } from '../../../runtime/peers/peer-error.js'
import { until } from '../../support/until.js'

function newClient(t: Test, token?: string): InternalClient {
  const client = new InternalClient(token)
  t.after(() => client.close())
  return client
}

/** A TCP server of ill manners. */
async function bare(t: Test, onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

function serve(t: Test, server: HttpServer): string {
  t.after(() => server.close())
  return `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
}

const node = (token?: string, log?: Log, metrics = new Registry()) =>
  internalServer({ token, metrics, identity: { id: 'e1', instance: 'i1', version: '1' }, notReady: () => 'still loading', onBug: () => {}, ...(log ? { log } : {}) })
const failed = (failure: PeerFailure, more: { status?: number } = {}) => ({ name: 'PeerError', failure, ...more })
const ping = { method: 'GET', path: '/internal/ping', timeoutMs: 2_000 } as const

t.test('an answer is its body', async t => {
  const url = serve(t, new HttpServer({ onBug: () => {} }).route('POST', '/echo', async exchange => ({ status: 200, body: await exchange.body(1_000) })))
  const client = newClient(t)
  t.equal((await client.call(url, { path: '/echo?x=1', body: 'ä', timeoutMs: 2_000 })).toString(), 'ä')
  t.equal((await client.call(url, { path: '/echo', body: Buffer.from([0, 255]), timeoutMs: 2_000 })).length, 2)
})

t.test('an answer that comes in pieces is put together', async t => {
  const url = await bare(t, socket => {
    socket.setNoDelay(true)
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
      setImmediate(() => socket.write('2\r\nde\r\n0\r\n\r\n'))
    })
  })
  t.equal((await newClient(t).call(url, ping)).toString(), 'abcde')
})

t.test('a call that takes too long is broken off at the peer, too', async t => {
  let closed = 0
  const url = await bare(t, socket => socket.once('close', () => closed++))
  await t.rejects(newClient(t).call(url, { ...ping, timeoutMs: 50 }), failed('timeout'))
  await until(() => closed === 1, { what: 'the end of the connection' })
})

t.test('a ping tells who answers, and its clock', async t => {
  const { now, ...identity } = JSON.parse((await newClient(t).call(serve(t, node()), ping)).toString()) as { now: number }
  t.same(identity, { id: 'e1', instance: 'i1', version: '1' })
  t.ok(Math.abs(Date.now() - now) < 2_000)
})

t.test('nothing listens: refused', async t => {
  await t.rejects(newClient(t).call('http://127.0.0.1:1', ping), failed('refused'))
})

t.test('a connection and then silence, or half an answer: timeout, when it was due', async t => {
  for (const half of ['', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf']) {
    const url = await bare(t, socket => socket.write(half))
    const started = performance.now()
    await t.rejects(newClient(t).call(url, { ...ping, timeoutMs: 150 }), failed('timeout'), JSON.stringify(half))
    t.ok(performance.now() - started < 1_000)
  }
})

t.test('the time that is left is seldom a whole number', async t => {
  const client = newClient(t)
  t.match(JSON.parse((await client.call(serve(t, node()), { ...ping, timeoutMs: 2_000.25 })).toString()), { id: 'e1' })
  await t.rejects(client.call(await bare(t, () => {}), { ...ping, timeoutMs: 50.5 }), failed('timeout'))
})

t.test('the connection breaks under way: lost', async t => {
  const client = newClient(t)
  for (const half of ['', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'SSH-2.0 hello\r\n']) {
    const url = await bare(t, socket => socket.once('data', () => socket.end(half)))
    await t.rejects(client.call(url, ping), failed('lost'), JSON.stringify(half))
  }
  const reset = await bare(t, socket => socket.once('data', () => socket.resetAndDestroy()))
  await t.rejects(client.call(reset, ping), failed('lost'), 'reset')
})

t.test('an error status: status, with the body', async t => {
  const client = newClient(t)
  await t.rejects(client.call(serve(t, node()), { ...ping, path: '/readyz' }), failed('status', { status: 503 }))
  const error = (await client.call(serve(t, node()), { ...ping, path: '/nowhere' }).catch((error: unknown) => error)) as PeerError
  t.match(error.body?.toString(), /"NOT_FOUND"/)
})

t.test('a call for an instance that is gone is refused by the one that took its place', async t => {
  const client = newClient(t)
  const url = serve(t, node())
  await client.call(url, { ...ping, to: 'i1' })
  await t.rejects(client.call(url, { ...ping, to: 'i0' }), failed('refused', { status: 421 }))
})

t.test('another version of the wire: wire', async t => {
  const client = newClient(t)
  const lines: unknown[] = []
  const log = { warn: (fields: object, event: string) => void lines.push({ event, ...fields }) } as unknown as Log
  const metrics = new Registry()
  const url = serve(t, node(undefined, log, metrics))
  for (let i = 0; i < 3; i++) await t.rejects(client.call(url, { ...ping, headers: { 'x-live-wire': '999' } }), failed('wire', { status: 409 }))
  t.match(lines, [{ event: 'peer_refused', code: 'WRONG_WIRE_VERSION', reason: 'this node speaks wire version 1' }])
  t.equal(lines.length, 1, 'one that asks again and again is told of once')
  t.match(await metrics.metrics(), 'live_internal_refusals_total{code="WRONG_WIRE_VERSION"} 3')
})

t.test('this process cannot try: local', async t => {
  const client = new InternalClient(undefined)
  await client.close()
  await t.rejects(client.call('http://127.0.0.1:1', ping), failed('local'))
  t.equal(failureOf(Object.assign(new Error(), { code: 'EMFILE' })), 'local')
  t.equal(failureOf(new Error('outer', { cause: new AggregateError([Object.assign(new Error(), { code: 'ECONNREFUSED' })]) })), 'refused')
})

t.test('health is open to all, the rest wants the token where one is set', async t => {
  const url = serve(t, node('a token of the cluster'))
  const stranger = newClient(t)
  t.match(JSON.parse((await stranger.call(url, { ...ping, path: '/healthz' })).toString()), { status: 'ok' })
  for (const path of ['/internal/ping', '/metrics', '/internal/other']) await t.rejects(stranger.call(url, { ...ping, path }), failed('status', { status: 401 }), path)
  await t.rejects(newClient(t, 'another token of the cluster').call(url, ping), failed('status', { status: 401 }))
  t.match(JSON.parse((await newClient(t, 'a token of the cluster').call(url, ping)).toString()), { id: 'e1', instance: 'i1', version: '1', now: Number })
})
