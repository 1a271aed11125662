import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { fronts, manyAddresses } from '../support/front.js'
import { runGateway } from '../support/gateway.js'
import { SecureClient } from '../support/secure-client.js'

const address = manyAddresses ? '127.0.0.2' : '127.0.0.1'

// Streams, gateways that stop or die, and limits: fronts.long.test.ts.
for (const [name, start] of Object.entries(fronts)) {
  t.test(`${name} tells the gateway the viewer's address, and not what a stranger claims`, async t => {
    const seen: (IncomingHttpHeaders & { version: string; url: string })[] = []
    const upstream = createServer((request, response) => {
      if (request.url !== '/readyz') seen.push({ ...request.headers, version: request.httpVersion, url: request.url! }) // Caddy looks whether it is there
      response.end('{}')
    })
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    t.after(() => void upstream.close().closeAllConnections())
    const front = await start(t, [`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`])

    const client = new SecureClient(t, front, address)
    const claims = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.7', 'x-forwarded-proto': 'http' }
    await client.call('/comments/demo?access_token=secret', { headers: claims })
    await client.post('demo', 'without a key')
    await client.post('demo', 'with a key', { 'idempotency-key': 'mine' })
    t.equal(seen.length, 3)
    for (const headers of seen) {
      t.match(headers, { 'x-forwarded-for': address, 'x-forwarded-proto': 'https', host: 'live.example.com', version: '1.1' })
      t.notOk(headers.forwarded)
    }
    t.equal(seen[0]!.url, '/comments/demo?access_token=secret')
    t.match(seen[1]!['idempotency-key'], /^[\x21-\x7e]{8,128}$/, 'made, so that it may be sent again')
    t.equal(seen[2]!['idempotency-key'], 'mine')
    t.notMatch(front.accessLog(), 'secret')
  })

  t.test(`${name} without a gateway: a stream is told to come back, history that it cannot be read, a post that its outcome is unknown`, async t => {
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address() as AddressInfo
    nobody.close()
    const client = new SecureClient(t, await start(t, [`http://127.0.0.1:${port}`]))
    const stream = await client.call('/comments/demo', { headers: { accept: 'text/event-stream' } })
    t.match(stream, { status: 200, headers: { 'content-type': /^text\/event-stream/, 'cache-control': 'no-store' }, body: /^retry: \d{4}\n$/ })
    const history = await client.call('/comments/demo')
    t.match(history, { headers: { 'content-type': /^application\/json/ } })
    t.ok([502, 503].includes(history.status))
    t.match(JSON.parse(history.body), { error: { code: 'UNAVAILABLE' } })
    const post = await client.post('demo', 'hello', { 'idempotency-key': 'mine' })
    t.match(post, { status: 504, headers: { 'content-type': /^application\/json/ } })
    t.match(JSON.parse(post.body), { error: { code: 'OUTCOME_UNKNOWN', idempotencyKey: 'mine' } })
  })

  t.test(`${name} in front of a gateway that dies over a post: its outcome is unknown, and the key that went with it is told`, async t => {
    const keys: unknown[] = []
    const dying = createServer((request, response) => {
      if (request.method !== 'POST') return void response.end('{}')
      keys.push(request.headers['idempotency-key'])
      request.on('data', () => {}).on('end', () => request.socket.destroy())
    })
    dying.listen(0, '127.0.0.1')
    await once(dying, 'listening')
    t.after(() => void dying.close().closeAllConnections())
    const client = new SecureClient(t, await start(t, [`http://127.0.0.1:${(dying.address() as AddressInfo).port}`]))
    const { status, body } = await client.post('demo', 'hello')
    t.equal(status, 504)
    const { error } = JSON.parse(body) as { error: { code: string; idempotencyKey: string } }
    t.equal(error.code, 'OUTCOME_UNKNOWN')
    t.ok(keys.length > 0 && keys.every(key => key === error.idempotencyKey))
  })

  t.test(`through ${name}: bodies that are too large are refused, the gateway's way up to 16 KB`, async t => {
    const front = await start(t, [runGateway(t).url])
    const client = new SecureClient(t, front)
    const refused = await client.post('demo', 'x'.repeat(9_000))
    t.equal(refused.status, 413)
    t.match(JSON.parse(refused.body), { error: { code: 'BODY_TOO_LARGE' } })
    t.equal((await client.post('demo', 'x'.repeat(20_000))).status, 413)
  })
}
