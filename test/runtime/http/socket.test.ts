import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { WebSocket, type ClientOptions } from 'ws'
import { TO_HEADER, WIRE_HEADER, WIRE_VERSION } from '../../../protocol/wire.js'
import { json } from '../../../runtime/http/reply.js'
import { HttpServer } from '../../../runtime/http/server.js'
import type { Socket, SocketLimits } from '../../../runtime/http/socket.js'
import { internalServer } from '../../../runtime/peers/internal-server.js'
import { until } from '../../support/until.js'

/** One socket at the server, and what it was told. */
interface Opened {
  readonly socket: Socket
  readonly came: string[]
  drains: number
  closes: number
}

function serve(t: Test, limits: Partial<SocketLimits> = {}, server = new HttpServer({ onBug: error => t.fail(String(error)) })) {
  const opened: Opened[] = []
  server.route('GET', '/healthz', () => json({ status: 'ok' }))
  server.socket('/internal/talk', { maxMessageBytes: 1_000, maxUnsentBytes: 4_000_000, idleSeconds: 12, ...limits }, socket => {
    const each: Opened = { socket, came: [], drains: 0, closes: 0 }
    opened.push(each)
    return { message: bytes => void each.came.push(bytes.toString()), drained: () => void each.drains++, closed: () => void each.closes++ }
  })
  t.after(() => server.close())
  const port = server.listen('127.0.0.1', 0)
  const open = async (options: ClientOptions = {}) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/internal/talk`, { perMessageDeflate: false, ...options })
    t.after(() => ws.terminate())
    const messages: Buffer[] = []
    let code: number | undefined
    ws.on('message', data => void messages.push(data as Buffer)).on('close', given => void (code = given)).on('error', () => {})
    await once(ws, 'open')
    return { ws, messages, code: () => code, mine: opened.at(-1)! }
  }
  /** @returns the status with which an upgrade was refused */
  const refusal = (headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/internal/talk`, { perMessageDeflate: false, headers })
      ws.on('unexpected-response', (_, response) => {
        ws.terminate()
        resolve(response.statusCode!)
      })
      ws.on('open', () => {
        ws.terminate()
        reject(new Error('opened'))
      })
      ws.on('error', () => {})
    })
  return { port, opened, open, refusal }
}

t.test('messages go both ways, whole and in order', async t => {
  const { open } = serve(t)
  const { ws, messages, mine } = await open()
  for (const text of ['', 'one', 'x'.repeat(1_000)]) ws.send(Buffer.from(text))
  await until(() => mine.came.length === 3)
  t.same(mine.came, ['', 'one', 'x'.repeat(1_000)])
  const large = Buffer.alloc(500_000, 'y')
  t.same([mine.socket.send(Buffer.from('a')), mine.socket.send(large), mine.socket.send(Buffer.from('b'))], [true, true, true])
  await until(() => messages.length === 3)
  t.same(messages.map(({ length }) => length), [1, 500_000, 1])
  t.ok(messages[1]!.equals(large))
  await until(() => mine.socket.unsentBytes === 0)
})

t.test('the guard refuses an upgrade with the status of its error', async t => {
  const token = 'a-token-of-the-parts'
  const own = { [WIRE_HEADER]: String(WIRE_VERSION), authorization: `Bearer ${token}` }
  const metrics = new Registry()
  const server = internalServer({ token, metrics, identity: { id: 'e', instance: 'i1', version: '0' }, notReady: () => undefined, onBug: error => t.fail(String(error)) })
  const { refusal, open, opened } = serve(t, {}, server)
  t.equal(await refusal({ [WIRE_HEADER]: String(WIRE_VERSION) }), 401)
  t.equal(await refusal({ ...own, authorization: 'Bearer wrong' }), 401)
  t.equal(await refusal({ authorization: own.authorization }), 403, 'without a wire version')
  t.equal(await refusal({ ...own, [WIRE_HEADER]: '999' }), 409)
  t.equal(await refusal({ ...own, [TO_HEADER]: 'i2' }), 421)
  const browsers: readonly Record<string, string>[] = [{ origin: 'http://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-mode': 'websocket' }]
  for (const browser of browsers) t.equal(await refusal({ ...own, ...browser }), 403, JSON.stringify(browser))
  t.equal(opened.length, 0)
  t.match(await metrics.metrics(), 'live_internal_refusals_total{code="UNAUTHORIZED"} 2')
  await open({ headers: { ...own, [TO_HEADER]: 'i1' } })
  t.equal(opened.length, 1)
})

