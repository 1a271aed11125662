import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, type ClientOptions } from 'ws'
import { OpenSocket } from '../../gateway/open-socket.js'
import type { Sessions } from '../../gateway/sessions.js'
import type { SocketAnswer, SocketPosts } from '../../gateway/socket-posts.js'
import type { PostResult } from '../../protocol/posts.js'
import type { Client } from '../../runtime/http/client-address.js'
import type { TextSocket } from '../../runtime/http/socket.js'
import { fakeDispatcher, type FakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway, type GatewayGiven } from '../support/gateway.js'
import { identityOf, Issuer, seconds } from '../support/issuer.js'
import { answers, sendRaw } from '../support/raw-request.js'
import { until } from '../support/until.js'

interface Answer {
  readonly ref?: unknown
  readonly posted?: unknown
  readonly error?: { readonly code: string; readonly message: string; readonly retryAfter?: number }
}

/** A gateway before a dispatcher, without an edge: what its WebSockets say besides events. */
function setUp(t: Test, given: GatewayGiven = {}) {
  const dispatcher: FakeDispatcher = fakeDispatcher(t, 'd')
  const running = runGateway(t, { dispatchers: [dispatcher.node], ...given })
  const open = (options: ClientOptions = {}, protocols: string[] = [], query = '') => {
    const ws = new WebSocket(`${running.url.replace('http', 'ws')}/comments/demo${query}`, protocols, { perMessageDeflate: false, ...options })
    t.after(() => ws.terminate())
    const said: Answer[] = []
    const closes: { code: number; text: string }[] = []
    ws.on('message', (bytes: Buffer) => said.push(...(JSON.parse(bytes.toString()) as Answer[])))
    ws.on('close', (code, text) => closes.push({ code, text: text.toString() })).on('error', () => {})
    return { ws, said, closes }
  }
  /** @returns the status and the error's code with which an upgrade was refused */
  const refusal = async (options: ClientOptions = {}, protocols: string[] = [], query = '') => {
    const { ws } = open(options, protocols, query)
    const [, response] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage]
    let body = ''
    for await (const text of response.setEncoding('utf8')) body += text as string
    return [response.statusCode, (JSON.parse(body) as { error: { code: string } }).error.code]
  }
  const opened = async (...given: Parameters<typeof open>) => {
    const socket = open(...given)
    await once(socket.ws, 'open')
    return socket
  }
  return { dispatcher, ...running, open, opened, refusal }
}

t.test('a post is answered by its ref, under the rules of one over HTTP', async t => {
  const { dispatcher, opened, register } = setUp(t)
  const { ws, said } = await opened()
  ws.send('{"ref":"a","post":{"content":" hello ","authorId":"ann","key":"k1"}}')
  ws.send('{"post":{"content":"x"}}')
  ws.send('{"ref":3,"post":{"content":""}}')
  ws.send('{"ref":4,"post":{"content":"x","key":"a b"}}')
  await until(() => said.length === 4)
  t.match(said.find(({ ref }) => ref === 'a'), { posted: { id: String, videoId: 'demo', authorId: 'ann', content: 'hello' } })
  t.match(said.find(({ ref, posted }) => ref === undefined && posted), { posted: { authorId: 'anonymous' } })
  t.match(said.find(({ ref }) => ref === 3), { error: { code: 'BAD_COMMENT', message: /empty/ } })
  t.match(said.find(({ ref }) => ref === 4), { error: { code: 'BAD_IDEMPOTENCY_KEY' } })
  t.match(dispatcher.batches.flat().find(({ authorId }) => authorId === 'ann'), { key: 'k1' })
  t.match(await register.metrics(), /live_gateway_posts_total\{status="201"\} 2\n/)
})

t.test('a post that is held is answered as such, by its ref', async t => {
  const { dispatcher, opened } = setUp(t)
  dispatcher.answer = () => ({ held: true })
  const { ws, said } = await opened()
  ws.send('{"ref":1,"post":{"content":"x","key":"k1"}}')
  await until(() => said.length === 1)
  t.same(said[0], { ref: 1, held: { held: true, idempotencyKey: 'k1' } })
})

