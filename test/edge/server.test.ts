import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { Charges } from '../../edge/charges.js'
import { connect as edgeConnect } from '../../edge/connection.js'
import type { Edge } from '../../edge/edge.js'
import { internalRoutes, publicServer } from '../../edge/server.js'
import type { Outlet } from '../../edge/viewer.js'
import { FrameKind, FrameReader } from '../../protocol/frame.js'
import { SseParser, type SseEvent } from '../../protocol/sse.js'
import { printComment, printHint, WIRE_HEADER, WIRE_VERSION, type WireComment } from '../../protocol/wire.js'
import { systemClock, type Clock } from '../../runtime/clock.js'
import type { Exchange } from '../../runtime/http/exchange.js'
import { HttpServer } from '../../runtime/http/server.js'
import { StreamLimit } from '../../runtime/limits/streams.js'
import { internalServer } from '../../runtime/peers/internal-server.js'
import { EdgeStage, type StageOptions } from '../support/edge-stage.js'
import { FakeClock } from '../support/fake-clock.js'
import { clients, connections, refusals, replays, set } from '../support/limits.js'
import { until } from '../support/until.js'
import { watch, watchReady } from '../support/viewer.js'
import { readStrictly } from '../support/whole-chunks.js'

const TOKEN = 'secret'
const AUTHORIZED = { authorization: `Bearer ${TOKEN}`, [WIRE_HEADER]: String(WIRE_VERSION) }

/** An edge on two real ports, before model stores. */
function serve(t: Test, options: StageOptions & { streams?: number; trusted?: string; replaysClock?: Clock } = {}) {
  const stage = new EdgeStage<Clock>(options, systemClock)
  t.after(() => stage.edge.stop())
  const onBug = (error: unknown) => void t.fail(String(error))
  const notReady = () => undefined
  const internal = internalServer({ token: TOKEN, metrics: stage.register, identity: { id: 'e1', instance: 'i1', version: '0' }, notReady, onBug })
  internalRoutes(internal, stage.edge)
  const open = publicServer(stage.edge, { connections: connections(), streamsPerAddress: new StreamLimit('address', set(options.streams), refusals()), replays: replays(options.replaysClock), clients: clients(options.trusted), allowedOrigins: '*', identity: undefined, onBug, notReady })
  t.after(() => {
    internal.close()
    open.close()
  })
  const ports = { internal: internal.listen('127.0.0.1', 0), open: open.listen('127.0.0.1', 0) }
  const urls = { internal: `http://127.0.0.1:${ports.internal}`, open: `http://127.0.0.1:${ports.open}` }
  const batch = (body: string, headers: Record<string, string> = AUTHORIZED) => fetch(`${urls.internal}/internal/batch`, { method: 'POST', body, headers })
  return { stage, ports, urls, batch, push: (comments: readonly WireComment[]) => batch(comments.map(printComment).join('')) }
}

/** A gateway's end of a viewer's stream: it reads frames, and can stop reading. */
class FrameStream {
  readonly kinds: number[] = []
  readonly ids: number[] = []
  readonly events: SseEvent[] = []
  status: number | undefined
  ended: string | undefined
  closed = false
  error: unknown
  response: IncomingMessage | undefined
  readonly #reader = new FrameReader()
  readonly #sse = new SseParser()

