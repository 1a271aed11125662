import t, { type Test } from 'tap'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway, type GatewayGiven } from '../support/gateway.js'
import { answers, sendRaw } from '../support/raw-request.js'

/** All of it as bytes, to the gateway's real server. */

const BODY = '{"content":"mine"}'
const SMUGGLED = post('Content-Length: 22\r\n', '{"content":"smuggled"}')
const CHUNKED = `12\r\n${BODY}\r\n0\r\n\r\n`

/** @param more header lines. A latin1 character is a byte. */
function post(more: string, body: string, line = 'POST /comments/demo HTTP/1.1'): string {
  return `${line}\r\nHost: x\r\nContent-Type: application/json\r\n${more}\r\n${body}`
}

function get(target: string, more = ''): string {
  return `GET ${target} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
}

/** A gateway, and what reached the dispatcher behind it. */
function serve(t: Test, given: GatewayGiven = {}) {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], ...given })
  return { port: Number(new URL(url).port), stored: () => dispatcher.batches.flat().map(({ content }) => content) }
}

t.test('a request that can be read in two ways is refused, and nothing behind it is served', async t => {
  const { port, stored } = serve(t)
  const cases: Record<string, [headers: string, body: string]> = {
    'two lengths': ['Content-Length: 18\r\nContent-Length: 19\r\n', BODY],
    'two lengths, the second shorter': ['Content-Length: 18\r\nContent-Length: 0\r\n', BODY],
    'the same length twice': ['Content-Length: 18\r\nContent-Length: 18\r\n', BODY],
    'a list of lengths': ['Content-Length: 18, 18\r\n', BODY],
    'no length': ['', ''],
    'an empty length': ['Content-Length:\r\n', ''],
    'a length of blanks': ['Content-Length: \t \r\n', ''],
    'a signed length': ['Content-Length: +18\r\n', BODY],
    'a negative length': ['Content-Length: -18\r\n', BODY],
    'a hexadecimal length': ['Content-Length: 0x12\r\n', BODY],
    'a length with more behind it': ['Content-Length: 18x\r\n', BODY],
    'a length beyond 64 bits': ['Content-Length: 18446744073709551634\r\n', BODY],
    'a space before the colon': ['Content-Length : 18\r\n', BODY],
    'a header folded over two lines': ['X: a\r\n Content-Length: 18\r\n', ''],
    'a header without a name hides the length': [': x\r\nContent-Length: 18\r\n', ''],
    'a header without a name hides the chunks': [': x\r\nTransfer-Encoding: chunked\r\n', ''],
    'a length with chunks': [`Content-Length: ${CHUNKED.length}\r\nTransfer-Encoding: chunked\r\n`, CHUNKED],
    'chunks with a length': [`Transfer-Encoding: chunked\r\nContent-Length: ${CHUNKED.length}\r\n`, CHUNKED],
    'chunked twice': ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', CHUNKED],
    'chunked and identity': ['Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', CHUNKED],
    ...Object.fromEntries(['', 'identity', 'xchunked', 'gzip, chunked', 'chunked, identity', '\x0bchunked', 'chunked\x00', 'chu nked'].map(coding => [`coding ${JSON.stringify(coding)}`, [`Transfer-Encoding: ${coding}\r\n`, coding === '' ? '' : CHUNKED]])),
  }
  for (const [name, [headers, body]] of Object.entries(cases)) {
    const alone = await sendRaw(port, post(headers, body))
    t.same([alone.statuses, alone.closed], [[400], true], name)
    for (const behind of [[post(headers, body) + SMUGGLED], [post(headers, body), SMUGGLED]]) {
      const answer = await sendRaw(port, behind)
      t.ok(answer.closed, `${name}: closed`)
      t.ok(answer.statuses.every(status => status === 400), `${name}: ${answer.statuses.join()}`)
    }
  }
  t.same(stored(), [])
})

t.test('of a body in chunks nothing is believed after its end', async t => {
  const { port, stored } = serve(t)
  for (const coding of ['chunked', 'CHUNKED']) {
    const good = await sendRaw(port, post(`Transfer-Encoding: ${coding}\r\n`, CHUNKED))
    t.same([good.statuses, good.closed], [[201], true], 'one in order is taken, and the connection closed')
  }
  const chunks: Record<string, string> = {
    'in order': CHUNKED,
    'a size of g, which the library takes for 16': `g\r\n{"content":"g" }\r\n0\r\n\r\n`,
    'something between two chunks': `12\r\n${BODY}XX0\r\n\r\n`,
    'line feeds alone': `12\n${BODY}\n0\n\n`,
    'a trailer': `12\r\n${BODY}\r\n0\r\nContent-Length: 0\r\n\r\n`,
    'no size': `\r\n${BODY}\r\n0\r\n\r\n`,
    'a negative size': `-1\r\n${BODY}\r\n0\r\n\r\n`,
    'a size beyond 64 bits': `ffffffffffffffff2\r\n${BODY}\r\n0\r\n\r\n`,
    'a size in C': `0x12\r\n${BODY}\r\n0\r\n\r\n`,
  }
  for (const [name, body] of Object.entries(chunks)) {
    for (const path of ['/comments/demo', '/comments/no.video', '/nowhere', '/healthz']) {
      const request = post('Transfer-Encoding: chunked\r\n', body, `POST ${path} HTTP/1.1`)
      for (const behind of [[request + SMUGGLED], [request, SMUGGLED]]) {
        const { closed, statuses } = await sendRaw(port, behind)
        t.ok(closed, `${name} at ${path}: closed`)
        t.ok(statuses.filter(status => status < 300).length <= 1, `${name} at ${path}: ${statuses.join()}`)
      }
    }
  }
  // An extension is in the standard, but not in the library: it waits for more, and closes after 12 s.
  const extended = await sendRaw(port, post('Transfer-Encoding: chunked\r\n', `12;a=b\r\n${BODY}\r\n0\r\n\r\n`) + SMUGGLED, { limitMs: 300 })
  t.same([extended.statuses, extended.closed], [[], false])
  t.notOk(stored().includes('smuggled'))
})

t.test('a body that nobody reads is not taken for a request', async t => {
  const { port, stored } = serve(t)
  const length = `Content-Length: ${SMUGGLED.length}\r\n`
  for (const request of [get('/healthz', length), get('/nowhere', length), get('/comments/no.video', length), `OPTIONS /comments/demo HTTP/1.1\r\nHost: x\r\n${length}\r\n`]) {
    const { statuses, closed } = await sendRaw(port, [request, SMUGGLED, get('/healthz')], answers(2))
    t.equal(statuses.length, 2, request)
    t.equal(statuses[1], 200, 'what comes after it is served')
    t.notOk(closed)
  }
  t.same(stored(), [])
})

t.test('what cannot be served is refused at once, whatever it looks like', async t => {
  const { port } = serve(t)
  const cases: [string, number | undefined][] = [
    ...['http://x/healthz', 'x:80', '*', '\\healthz', 'healthz', '/health\0z', '', 'https://evil.example/'].map((target): [string, number] => [get(target), 505]),
    ['CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n', 505],
    [get('/healthz').replace('1.1', '1.0'), 505],
    [get('/healthz').replace('1.1', '2.0'), 505],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n\r\n', 505],
    ['GET /healthz HTTP/1.1\r\n\r\n', 400],
    ['GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    [get('/healthz', 'A: b\nC: d\r\n'), 400],
    [get('/healthz', 'A: b\0c\r\n'), 400],
    [get('/healthz', 'A\r\n'), 400],
    [get('/healthz', 'A b: c\r\n'), 400],
    [get('/healthz', 'A\xff: c\r\n'), 400],
    [get(`/${'a'.repeat(20_000)}`), 431],
    [get('/healthz', `Cookie: ${'a'.repeat(20_000)}\r\n`), 431],
    [get('/healthz', 'A: b\r\n'.repeat(200)), 431],
  ]
  for (const [request, status] of cases) {
    const answer = await sendRaw(port, request + get('/healthz'))
    t.same([answer.statuses, answer.closed], [[status], true], request.slice(0, 60))
  }
})

t.test('a path is what it says, letter by letter', async t => {
  const { port } = serve(t)
  const cases: [string, number][] = [
    ['/comments/de%6do/stats', 200], // an escape of a letter is the letter
    ['/comments/demo/../other/stats', 404],
    ['/comments/../healthz', 405],
    ['/./healthz', 404],
    ['//healthz', 404],
    ['/healthz/', 404],
    ['/HEALTHZ', 404],
    ['/%68ealthz', 404],
    ['/healthz%00', 404],
    ['/healthz#x', 404],
    ['/comments//stats', 404],
    ['/comments/%2e%2e/stats', 400],
    ['/comments/a%2fb/stats', 400],
    ['/comments/demo%0d%0aX-Injected:%20yes/stats', 400],
    ['/comments/demo%00/stats', 400],
    ['/comments/%ff/stats', 400],
    ['/comments/%/stats', 400],
    ['/comments/%u0061/stats', 400],
    ['/comments/d\xe9mo/stats', 400],
    [`/comments/${'a'.repeat(65)}/stats`, 400],
    [`/comments/${'a'.repeat(15_000)}/stats`, 400],
    ['/page/x/..%2f..%2fpackage.json', 404],
    ['/page/x/%2e%2e', 404],
    ['/page/x/__proto__', 404],
    ['/internal/ping', 404],
    ['/metrics', 404],
    [`/comments/demo?cursor=${'9'.repeat(15_000)}`, 400],
    ['/comments/demo?cursor=%00', 400],
    ['/comments/demo?cursor=1&cursor=x', 200], // the first counts
    ['/comments/demo?%ff=%zz&&=&?', 200],
  ]
  for (const [path, status] of cases) {
    const answer = await sendRaw(port, get(path), answers(1))
    t.same(answer.statuses, [status], path.slice(0, 60))
  }
})

t.test('nothing that is sent comes back as a header, or whole', async t => {
  const { port } = serve(t, { allowedOrigins: new Set(['https://good.example']) })
  const known = /^(access-control-|vary|allow|date|uwebsockets|content-(type|length|security-policy)|cache-control|connection|retry-after|etag|x-content-type-options|referrer-policy|x-accel-buffering|transfer-encoding|x-frame-options|cross-origin-|permissions-policy)/i
  const evil = 'evil%0d%0aX-Injected:%201'
  const long = 'EVIL'.repeat(1_000)
  const requests = [
    get(`/comments/${evil}?cursor=${evil}`, `Origin: https://bad.example\r\nIf-None-Match: "${long}"\r\nLast-Event-ID: ${evil}\r\n`),
    get('/', `Origin: ${long}\r\nX-Forwarded-Host: evil\r\nForwarded: host=evil\r\n`),
    `${long} /healthz HTTP/1.1\r\nHost: evil\r\nContent-Length: 0\r\n\r\n`,
    post(`Idempotency-Key: ${long}\r\nContent-Length: 2\r\n`, '{}'),
    post(`Content-Length: ${BODY.length}\r\n`, BODY).replace('application/json', `evil/${long}`),
    `OPTIONS /comments/demo HTTP/1.1\r\nHost: evil\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Headers: ${long}\r\nAccess-Control-Request-Method: EVIL\r\n\r\n`,
  ]
  for (const request of requests) {
    const { text } = await sendRaw(port, request, answers(1))
    const [head = '', body = ''] = text.split('\r\n\r\n')
    t.same(head.split('\r\n').slice(1).filter(line => !known.test(line)), [], request.slice(0, 40))
    t.notMatch(head, /evil|injected/i)
    t.notMatch(body.slice(0, 1_000), /EVIL|evil/, body.slice(0, 100))
  }
})

t.test('a stream is not broken by what is sent behind its request', async t => {
  const { port, stored } = serve(t)
  const { statuses, closed } = await sendRaw(port, get('/comments/demo', 'Accept: text/event-stream\r\n') + SMUGGLED)
  t.same([statuses.length <= 1, closed], [true, true])
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
  const quiet = await sendRaw(port, get('/healthz', upgrade), answers(1))
  t.same([quiet.statuses, quiet.closed], [[200], false], 'an upgrade that nobody offers is not taken')
  const socket = await sendRaw(port, get('/comments/demo', upgrade) + SMUGGLED, { limitMs: 500 })
  t.same(socket.statuses, [101], 'what comes behind it is no request')
  t.same(stored(), [])
})