t.test('what a client should not send is refused, and only what must is the end', async t => {
  const { opened, gateway } = setUp(t)
  const { ws, said, closes } = await opened()
  for (const text of ['{', '[]', '{"post":{"content":"x"},"other":1}', '{"post":{"content":"x","autorId":"y"}}', JSON.stringify({ post: { content: 'x'.repeat(9_000) } })]) ws.send(text)
  await until(() => said.length === 5)
  t.same(said.map(({ error }) => error!.code).sort(), ['BAD_REQUEST', 'BAD_REQUEST', 'BAD_REQUEST', 'BAD_REQUEST', 'BODY_TOO_LARGE'])
  t.same(closes, [])
  ws.send(Buffer.from('{"post":{"content":"x"}}'))
  await until(() => closes.length > 0)
  t.same(closes, [{ code: 1003, text: '{"reason":"binary"}' }])
  for (const [bytes, options] of [[Buffer.alloc(1_000_000, 'x'), {}], [Buffer.from([0xff, 0xfe]), { binary: false }]] as const) {
    const socket = await opened()
    socket.ws.send(bytes, { binary: false, ...options })
    await until(() => socket.closes.length > 0)
    t.equal(socket.closes[0]!.code, 1006, 'the library ends it without a word')
  }
  await until(() => gateway.sessions.size === 0)
})

t.test('posts by WebSocket count against the limits of their address, and so does what is none', async t => {
  const { opened } = setUp(t, { limits: { postsPerAddress: 1 } })
  const { ws, said } = await opened()
  for (const text of ['{', '{', '{"ref":3,"post":{"content":"x"}}']) ws.send(text)
  await until(() => said.length === 3)
  t.match(said.find(({ error }) => error?.code === 'RATE_LIMITED'), { error: { retryAfter: 1 } })
})

t.test('only so many posts of one connection may wait for their answers', async t => {
  const { dispatcher, opened } = setUp(t)
  const waiting: (() => void)[] = []
  dispatcher.answer = draft => new Promise<PostResult>(resolve => waiting.push(() => resolve(dispatcher.stored(draft))))
  const { ws, said } = await opened()
  for (let ref = 1; ref <= 17; ref++) ws.send(JSON.stringify({ ref, post: { content: 'x' } }))
  await until(() => said.length === 1)
  t.match(said, [{ ref: 17, error: { code: 'OVERLOADED', retryAfter: 1 } }])
  await until(() => {
    for (const answer of waiting.splice(0)) answer()
    return said.length === 17
  })
  const hasty = await opened()
  for (let i = 0; i < 60; i++) hasty.ws.send('{"post":{"content":"x"}}')
  await until(() => hasty.closes.length > 0)
  t.equal(hasty.closes[0]!.code, 1006)
  t.notOk(hasty.said.some(({ posted }) => posted), 'whoever goes on is closed, whatever is in flight')
})

t.test('whoever sends on though it is refused is closed', async t => {
  const { gateway, opened } = setUp(t)
  const patient = await opened()
  const { ws, said, closes } = await opened()
  for (let i = 0; i < 30; i++) ws.send('{')
  await until(() => closes.length > 0)
  t.same(closes, [{ code: 1006, text: '' }])
  t.ok(said.length <= 21, 'what it sends on counts for nothing')
  const pinging = await opened()
  for (let i = 0; i < 30; i++) pinging.ws.ping()
  await until(() => pinging.closes.length > 0)
  t.same(pinging.closes, closes, 'or does nothing but ping')
  await until(() => gateway.sessions.size === 1)
  patient.ws.send('{')
  await until(() => patient.said.length === 1)
  t.same(patient.closes, [])
})

t.test('a drain closes it once its posts are answered, and further ones do not put it off', async t => {
  const { dispatcher, opened, part } = setUp(t)
  let answer = () => {}
  dispatcher.answer = draft => new Promise<PostResult>(resolve => (answer = () => resolve(dispatcher.stored(draft))))
  const { ws, said, closes } = await opened()
  const idle = await opened()
  ws.send('{"ref":1,"post":{"content":"x"}}')
  await until(() => dispatcher.batches.length === 1)
  await part.drain(50)
  await until(() => idle.closes.length > 0)
  t.same(closes, [])
  ws.send('{"ref":2,"post":{"content":"x"}}')
  ws.ping()
  await once(ws, 'pong')
  answer()
  await until(() => closes.length > 0)
  t.match(said, [{ ref: 1, posted: {} }])
  t.equal(said.length, 1)
  t.equal(closes[0]!.code, 1012)
  t.match(JSON.parse(closes[0]!.text), { reason: 'stopping', retryMs: Number })
  const late = await opened()
  await until(() => late.closes.length > 0)
  t.equal(late.closes[0]!.code, 1012, 'newcomers are told so, too')
})