  constructor(t: Test, url: string) {
    const request = httpRequest(url, { agent: false, headers: AUTHORIZED })
    t.after(() => request.destroy())
    request.on('error', () => (this.closed = true))
    request.on('close', () => (this.closed = true))
    request.on('response', response => {
      this.response = response
      this.status = response.statusCode
      response.on('error', () => {})
      response.on('data', (chunk: Buffer) => this.#take(chunk))
    })
    request.end()
  }

  get comments(): number[] {
    return this.events.filter(({ event }) => event === 'message').map(({ id }) => Number(id))
  }

  ready(): Promise<unknown> {
    return until(() => this.kinds.includes(FrameKind.ready), { what: 'a ready frame' })
  }

  #take(chunk: Buffer): void {
    try {
      for (const { kind, id, payload } of this.#reader.push(chunk)) {
        this.kinds.push(kind)
        if (id !== 0) this.ids.push(id)
        if (kind === FrameKind.end) this.ended = payload.toString()
        else this.events.push(...this.#sse.push(payload))
      }
    } catch (error) {
      this.error ??= error
    }
  }
}

/** What is wrong with the comments of a stream from the first on: each must be the next, or a gap name what is left out. */
function unaccounted(events: readonly SseEvent[], ids: readonly number[], length: number): string[] {
  const wrong: string[] = []
  let place = 0
  for (const { event, id, data } of events) {
    if (event === 'gap') {
      const { from, to } = JSON.parse(data) as { from: string; to: string }
      if (Number(from) !== place) wrong.push(`a gap from ${from} at ${place}`)
      place = Number(to)
    } else if (event === 'message') {
      const next = ids.find(each => each > place)
      if (Number(id) !== next || (JSON.parse(data) as { content: string }).content.length !== length) wrong.push(`${id} after ${place}`)
      place = Number(id)
    }
  }
  if (place !== ids.at(-1)) wrong.push(`it ends at ${place}`)
  return wrong
}

t.test('the internal stream is frames: what is asked for, ready, then what is pushed', async t => {
  const { stage, urls, batch, push } = serve(t)
  const store = stage.store('v')
  store.posts(5)
  const recent = new FrameStream(t, `${urls.internal}/internal/stream/v?recent=2`)
  await recent.ready()
  t.equal(recent.status, 200)
  const after = new FrameStream(t, `${urls.internal}/internal/stream/v?after=20`)
  const now = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  await Promise.all([after.ready(), now.ready()])
  const posted = store.post()
  t.equal((await push([posted])).status, 204)
  for (const [stream, ids] of [[recent, [40, 50, 60]], [after, [30, 40, 50, 60]], [now, [60]]] as const) {
    await until(() => stream.comments.at(-1) === 60)
    t.same(stream.comments, ids)
    t.equal(stream.kinds.filter(kind => kind === FrameKind.ready).length, 1)
    t.equal(stream.kinds[0], FrameKind.events, 'an empty frame pushes the headers out')
    t.same(stream.error, undefined)
  }
  const { id } = store.post()
  t.equal((await batch(printHint({ videoId: 'v', id }))).status, 204)
  await until(() => now.comments.at(-1) === id, { what: 'what a hint told of' })
  void stage.edge.drain(50)
  await until(() => recent.closed && after.closed && now.closed)
  t.same([recent.ended, after.ended, now.ended], ['drain', 'drain', 'drain'])
  const late = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  await until(() => late.closed)
  t.same([late.status, late.ended], [200, 'drain'])
})

t.test('a batch brings its comments by itself', async t => {
  const { urls, push } = serve(t)
  const stream = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  await stream.ready()
  // No sync can bring it: the store does not have it.
  t.equal((await push([{ videoId: 'v', prev: 0, id: 10, json: '{"id":"10","authorId":"a","content":"x"}' }])).status, 204)
  await until(() => stream.comments.at(-1) === 10, { timeoutMs: 5_000, what: 'what was pushed' })
})

t.test('each write can be read by a client that waits for whole chunks and flushes, and a compressed stream ends as a whole gzip member', async t => {
  for (const compressFrom of [1, 100]) {
    const { stage, urls, push } = serve(t, { compressFrom })
    const store = stage.store('v')
    store.posts(300)
    const readers = ['', '?recent=200', '?lastEventId=20'].flatMap(query => [true, false].map(gzip => ({ gzip, ...readStrictly(t, `${urls.open}/comments/v${query}`, { gzip }) })))
    await until(() => readers.every(reader => reader.text().includes('event: ready')), { what: 'all are live' })
    for (const count of [1, 1, 40]) {
      await push(store.posts(count))
      const last = `"id":"${store.ids.at(-1)}"`
      await until(() => readers.every(reader => reader.text().includes(last)), { what: `comment ${last} in whole chunks` })
    }
    await stage.edge.drain(0)
    for (const reader of readers) {
      await until(() => reader.ended())
      t.match((reader.gzip ? gunzipSync(reader.body()) : reader.body()).toString(), /^retry: \d+\n:\n[^]*retry: \d+\n$/)
    }
  }
})

t.test('an edge tells operators what it holds', async t => {
  const { urls } = serve(t)
  const stream = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  await until(() => stream.kinds.includes(FrameKind.ready))
  const asked = await fetch(`${urls.internal}/internal/holdings`, { headers: AUTHORIZED })
  t.same(await asked.json(), { viewers: 1, videos: { v: 1 } })
  t.equal((await fetch(`${urls.internal}/internal/holdings`)).status, 401)
})

t.test('an edge that is full says so in an end frame, and to a viewer of its own by retry and the end', async t => {
  const { urls } = serve(t, { capacity: 0 })
  const stream = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  const viewer = watch(t, `${urls.open}/comments/v`)
  await until(() => stream.closed)
  t.same([stream.status, stream.ended], [200, 'full'])
  await viewer.closed
  t.equal(viewer.status, 200)
  t.ok(viewer.retryMs! >= 500 && viewer.retryMs! < 2500)
})

t.test('the public port serves the plain stream, with its headers, retry and cursor', async t => {
  const { stage, urls, push } = serve(t)
  const store = stage.store('v')
  store.posts(5)
  const viewer = await watchReady(t, `${urls.open}/comments/v?lastEventId=40`, { lastEventId: '20' })
  t.same(viewer.ids, store.comments.slice(2).map(({ id }) => String(id)), 'the header beats the query')
  t.match(viewer.headers, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no', 'access-control-allow-origin': '*' })
  t.ok(viewer.retryMs! >= 500 && viewer.retryMs! < 2500)
  await push([store.post()])
  await viewer.waitFor(({ id }) => id === '60')
})

t.test('what can never succeed is refused', async t => {
  const { stage, urls, batch } = serve(t)
  const sse = { accept: 'text/event-stream' }
  const cases: { url: string; status: number; headers?: Record<string, string>; method?: string }[] = [
    { url: `${urls.open}/comments/v?lastEventId=abc`, status: 400, headers: sse },
    { url: `${urls.open}/comments/v?lastEventId=9007199254740992`, status: 400, headers: sse },
    { url: `${urls.open}/comments/v?recent=1`, status: 400, headers: { ...sse, 'last-event-id': 'what?' } },
    { url: `${urls.open}/comments/v`, status: 404, headers: { accept: 'text/event-stream;q=0, */*' } },
    { url: `${urls.open}/comments/v?recent=201`, status: 400, headers: sse },
    { url: `${urls.open}/comments/v?recent=-1`, status: 400, headers: sse },
    { url: `${urls.open}/comments/no.dots`, status: 400, headers: sse },
    { url: `${urls.open}/comments/v`, status: 404 },
    { url: `${urls.open}/comments/v`, status: 405, method: 'POST' },
    { url: `${urls.open}/other`, status: 404 },
    { url: `${urls.internal}/internal/stream/v?after=abc`, status: 400, headers: AUTHORIZED },
    { url: `${urls.internal}/internal/stream/v?recent=1.5`, status: 400, headers: AUTHORIZED },
    { url: `${urls.internal}/internal/stream/v?recent=201`, status: 400, headers: AUTHORIZED },
    { url: `${urls.internal}/internal/stream/no.dots`, status: 400, headers: AUTHORIZED },
    { url: `${urls.internal}/internal/stream/v`, status: 401 },
    { url: `${urls.internal}/internal/stream/v`, status: 401, headers: { authorization: 'Bearer other' } },
    { url: `${urls.internal}/internal/stream/v`, status: 409, headers: { ...AUTHORIZED, [WIRE_HEADER]: '2' } },
  ]
  for (const { url, status, headers = {}, method = 'GET' } of cases) {
    const response = await fetch(url, { headers, method })
    t.equal(response.status, status, `${method} ${url}`)
    t.match(await response.json(), { error: { code: String, message: String } })
  }
  t.equal((await batch('C v 0 10 {}')).status, 400, 'cut short')
  t.equal((await batch('nonsense\n')).status, 400)
  t.equal((await batch('C v 0 10 {}\n', {})).status, 401)
  t.equal((await batch('C v 0 10 {}\n', { ...AUTHORIZED, [WIRE_HEADER]: '2' })).status, 409)
  for (const [url, headers] of [[`${urls.open}/comments/v`, sse], [`${urls.internal}/internal/stream/v?recent=200`, AUTHORIZED]] as const) {
    t.equal((await fetch(url, { method: 'HEAD', headers })).status, 200)
  }
  t.equal(stage.edge.viewers, 0)
  t.equal((await fetch(`${urls.open}/healthz`)).status, 200)
  t.equal((await fetch(`${urls.open}/readyz`)).status, 200)
})

t.test('a client may leave at any moment', async t => {
  const { stage, ports, urls, push } = serve(t)
  const head = (line: string, more = '') => `${line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nAccept: text/event-stream\r\n${more}\r\n`
  const requests: [number, string][] = [
    [ports.internal, head('POST /internal/batch', 'Content-Length: 1000\r\n') + 'C v 0 10 {'],
    [ports.internal, head('POST /internal/batch', 'Content-Length: 12\r\n') + 'C v 0 10 {}\n'],
    [ports.internal, head('GET /internal/stream/v?recent=5')],
    [ports.internal, head('GET /metrics')],
    [ports.open, head('GET /comments/v?recent=5')],
    [ports.open, head('GET /comments/v?lastEventId=999999')],
  ]
  stage.store('v').posts(20)
  let joined = 0
  for (let round = 0; round < 10; round++) {
    await Promise.all(requests.map(([port, text], i) => new Promise<void>(resolve => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(text)
        // Now, a moment later, or when the first bytes come.
        if (round % 3 === 0) socket.resetAndDestroy()
        else if (round % 3 === 1 || i === 0) setTimeout(() => socket.destroy(), 5)
        else socket.once('data', () => socket.resetAndDestroy())
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve())
    })))
    joined = (await stage.metrics.joins.get()).values[0]!.value
    await push([stage.store('v').post()])
  }
  await until(() => stage.edge.viewers === 0, { what: 'all to be gone', timeoutMs: 3000 })
  t.ok(joined > 0)
  const stays = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  await stays.ready()
  await push([stage.store('v').post()])
  await until(() => stays.comments.length === 1)
})

