import { Buffer } from 'node:buffer'
import { createServer, type AddressInfo } from 'node:net'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { linkWith } from '../../gateway/link-socket.js'
import type { LinkSocket } from '../../gateway/link.js'
import { LINK_PATH } from '../../protocol/link.js'
import { WIRE_HEADER } from '../../protocol/wire.js'
import type { Socket, SocketEvents } from '../../runtime/http/socket.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { internalServer } from '../../runtime/peers/internal-server.js'
import { openHole } from '../support/hole.js'
import { edgeNode } from '../support/nodes.js'
import { until } from '../support/until.js'

const TOKEN = 'a-token-of-the-parts'

interface Served {
  readonly token?: string
  /** What proves that it is this part is made with it; the same by default. */
  readonly hasLink?: boolean
}

function serve(t: Test, { token, hasLink = true }: Served = {}) {
  let port = 0
  const url = () => `http://127.0.0.1:${port}`
  const server = internalServer({ token, metrics: new Registry(), identity: { id: 'e', instance: 'i1', version: '0' }, url, notReady: () => undefined, onBug: error => t.fail(String(error)) })
  const opened: Socket[] = []
  const came: string[] = []
  let closed = 0
  const events: SocketEvents = { message: bytes => void came.push(bytes.toString()), drained: () => {}, closed: () => void closed++ }
  if (hasLink) {
    server.socket(LINK_PATH, { maxMessageBytes: 100, maxUnsentBytes: 1_000_000, idleSeconds: 12 }, socket => {
      opened.push(socket)
      return events
    })
  }
  port = server.listen('127.0.0.1', 0)
  t.after(() => server.close())
  return { url: url(), opened, came, closed: () => closed }
}

function setUp(t: Test, internalUrl: string, { token, instance = 'i1', headers }: { token?: string; instance?: string; headers?: Readonly<Record<string, string>> } = {}) {
  const client = new InternalClient(token, { proof: 'require' })
  t.after(() => client.close())
  const heard: string[] = []
  let isBack = false
  let bytesHeard = 0
  const say = (what: string) => {
    if (!isBack) t.fail(`told before it has returned: ${what}`)
    heard.push(what)
  }
  const connect = linkWith(headers ? { headersFor: () => headers } : client)
  const began = performance.now()
  const socket: LinkSocket = connect(edgeNode('e', { internalUrl, instance }), {
    opened: () => say('opened'),
    heard: () => void bytesHeard++,
    message: bytes => say(bytes.toString()),
    lost: failure => say(`lost: ${failure}`),
  })
  isBack = true
  t.after(() => socket.close())
  const hears = (...what: string[]) => until(() => heard.length >= what.length, { timeoutMs: 8_000, what: what.join() }).then(() => t.same(heard, what))
  return { socket, heard, hears, timesHeard: () => bytesHeard, tookMs: () => performance.now() - began }
}

t.test('messages go both ways in order, and what is sent before the link is open goes first', async t => {
  for (const token of [undefined, TOKEN]) {
    const { url, opened, came, closed } = serve(t, token === undefined ? {} : { token })
    const { socket, hears, heard } = setUp(t, url, token === undefined ? {} : { token })
    socket.send(Buffer.from('one'))
    socket.send(Buffer.from('two'))
    await hears('opened')
    socket.send(Buffer.from('three'))
    await until(() => came.length === 3)
    t.same(came, ['one', 'two', 'three'])
    t.ok(opened[0]!.send(Buffer.from('four')))
    t.ok(opened[0]!.send(Buffer.from('five')))
    await hears('opened', 'four', 'five')
    socket.close()
    socket.send(Buffer.from('six'))
    await until(() => closed() === 1)
    t.equal(heard.length, 3, 'nothing after it was closed')
    t.equal(came.length, 3)
  }
})

t.test('every part of a message that comes is heard, before the whole is there', async t => {
  const { url, opened } = serve(t)
  const { hears, heard, timesHeard } = setUp(t, url)
  await hears('opened')
  const before = timesHeard()
  opened[0]!.send(Buffer.alloc(8 << 20, 'x'))
  await until(() => timesHeard() > before + 10)
  await until(() => heard.length === 2)
  t.equal(heard[1]!.length, 8 << 20)
})

t.test('when the edge closes, the link is lost, once', async t => {
  const { url, opened } = serve(t)
  const { hears, socket, heard } = setUp(t, url)
  await hears('opened')
  opened[0]!.close()
  await hears('opened', 'lost: lost')
  socket.send(Buffer.from('x'))
  socket.close()
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(heard.length, 2)
})

t.test('a refusal says what the edge is', async t => {
  const { url } = serve(t)
  await setUp(t, serve(t, { hasLink: false }).url).hears('lost: absent')
  await setUp(t, url, { instance: 'i2' }).hears('lost: refused')
  await setUp(t, url, { headers: { [WIRE_HEADER]: '999' } }).hears('lost: wire')
  await setUp(t, url, { headers: {} }).hears('lost: status')
  await setUp(t, serve(t, { token: TOKEN }).url, { headers: { [WIRE_HEADER]: '1' } }).hears('lost: status')
})

t.test('where nobody listens, the connect is refused', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await until(() => server.listening)
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  await setUp(t, `http://127.0.0.1:${port}`).hears('lost: refused')
})

t.test('a connect that is not answered times out after a second: that speaks of the edge', async t => {
  const port = await openHole(t)
  const { hears, tookMs } = setUp(t, `http://127.0.0.1:${port}`)
  await hears('lost: timeout')
  t.ok(tookMs() > 900 && tookMs() < 2_500, `${tookMs()} ms`)
})

t.test('an edge that takes the connection and never answers is waited for longer, and may only be busy', async t => {
  const server = createServer(socket => void t.after(() => socket.destroy())).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await until(() => server.listening)
  const { hears, tookMs } = setUp(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await hears('lost: lost')
  t.ok(tookMs() > 2_500 && tookMs() < 6_000, `${tookMs()} ms`)
})

t.test('an edge that has not proven itself gets nothing', async t => {
  const { url, opened } = serve(t, { token: 'another-token-of-theirs' })
  const { hears } = setUp(t, url, { token: TOKEN })
  await hears('lost: unproven')
  t.same(opened, [])
  const asked: string[] = []
  const thief = createServer(socket => socket.on('error', () => {}).on('data', bytes => {
    asked.push(bytes.toString())
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')
  })).listen(0, '127.0.0.1')
  t.after(() => thief.close())
  await until(() => thief.listening)
  await setUp(t, `http://127.0.0.1:${(thief.address() as AddressInfo).port}`, { token: TOKEN }).hears('lost: unproven')
  t.ok(asked.length > 0)
  t.notOk(asked.some(text => text.includes(TOKEN) || text.includes(LINK_PATH)), asked.join('\n'))
})

t.test('one that is closed before it has an answer is heard of no more', async t => {
  const { url, opened } = serve(t, { token: TOKEN })
  const { socket, heard } = setUp(t, url, { token: TOKEN })
  socket.send(Buffer.from('x'))
  socket.close()
  const plain = setUp(t, serve(t).url)
  plain.socket.close()
  await new Promise(resolve => setTimeout(resolve, 200))
  t.same([heard, plain.heard, opened], [[], [], []])
})