t.test('a page of another origin is refused, one of ours, of a listed origin, or no page is not', async t => {
  const { refusal, opened, url } = setUp(t, { allowedOrigins: new Set(['https://a.example']) })
  t.same(await refusal({ headers: { origin: 'https://b.example' } }), [403, 'FORBIDDEN'])
  t.same(await refusal({ headers: { origin: 'null' } }), [403, 'FORBIDDEN'])
  const allowed: readonly Record<string, string>[] = [{}, { origin: 'https://a.example' }, { origin: url }]
  for (const headers of allowed) await opened({ headers })
  const open = setUp(t)
  await open.opened({ headers: { origin: 'https://b.example' } })
})

t.test('a token comes by the query or the subprotocol, and is checked anew at each post', async t => {
  const issuer = new Issuer({ ed: 'EdDSA' })
  const { refusal, open, opened, dispatcher, url } = setUp(t, { identity: identityOf(issuer) })
  t.same(await refusal(), [401, 'UNAUTHORIZED'])
  const wrong = open({}, ['live-comments', 'bearer.x.y.z'])
  const elsewhere = open({}, [], `?access_token=${await issuer.token('ed', { videos: ['other'] })}`)
  await until(() => wrong.closes.length > 0 && elsewhere.closes.length > 0)
  t.same([wrong.closes, elsewhere.closes], [[{ code: 3000, text: '{"reason":"unauthorized"}' }], [{ code: 3003, text: '{"reason":"forbidden"}' }]], 'a browser can read it')
  const token = await issuer.token('ed', { exp: seconds() - 28 }) // valid for two seconds more
  const first = await opened({}, ['live-comments', `bearer.${token}`])
  t.equal(first.ws.protocol, 'live-comments')
  const { port } = new URL(url)
  const lines = `GET /comments/demo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bearer.${token}\r\nSec-WebSocket-Protocol: live-comments\r\n\r\n`
  t.match((await sendRaw(Number(port), lines, answers(1))).text, /^HTTP\/1.1 101 [^]*\r\nsec-websocket-protocol: live-comments\r\n/i, 'also on lines of their own')
  const second = await opened({}, [], `?access_token=${token}`)
  for (const { ws } of [first, second]) ws.send('{"ref":1,"post":{"content":"x"}}')
  first.ws.send('{"ref":2,"post":{"content":"x","authorId":"eve"}}')
  await until(() => first.said.length === 2 && second.said.length === 1)
  t.match(dispatcher.batches.flat(), [{ authorId: 'ann', authorName: 'Ann Example' }, { authorId: 'ann' }])
  t.match(first.said.find(({ ref }) => ref === 2), { error: { code: 'BAD_COMMENT', message: /the token says/ } })
  await until(() => {
    first.ws.send('{"ref":"late","post":{"content":"x"}}')
    return first.said.some(({ ref, error }) => ref === 'late' && error?.code === 'UNAUTHORIZED')
  }, { timeoutMs: 6_000, what: 'the token has expired' })
})

t.test('where watching needs no token, posting does', async t => {
  const issuer = new Issuer({ ed: 'EdDSA' })
  const { opened } = setUp(t, { identity: identityOf(issuer, { requireToWatch: false }) })
  for (const protocols of [[], ['live-comments', 'bearer.x.y.z']]) {
    const { ws, said } = await opened({}, protocols)
    ws.send('{"ref":1,"post":{"content":"x"}}')
    await until(() => said.length === 1)
    t.match(said, [{ ref: 1, error: { code: 'UNAUTHORIZED' } }])
  }
  const { ws, said } = await opened({}, ['live-comments', `bearer.${await issuer.token('ed')}`])
  ws.send('{"ref":1,"post":{"content":"x"}}')
  await until(() => said.length === 1)
  t.match(said, [{ ref: 1, posted: { authorName: 'Ann Example' } }])
})

t.test('posts by WebSocket count against the limit of their author', async t => {
  const issuer = new Issuer({ ed: 'EdDSA' })
  const { opened } = setUp(t, { identity: identityOf(issuer), limits: { postsPerAuthor: 0.001 } })
  const token = await issuer.token('ed')
  const sockets = [await opened({}, ['live-comments', `bearer.${token}`]), await opened({}, ['live-comments', `bearer.${token}`])]
  for (const [i, { ws, said }] of sockets.entries()) {
    ws.send('{"ref":1,"post":{"content":"x"}}')
    await until(() => said.length === 1)
    t.match(said, [i === 0 ? { posted: {} } : { error: { code: 'RATE_LIMITED', retryAfter: Number } }])
  }
})