/** Comments of 8 KB, enough to fill the sockets' buffers several times over. */
async function flood(stage: EdgeStage<Clock>, push: (comments: readonly WireComment[]) => Promise<Response>, rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    await push(stage.store('v').posts(200))
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

t.test('a viewer that stops reading is closed as slow, while the others go on', async t => {
  const { stage, urls, push } = serve(t)
  stage.store('v', 4000)
  const quick = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  const stuck = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  const plain = await watchReady(t, `${urls.open}/comments/v`)
  await Promise.all([quick.ready(), stuck.ready()])
  stuck.response!.pause()
  await flood(stage, push, 20)
  const slow = () => stage.metrics.slow.get().then(({ values }) => values[0]!.value)
  await until(async () => (await slow()) === 1, { what: 'the stuck one to be closed' })
  t.equal(stage.edge.viewers, 2)
  await push([stage.store('v').post()])
  const { ids } = stage.store('v')
  await until(() => quick.comments.at(-1) === ids.at(-1) && plain.ids.at(-1) === String(ids.at(-1)), { what: 'the newest' })
  for (const { events } of [quick, plain]) t.same(unaccounted(events, ids, 4000), [], 'all came, or a gap names it: this one process reads too, and may be late')
  t.equal(await slow(), 1)
})

t.test('a viewer that stalls and then reads gets everything, or a gap that names the rest, and no byte is torn', async t => {
  const { stage, urls, push } = serve(t)
  stage.store('v', 4000)
  const stream = new FrameStream(t, `${urls.internal}/internal/stream/v`)
  await stream.ready()
  const plain = await watchReady(t, `${urls.open}/comments/v`)
  stream.response!.pause()
  await flood(stage, push, 20)
  stream.response!.resume()
  await push([stage.store('v').post()])
  const { ids } = stage.store('v')
  await until(() => stream.comments.at(-1) === ids.at(-1), { what: 'the newest' })
  t.same(stream.error, undefined)
  t.same(unaccounted(stream.events, ids, 4000), [])
  t.ok(stream.events.some(({ event }) => event === 'gap'), 'it did miss some')
  t.equal(stream.ids.at(-1), ids.at(-1))
  await until(() => plain.ids.at(-1) === String(ids.at(-1)), { what: 'the newest, for the one that read' })
  t.same(unaccounted(plain.events, ids, 4000), [])
  t.equal((await stage.metrics.slow.get()).values[0]!.value, 0)
})

t.test('a stream that ends is counted off once; a slow one is cut, without a farewell that its socket would not take', async t => {
  for (const reason of ['slow', 'drain'] as const) {
    const limit = new StreamLimit('address', set(2), refusals())
    const client = { keys: ['192.0.2.1'], local: false }
    const outlets: Outlet[] = []
    const join = (_videoId: string, _start: unknown, outlet: Outlet) => void outlets.push(outlet)
    const server = new HttpServer({ onBug: error => t.fail(String(error)) })
    server.route('GET', '/', exchange => edgeConnect({ join } as unknown as Edge, exchange, 'v', {}, 'plain', { charges: new Charges(limit.open(client.keys, client), undefined) }))
    t.after(() => server.close())
    const url = `http://127.0.0.1:${server.listen('127.0.0.1', 0)}/`
    const [ended, other] = [await fetch(url), await fetch(url)]
    outlets[0]!.end(reason)
    const text = await ended.text().catch(() => 'cut')
    if (reason === 'slow') t.equal(text, 'cut')
    else t.match(text, /^retry: \d+\n:\nretry: \d+\n$/)
    limit.open(client.keys, client)
    t.throws(() => limit.open(client.keys, client), { code: 'RATE_LIMITED' }, 'one is left, and one came')
    await other.body?.cancel()
  }
})

t.test('a viewer hears that its socket took a part of what it was given, and then that it takes bytes again', async t => {
  // When the kernel takes how much cannot be had at will: a response that does as the server's, and says so.
  let takes = true
  let writable: (written: number) => boolean = () => true
  const res = { cork: (write: () => void) => write(), writeStatus: () => {}, writeHeader: () => {}, onAborted: () => {}, onWritable: (handler: typeof writable) => (writable = handler), write: () => takes }
  const told: string[] = []
  const outlets: Outlet[] = []
  const join = (_videoId: string, _start: unknown, outlet: Outlet) => {
    outlets.push(outlet)
    return { progressed: () => told.push('progressed') }
  }
  edgeConnect({ join, drained: () => told.push('drained') } as unknown as Edge, { res, method: 'GET' } as unknown as Exchange, 'v', {}, 'plain')
  takes = false
  t.notOk(outlets[0]!.write({ bytes: Buffer.from(':\n') }, 0, 0))
  writable(1)
  takes = true
  writable(2)
  await until(() => told.length >= 2)
  t.same(told, ['progressed', 'drained'])
})

t.test('a post by WebSocket is refused, since an edge stores nothing', async t => {
  const { urls } = serve(t)
  const ws = new WebSocket(`${urls.open.replace('http', 'ws')}/comments/demo`, { perMessageDeflate: false })
  t.after(() => ws.terminate())
  const said: { ref?: unknown; error?: { code: string } }[] = []
  ws.on('message', (bytes: Buffer) => said.push(...(JSON.parse(bytes.toString()) as typeof said)))
  await once(ws, 'open')
  for (const text of ['{"ref":7,"post":{"content":"x"}}', '{']) ws.send(text)
  await until(() => said.filter(({ error }) => error).length === 2)
  t.match(said.filter(({ error }) => error), [{ ref: 7, error: { code: 'NOT_FOUND' } }, { error: { code: 'BAD_REQUEST' } }])
  for (let i = 0; i < 20; i++) ws.send('{')
  t.equal((await once(ws, 'close'))[0], 1006, 'and one that sends on all the same is closed')
  const pinging = new WebSocket(`${urls.open.replace('http', 'ws')}/comments/demo`, { perMessageDeflate: false })
  t.after(() => pinging.terminate())
  await once(pinging, 'open')
  for (let i = 0; i < 30; i++) pinging.ping()
  t.same((await once(pinging, 'close'))[0], 1006, 'as is one that only pings')
})

t.test('streams of one address beyond its limit are told so, until one ends', async t => {
  const { urls } = serve(t, { streams: 2 })
  const url = `${urls.open}/comments/demo`
  const first = await watchReady(t, url)
  await watchReady(t, url)
  const refused = await fetch(url, { headers: { accept: 'text/event-stream' } })
  t.equal(refused.status, 429)
  t.equal(refused.headers.get('retry-after'), '30')
  t.match(await refused.json(), { error: { code: 'RATE_LIMITED', message: /2 streams .* address/ } })
  first.close()
  await until(async () => {
    const viewer = watch(t, url)
    await until(() => viewer.status)
    return viewer.status === 200
  })
})

t.test('a client that asks for replays in a loop draws no more than its share; its viewers who ask for none, and others, are served', async t => {
  const clock = new FakeClock(Date.now()) // what a client owes is paid off within half a second
  const { stage, urls } = serve(t, { trusted: '127.0.0.1', replaysClock: clock })
  stage.store('v', 5_000).posts(1_000)
  /** @returns what came until the viewer was live, or until the stream ended */
  const join = async (query: string, client: string, encoding = 'identity') => {
    const leave = new AbortController()
    const response = await fetch(`${urls.open}/comments/v${query}`, { headers: { 'accept': 'text/event-stream', 'accept-encoding': encoding, 'x-forwarded-for': client }, signal: leave.signal })
    let text = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      if (chunk.includes('event: ready')) break
    }
    leave.abort()
    return { status: response.status, text }
  }
  const later = { status: 200, text: /^retry: \d+\n:\nretry: \d+\n$/ }
  for (const [client, encoding] of [['192.0.2.1', 'identity'], ['192.0.2.2', 'gzip']] as const) {
    t.ok((await join('?lastEventId=1', client, encoding)).text.length > 5_000_000)
    for (const query of ['?lastEventId=1', '?recent=10']) t.match(await join(query, client, encoding), later, `${encoding} ${query}`)
    t.match((await join('', client, encoding)).text, /event: ready/, 'it asks for no replay')
  }
  t.match((await join('?lastEventId=1', '192.0.2.3')).text, /event: ready/)
  await clock.advance(10_000)
  t.match((await join('?lastEventId=9990', '192.0.2.1')).text, /event: ready/, 'the bytes are paid off')
})

