import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { Message } from '../../protocol/message.js'
import { SseParser, type SseEvent } from '../../protocol/sse.js'
import { NAME, type Front } from '../support/front.js'
import { absent, fronts, manyAddresses } from '../support/fronts.js'
import { startOneProcess } from '../support/one-process.js'
import { sendRaw } from '../support/raw-request.js'
import { ResumingViewer, SecureClient } from '../support/secure-client.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

const address = manyAddresses ? '127.0.0.2' : '127.0.0.1'
/** HAProxy as it comes holds what it passes on for 200 ms. */
const AT_ONCE_MS = 100

for (const name of absent) t.test(name, { skip: `this system has no package of ${name}` }, async () => {})

// Streams, gateways that stop or die, and limits: fronts.long.test.ts.
for (const [name, start] of Object.entries(fronts)) {
  t.test(`through ${name} to a gateway`, async t => {
    const behind = startOneProcess(t)
    const front = await start(t, [behind.url])
    const client = new SecureClient(t, front)

    await t.test('each comment is there at once, plain and compressed, over HTTP/2 and HTTP/1.1, and posts are answered', async t => {
      const direct = await watchReady(t, behind.stream('demo'))
      const through: Readonly<Record<string, { readonly ready: boolean; readonly ids: readonly string[] }>> = {
        'HTTP/2': new ResumingViewer(t, client, 'demo'),
        'HTTP/2, compressed': new ResumingViewer(t, client, 'demo', { 'accept-encoding': 'gzip' }),
        'HTTP/1.1': new Http1Viewer(t, front, 'demo'),
      }
      await until(() => Object.values(through).every(({ ready }) => ready), { what: 'all are ready' })
      const heldMs: Record<string, number[]> = {}
      for (let comments = 1; comments <= 5; comments++) {
        const { status, body } = await client.post('demo', `number ${comments}`)
        t.equal(status, 201, body)
        await until(() => direct.ids.length === comments)
        const there = performance.now()
        await Promise.all(Object.entries(through).map(async ([kind, viewer]) => {
          await until(() => viewer.ids.length === comments, { timeoutMs: 3_000, what: `number ${comments} has come over ${kind} before anything follows it` })
          ;(heldMs[kind] ??= []).push(performance.now() - there)
        }))
      }
      for (const [kind, times] of Object.entries(heldMs)) t.ok(median(times) < AT_ONCE_MS, `${kind}: held for ${times.map(Math.round).join(', ')} ms`)
    })

    await t.test('so it is by a WebSocket, which takes posts too, and by a long-poll', async t => {
      const messages: (Message & { posted?: unknown })[] = []
      const secure = { ca: front.ca, servername: NAME } // not among its types
      const socket = new WebSocket(`${front.url.replace('https', 'wss')}/comments/transports`, { ...secure, headers: { host: NAME }, perMessageDeflate: false })
      t.after(() => socket.terminate())
      socket.on('message', (bytes: Buffer) => messages.push(...(JSON.parse(bytes.toString()) as typeof messages)))
      await until(() => messages.some(({ event }) => event === 'ready'), { what: 'it is ready' })
      const polled = client.call('/comments/transports?wait=30&cursor=0')
      socket.send('{"post":{"content":"by a WebSocket"}}')
      await until(() => messages.some(({ posted }) => posted) && messages.some(({ event }) => event === 'message'), { timeoutMs: 3_000, what: 'the post is answered, and there' })
      t.match(JSON.parse((await polled).body), { events: [{ data: { content: 'by a WebSocket' } }] })
      socket.close()
      await once(socket, 'close')
    })

    await t.test("bodies that are too large are refused, the gateway's way up to 16 KB", async t => {
      const refused = await client.post('demo', 'x'.repeat(9_000))
      t.equal(refused.status, 413)
      t.match(JSON.parse(refused.body), { error: { code: 'BODY_TOO_LARGE' } })
      t.equal((await client.post('demo', 'x'.repeat(20_000))).status, 413)
    })

    await t.test('a request that names the whole URL is read like any other', async t => {
      const socket = connect({ port: Number(new URL(front.url).port), host: '127.0.0.1', ca: front.ca, servername: NAME })
      t.after(() => socket.destroy())
      socket.write(`GET https://${NAME}/healthz HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`)
      const [answer] = (await once(socket, 'data')) as [Buffer]
      t.match(answer.toString(), /^HTTP\/1\.1 200 /)
    })

    await t.test('viewers without TLS are sent to the name of the site, whatever they ask for', async t => {
      const ask = async (target: string, host: string) => (await sendRaw(Number(new URL(front.plainUrl).port), `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, { enough: ({ text }) => text.includes('\r\n\r\n') })).text
      t.match(await ask('/embed?video=demo', NAME), new RegExp(`^HTTP/1.1 30[18] [^]*\nlocation: https://${NAME}(:\\d+)?/embed\\?video=demo\r\n`, 'i'))
      t.notMatch(await ask('/', 'evil.example'), /evil/)
      t.notMatch(await ask('http://evil.example/', NAME), /evil/)
    })
  })

  t.test(`${name} in front of a gateway that tells what it gets`, async t => {
    const seen: (IncomingHttpHeaders & { version: string; url: string })[] = []
    const checks: string[] = []
    const upstream = createServer((request, response) => {
      if (request.url === '/readyz') {
        checks.push(request.httpVersion)
        return void response.end('{}')
      }
      seen.push({ ...request.headers, version: request.httpVersion, url: request.url! })
      if (request.url === '/comments/dying') request.on('data', () => {}).on('end', () => request.socket.destroy())
      else response.end('{}')
    })
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    t.after(() => void upstream.close().closeAllConnections())
    const front = await start(t, [`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`])
    const client = new SecureClient(t, front, address)

    await t.test("it is told the viewer's address, and not what a stranger claims", async t => {
      const claims = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.7', 'x-forwarded-proto': 'http' }
      await client.call('/comments/demo?access_token=secret', { headers: claims })
      await client.post('demo', 'without a key')
      await client.post('demo', 'with a key', { 'idempotency-key': 'mine' })
      for (const method of ['PUT', 'DELETE']) await client.call('/comments/demo/pin', { method, headers: { 'content-type': 'application/json' }, body: method === 'PUT' ? '{}' : '' })
      t.equal(seen.length, 5)
      for (const headers of seen) {
        t.match(headers, { 'x-forwarded-for': address, 'x-forwarded-proto': 'https', host: 'live.example.com', version: '1.1' })
        t.notOk(headers.forwarded)
      }
      t.equal(seen[0]!.url, '/comments/demo?access_token=secret')
      t.match(seen[1]!['idempotency-key'], /^[\x21-\x7e]{8,128}$/, 'made, so that it may be sent again')
      t.equal(seen[2]!['idempotency-key'], 'mine')
      for (const acted of seen.slice(3)) t.match(acted['idempotency-key'], /^[\x21-\x7e]{8,128}$/, 'what moderators do, too')
      t.notMatch(front.accessLog(), 'secret')
    })

    await t.test('when it dies over a post, the outcome is unknown, and the key that went with it is told', async t => {
      seen.length = 0
      const { status, body } = await client.post('dying', 'hello')
      t.equal(status, 504)
      const { error } = JSON.parse(body) as { error: { code: string; idempotencyKey?: string } }
      t.equal(error.code, 'OUTCOME_UNKNOWN')
      const keys = new Set(seen.map(headers => headers['idempotency-key']))
      t.equal(keys.size, 1, 'one, though it may have been sent again')
      // Over HTTP/2, Apache has forgotten a key that it has made by then.
      if (name !== 'Apache') t.ok(keys.has(error.idempotencyKey))
    })

    await t.test('it is asked whether it is ready, in HTTP/1.1', { skip: name === 'nginx' && 'nginx does not ask' }, async t => {
      await until(() => checks.length >= 2)
      t.same(new Set(checks), new Set(['1.1']))
    })
  })

  t.test(`${name} without a gateway: a stream is told to come back, history that it cannot be read, a post that its outcome is unknown`, async t => {
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address() as AddressInfo
    nobody.close()
    const client = new SecureClient(t, await start(t, [`http://127.0.0.1:${port}`]))
    const origin = 'https://site.example'
    const [stream, history, post, ...acts] = await Promise.all([
      client.call('/comments/demo', { headers: { accept: 'text/event-stream', origin } }),
      client.call('/comments/demo', { headers: { origin } }),
      client.post('demo', 'hello', { 'idempotency-key': 'mine', origin }),
      ...['PUT', 'DELETE'].map(method => client.call('/comments/demo/1', { method, headers: { 'idempotency-key': 'mine', origin } })),
    ])
    t.match(stream, { status: 200, headers: { 'content-type': /^text\/event-stream/, 'cache-control': 'no-store' }, body: /^retry: \d{4}\n$/ })
    for (const { headers } of [stream, history, post]) t.match(headers, { 'access-control-allow-origin': origin, 'cache-control': 'no-store' })
    for (const { headers } of [stream, post]) t.equal(headers['access-control-allow-credentials'], 'true', 'a page of another site reads it')
    t.match(history, { headers: { 'content-type': /^application\/json/ } })
    t.ok([502, 503].includes(history.status))
    t.match(JSON.parse(history.body), { error: { code: 'UNAVAILABLE' } })
    for (const change of [post, ...acts]) {
      t.match(change, { status: 504, headers: { 'content-type': /^application\/json/ } })
      t.match(JSON.parse(change.body), { error: { code: 'OUTCOME_UNKNOWN', idempotencyKey: 'mine' } })
    }
  })
}

/** Watches over HTTP/1.1, as a program does. */
class Http1Viewer {
  readonly #events: SseEvent[] = []

  constructor(t: Test, { url, ca }: Front, videoId: string) {
    const parser = new SseParser()
    const headers = { host: NAME, accept: 'text/event-stream' }
    const watching = request(`${url}/comments/${videoId}`, { agent: false, ca, servername: NAME, headers }, response => {
      response.on('data', (chunk: Buffer) => this.#events.push(...parser.push(chunk)))
      response.on('error', () => {})
    })
    watching.on('error', () => {}).end()
    t.after(() => watching.destroy())
  }

  get ids(): string[] {
    return this.#events.filter(({ event }) => event === 'message').map(({ id }) => id)
  }

  get ready(): boolean {
    return this.#events.some(({ event }) => event === 'ready')
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1]!
}