t.test('a request that is no upgrade finds nothing at the path, and the rest of the server goes on', async t => {
  const { port, opened } = serve(t)
  t.equal((await fetch(`http://127.0.0.1:${port}/internal/talk`)).status, 404)
  t.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200)
  t.equal(opened.length, 0)
})

t.test('text is not a message: the socket is closed', async t => {
  const { open } = serve(t)
  const { ws, mine, code } = await open()
  ws.send('text')
  await until(() => code() !== undefined)
  await until(() => mine.closes === 1)
  t.same(mine.came, [])
})

t.test('a message that is too large closes the socket', async t => {
  const { open } = serve(t)
  for (const size of [1_001, 100_000]) {
    const { ws, mine, code } = await open()
    ws.send(Buffer.alloc(size))
    await until(() => code() !== undefined && mine.closes === 1)
    t.same(mine.came, [], `${size} bytes`)
  }
  const { ws, mine } = await open()
  ws.send(Buffer.alloc(1_000))
  await until(() => mine.came.length === 1)
})

t.test('what a client does not read is unsent, what is more than may be is lost, and what it then reads drains', async t => {
  const { open } = serve(t, { maxUnsentBytes: 1_000_000 })
  const { ws, messages, mine } = await open()
  ws.pause()
  const message = Buffer.alloc(100_000, 'z')
  let taken = 0
  while (mine.socket.send(message)) {
    if (++taken > 500) throw new Error('it takes everything')
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  t.ok(mine.socket.unsentBytes > 500_000 && mine.socket.unsentBytes <= 1_100_000, `${mine.socket.unsentBytes} bytes`)
  t.same([mine.drains, mine.closes], [0, 0])
  ws.resume()
  await until(() => mine.socket.unsentBytes === 0)
  await until(() => messages.length === taken, { what: 'all that was taken' })
  t.ok(mine.drains > 0)
  t.ok(messages.every(({ length }) => length === message.length))
  t.ok(mine.socket.send(message))
  await until(() => messages.length === taken + 1)
})

t.test('either end may close, each is told once, and a socket that is closed does nothing', async t => {
  const { open } = serve(t)
  const closers = [
    ({ ws }: { ws: WebSocket }) => ws.close(),
    ({ ws }: { ws: WebSocket }) => ws.terminate(),
    ({ mine }: { mine: Opened }) => mine.socket.close(),
  ]
  for (const close of closers) {
    const side = await open()
    const { mine, code } = side
    close(side)
    await until(() => mine.closes === 1 && code() !== undefined)
    const { socket } = mine
    socket.close()
    t.same([socket.send(Buffer.from('x')), socket.unsentBytes, mine.closes], [false, 0, 1])
  }
})

t.test('a socket may be closed as it opens and from within a message', async t => {
  const server = new HttpServer({ onBug: error => t.fail(String(error)) })
  let closes = 0
  server.socket('/now', { maxMessageBytes: 100, maxUnsentBytes: 100, idleSeconds: 12 }, socket => {
    socket.close()
    return { message: () => t.fail('a message'), drained: () => {}, closed: () => void closes++ }
  })
  server.socket('/then', { maxMessageBytes: 100, maxUnsentBytes: 100, idleSeconds: 12 }, socket => ({
    message: () => {
      socket.close()
      t.equal(socket.send(Buffer.from('x')), false)
    },
    drained: () => {},
    closed: () => void closes++,
  }))
  const port = server.listen('127.0.0.1', 0)
  t.after(() => server.close())
  for (const [i, path] of ['/now', '/then'].entries()) {
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false })
    ws.on('error', () => {}).on('open', () => ws.send(Buffer.from('x')))
    await new Promise(resolve => ws.on('close', resolve))
    await until(() => closes === i + 1, { timeoutMs: 5_000, what: `the end of ${path}` })
  }
})

t.test('bytes that are no WebSocket after the upgrade close it', async t => {
  const { port, opened } = serve(t)
  const raw = connect(port, '127.0.0.1')
  t.after(() => raw.destroy())
  raw.on('error', () => {})
  raw.write('GET /internal/talk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
  await once(raw, 'data')
  const closed = once(raw, 'close')
  raw.resume().write('GET / HTTP/1.1\r\n\r\n')
  await closed
  await until(() => opened[0]!.closes === 1)
  t.same(opened[0]!.came, [])
})