t.test('a request with a key but no upgrade is one for history, as proxies that know no WebSockets pass it on', async t => {
  const { url, server } = setUp(t)
  const { port } = new URL(url)
  const head = 'GET /comments/demo HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
  t.same((await sendRaw(Number(port), `${head}\r\n`, answers(1))).statuses, [200])
  t.same((await sendRaw(Number(port), `${head}Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}`, answers(1))).statuses, [200], 'a body would be taken for messages')
  t.match((await sendRaw(Number(port), `${head.replace('13', '8')}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`, answers(1))).text, /^HTTP\/1.1 400 [^]*\r\nsec-websocket-version: 13\r\n/i, 'of a version that is not ours, none at all')
  await until(() => server.connections === 0)
})

t.test('an open WebSocket is none of the connections that make room for others', async t => {
  const { url, opened, server } = setUp(t, { room: 130 })
  const { ws, closes, said } = await opened()
  const silent = Array.from({ length: 133 }, () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
    t.after(() => socket.destroy())
    return socket
  })
  await until(() => silent.filter(({ closed }) => closed).length >= 3)
  ws.send('{')
  await until(() => said.length === 1)
  t.same(closes, [])
  ws.close()
  await until(() => closes.length === 1)
  for (const socket of silent) socket.destroy()
  await until(() => server.connections === 0)
})

t.test('one that leaves before it is open is no viewer, and holds no place', async t => {
  const { url, gateway, server, opened } = setUp(t, { limits: { streamsPerAddress: 1 } })
  for (let i = 0; i < 20; i++) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
    socket.write('GET /comments/demo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n', () => socket.resetAndDestroy())
    await once(socket, 'close')
  }
  await until(() => server.connections === 0 && gateway.sessions.size === 0)
  await opened()
})

/** A WebSocket whose client and session the test is. */
function setUpAlone(message = '[]') {
  const sent: string[] = []
  const told: string[] = []
  const client = { unsentBytes: 0, takes: true, closed: 0, ends: [] as string[] }
  const answers: (() => void)[] = []
  const socket: TextSocket = {
    get unsentBytes() {
      return client.unsentBytes
    },
    write(message) {
      sent.push(message.toString())
      return client.takes
    },
    close: () => void client.closed++,
    end: (_, text) => void client.ends.push(text),
  }
  const session = { blocked: false, progressed: () => told.push('progressed'), drained: () => told.push('drained'), left: () => told.push('left') }
  const posts = { answer: () => new Promise<SocketAnswer>(resolve => answers.push(() => resolve({ message, refuses: false }))) }
  const open = new OpenSocket(socket, posts as unknown as SocketPosts, { videos: ['demo'], isSeveral: false, client: {} as Client, author: () => Promise.resolve(undefined) })
  open.watch({ open: () => session } as unknown as Sessions, { videoId: 'demo', after: undefined, recent: undefined }, { counted: { ended: () => told.push('place') } })
  return { open, client, session, sent, told, answers }
}

t.test('who posts and reads no answers is cut off, whatever its session takes', async t => {
  for (const [unsentBytes, closed] of [[0, 0], [1, 1]] as const) {
    const { open, client, sent, answers } = setUpAlone('x'.repeat((1 << 20) + 1))
    Object.assign(client, { unsentBytes })
    open.message(Buffer.from('x'))
    answers[0]!()
    await until(() => sent.length > 0)
    t.equal(client.closed, closed, `${unsentBytes}`)
  }
})

t.test('what has been taken is progress, and the session goes on once all of it has', async t => {
  const { open, client, told } = setUpAlone()
  client.unsentBytes = 1
  open.drained()
  t.same(told, ['progressed'])
  client.unsentBytes = 0
  open.drained()
  t.same(told, ['progressed'], 'not within the library\'s callback')
  await until(() => told.length > 1)
  t.same(told, ['progressed', 'drained'])
  open.closed()
  open.over()
  open.close()
  t.equal(client.closed, 1, 'a viewer that is cut')
  t.ok(open.isClosed)
  t.same(told, ['progressed', 'drained', 'left', 'place'], 'its place among its client\'s streams is free')
})

t.test('it ends after the last of several answers, whatever is ended meanwhile', async t => {
  const { open, client, sent, answers } = setUpAlone()
  for (let i = 0; i < 2; i++) open.message(Buffer.from('x'))
  open.end('stopping', 700)
  answers[0]!()
  await until(() => sent.length === 1)
  t.same(client.ends, [])
  answers[1]!()
  await until(() => client.ends.length > 0)
  t.same(client.ends, ['{"reason":"stopping","retryMs":700}'])
})