t.test('a long-poll that has to come back later is not counted as a stream', async t => {
  const clock = new FakeClock(Date.now())
  const { stage, urls } = serve(t, { streams: 2, replaysClock: clock })
  stage.store('v', 5_000).posts(1_000)
  const poll = async (query: string) => {
    const response = await fetch(`${urls.open}/comments/v?wait=1&${query}`)
    return [response.status, (await response.text()).includes('OVERLOADED')]
  }
  await watchReady(t, `${urls.open}/comments/v?lastEventId=1`) // a replay of more than its share
  for (let i = 0; i < 3; i++) t.same(await poll('cursor=1'), [503, true])
  t.equal((await fetch(`${urls.open}/comments/v?wait=1&cursor=1`, { method: 'HEAD' })).status, 200, 'that there is a poll is said all the same')
  await clock.advance(10_000)
  t.same(await poll('cursor=9990'), [200, false])
})

t.test('live comments are not charged as a replay', async t => {
  const { stage, urls, push } = serve(t)
  const store = stage.store('v', 5_000)
  store.posts(10)
  await watchReady(t, `${urls.open}/comments/v`)
  const url = `${urls.open}/comments/v?recent=1`
  const live = await watchReady(t, url)
  await push(store.posts(200))
  await until(() => live.comments.at(-1)?.id === String(store.head))
  t.ok(await watchReady(t, url), '2 MB were not its replay')
})

t.test('every answer of the public port has the headers it needs', async t => {
  const { urls } = serve(t)
  const stream = { accept: 'text/event-stream' }
  for (const [path, init] of [['/healthz', {}], ['/readyz', {}], ['/nothing', {}], ['/comments/demo', {}], ['/comments/demo', { headers: stream }], ['/comments/demo', { headers: stream, method: 'HEAD' }], ['/comments/no.video', { headers: stream }]] as [string, RequestInit][]) {
    const leave = new AbortController()
    t.after(() => leave.abort())
    const { headers, status } = await fetch(urls.open + path, { ...init, signal: leave.signal })
    const what = `${path} ${status}`
    t.equal(headers.get('x-content-type-options'), 'nosniff', what)
    t.equal(headers.get('referrer-policy'), 'no-referrer', what)
    t.equal(headers.get('content-security-policy'), "default-src 'none'; frame-ancestors 'none'", what)
    t.equal(headers.get('access-control-allow-origin'), '*', what)
    for (const banner of ['server', 'x-powered-by', 'uwebsockets']) t.notOk(headers.has(banner), `${what}: ${banner}`)
  }
})
