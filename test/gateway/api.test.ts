import { connect } from 'node:net'
import t from 'tap'
import { Limits } from '../../gateway/limits.js'
import { LiveError } from '../../protocol/errors.js'
import { ownersOf } from '../../registry/ownership.js'
import { json } from '../../runtime/http/reply.js'
import { FakeClock } from '../support/fake-clock.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway } from '../support/gateway.js'
import { refusals, set } from '../support/limits.js'
import { edgeNode } from '../support/nodes.js'
import { answers, sendRaw } from '../support/raw-request.js'
import { until } from '../support/until.js'

const jsonType = { 'content-type': 'application/json' }

function post(url: string, body: unknown, headers: Record<string, string> = {}, video = 'demo'): Promise<Response> {
  return fetch(`${url}/comments/${video}`, { method: 'POST', headers: { ...jsonType, ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body) })
}

t.test('a post is answered with the comment, once it is stored', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url, register } = runGateway(t, { dispatchers: [dispatcher.node] })
  const response = await post(url, { content: '  hello\n', authorId: 'ann' }, { 'idempotency-key': 'k1' })
  t.equal(response.status, 201)
  t.same(await response.json(), { id: '1', videoId: 'demo', authorId: 'ann', content: 'hello', createdAt: 1_750_000_000_000 })
  t.match(dispatcher.batches, [[{ videoId: 'demo', authorId: 'ann', content: 'hello', key: 'k1', leftMs: Number }]])
  const { leftMs } = dispatcher.batches[0]![0] as { leftMs?: number }
  t.ok(leftMs! > 2_000 && leftMs! <= 3_000, `${leftMs} ms are left of the 3 s of the first try`)
  await post(url, { content: 'x' })
  t.match(dispatcher.batches[1], [{ authorId: 'anonymous', key: /^[0-9a-f-]{36}$/ }])
  t.match(await register.metrics(), /live_gateway_posts_total\{status="201"\} 2/)
})

t.test('bad posts are refused here, each with its rule', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url, register } = runGateway(t, { dispatchers: [dispatcher.node] })
  const cases: [unknown, number, string, RegExp][] = [
    ['{', 400, 'BAD_COMMENT', /JSON/],
    ['', 400, 'BAD_COMMENT', /JSON/],
    ['[]', 400, 'BAD_COMMENT', /object/],
    ['"text"', 400, 'BAD_COMMENT', /object/],
    [{}, 400, 'BAD_COMMENT', /content is missing/],
    [{ content: 7 }, 400, 'BAD_COMMENT', /content must be a string/],
    [{ content: ' \n ' }, 400, 'BAD_COMMENT', /empty/],
    [{ content: '😀'.repeat(1_001) }, 400, 'BAD_COMMENT', /1000/],
    [{ content: 'a\u0007b' }, 400, 'BAD_COMMENT', /control/],
    [{ content: `a${'\n'.repeat(998)}b` }, 400, 'BAD_COMMENT', /content must have at most two line breaks in a row/],
    [{ content: '\u200b' }, 400, 'BAD_COMMENT', /content must have a visible character/],
    [{ content: 'a\u202eb' }, 400, 'BAD_COMMENT', /content must not override/],
    [{ content: 'a', authorId: '\u3164' }, 400, 'BAD_COMMENT', /authorId must have a visible character/],
    [{ content: 'a', authorId: 'x'.repeat(65) }, 400, 'BAD_COMMENT', /authorId/],
    [{ content: 'x'.repeat(9_000) }, 413, 'BODY_TOO_LARGE', /8192/],
  ]
  for (const [body, status, code, message] of cases) {
    const response = await post(url, body)
    t.equal(response.status, status, JSON.stringify(body).slice(0, 40))
    t.match(await response.json(), { error: { code, message } })
  }
  t.match(await (await post(url, { content: 'a' }, {}, 'de%20mo')).json(), { error: { code: 'BAD_VIDEO_ID' } })
  t.match(await (await post(url, { content: 'a' }, { 'idempotency-key': 'with space' })).json(), { error: { code: 'BAD_IDEMPOTENCY_KEY' } })
  t.equal((await post(url, { content: '😀'.repeat(1_000) })).status, 201)
  t.equal(dispatcher.batches.length, 1)
  t.match(await register.metrics(), /live_gateway_post_seconds_count 1\n/, 'only a post that was taken has a time')
})

t.test('a body that is not UTF-8 is refused, whatever its content type says', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node] })
  const post = (content: readonly number[], type = 'application/json') => fetch(`${url}/comments/demo`, { method: 'POST', headers: { 'content-type': type }, body: Buffer.concat([Buffer.from('{"content":"caf'), Buffer.from(content), Buffer.from('"}')]) })
  // Latin-1, a lone continuation, overlong, cut short, a surrogate, beyond the last code point.
  for (const content of [[0xe9], [0x80], [0xc0, 0xaf], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff]]) {
    for (const type of ['application/json', 'application/json; charset=iso-8859-1', 'application/json; charset=utf-8']) {
      const response = await post(content, type)
      t.equal(response.status, 400, `${content.join()} as ${type}`)
      t.match(await response.json(), { error: { code: 'BAD_COMMENT', message: 'the body must be in UTF-8' } })
    }
  }
  t.equal((await post([0xc3, 0xa9])).status, 201)
  t.match(dispatcher.batches, [[{ content: 'café' }]])
})

t.test('an idempotency key that is there and cannot be read is refused, and none is none', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node] })
  const send = (headers: string) => sendRaw(Number(new URL(url).port), `POST /comments/demo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n${headers}\r\n{"content":"x"}`, answers(1))
  for (const [what, headers] of Object.entries({
    'one byte': 'Idempotency-Key: \xe9\r\n',
    'UTF-8': 'Idempotency-Key: \xc3\xa9\r\n',
    'UTF-8 of four bytes': 'Idempotency-Key: \xf0\x9f\x98\x80\r\n',
    'zero-width': 'Idempotency-Key: \xe2\x80\x8b\r\n',
    'a no-break space': 'Idempotency-Key: \xa0\r\n',
    'DEL': 'Idempotency-Key: \x7f\r\n',
    'empty': 'Idempotency-Key:\r\n',
    'blanks': 'Idempotency-Key:  \t \r\n',
    'bytes in the middle': 'Idempotency-Key: a\xe9b\r\n',
    'a tab': 'Idempotency-Key: a\tb\r\n',
    'two': 'Idempotency-Key: a\r\nIdempotency-Key: b\r\n',
    'an empty one first': 'Idempotency-Key:\r\nIdempotency-Key: a\r\n',
    'an empty one last': 'Idempotency-Key: a\r\nIdempotency-Key: \xff\r\n',
    'two in one line': 'Idempotency-Key: a, b\r\n',
    'too long': `Idempotency-Key: ${'x'.repeat(129)}\r\n`,
  })) {
    const answer = await send(headers)
    t.same(answer.statuses, [400], what)
    t.match(answer.text, /"code":"BAD_IDEMPOTENCY_KEY","message":"Idempotency-Key must be/, what)
  }
  for (const headers of ['Idempotency-Key: a\r\nIDEMPOTENCY-KEY: a\r\n', 'Idempotency-Key: "a"\r\n', '']) t.same((await send(headers)).statuses, [201], JSON.stringify(headers))
  t.match(dispatcher.batches.flat(), [{ key: 'a' }, { key: '"a"' }, { key: /^[0-9a-f-]{36}$/ }])
  for (const headers of ['Content-Type: text/plain\r\n', 'Content-Type:\r\n', 'Content-Type: \xe9\r\n']) t.same((await send(headers)).statuses, [415], JSON.stringify(headers))
})

t.test('another content type is 415, without reading the body', async t => {
  const { url } = runGateway(t)
  for (const type of ['text/plain', 'application/jsonp', 'application/x-www-form-urlencoded']) {
    const response = await post(url, '{"content":"x"}', { 'content-type': type })
    t.equal(response.status, 415, type)
    t.match(await response.json(), { error: { code: 'UNSUPPORTED_MEDIA_TYPE' } })
  }
})

t.test('a body that is compressed is 415, and not taken for text', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node] })
  for (const [encoding, status] of [['gzip', 415], ['identity, gzip', 415], ['', 415], ['identity', 201], ['Identity', 201]] as const) {
    const response = await post(url, '{"content":"x"}', { 'content-type': 'application/json', 'content-encoding': encoding })
    t.equal(response.status, status, encoding)
    if (status === 415) t.match(await response.json(), { error: { code: 'UNSUPPORTED_MEDIA_TYPE', message: /^content-encoding must be identity/ } })
  }
})

t.test('a body over the limit is refused before it is sent', async t => {
  const { url } = runGateway(t)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  t.after(() => socket.destroy())
  let answer = ''
  socket.on('data', chunk => (answer += chunk.toString()))
  socket.write('POST /comments/demo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 8193\r\n\r\n{')
  await until(() => answer.includes('\r\n\r\n'))
  t.match(answer, /^HTTP\/1\.1 413 /)
})

t.test('unknown paths are 404, wrong methods 405 with Allow, OPTIONS and HEAD are answered', async t => {
  const { url } = runGateway(t)
  const missing = await fetch(`${url}/nothing`)
  t.equal(missing.status, 404)
  t.match(await missing.json(), { error: { code: 'NOT_FOUND' } })
  const wrong = await fetch(`${url}/comments/demo`, { method: 'DELETE' })
  t.equal(wrong.status, 405)
  t.equal(wrong.headers.get('allow'), 'GET, HEAD, POST, OPTIONS')
  const options = await fetch(`${url}/comments/demo`, { method: 'OPTIONS' })
  t.equal(options.status, 204)
  t.match(options.headers.get('access-control-allow-headers'), /\*$/, 'no credentials where all may ask')
  // What eventsource 1 and 2, event-source-polyfill, axios and tracing send by themselves.
  for (const name of ['content-type', 'idempotency-key', 'last-event-id', 'authorization', 'cache-control', 'x-requested-with', 'pragma', 'traceparent']) t.match(options.headers.get('access-control-allow-headers'), new RegExp(`(^|, )${name}(,|$)`))
  t.match(options.headers.get('access-control-allow-methods'), /POST/)
  t.ok(options.headers.get('access-control-max-age'))
  const head = await fetch(`${url}/healthz`, { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(await head.text(), '')
})

t.test('only allowed origins get CORS headers, and caches are told', async t => {
  const { url } = runGateway(t, { allowedOrigins: new Set(['https://good.example']) })
  const good = await fetch(`${url}/healthz`, { headers: { origin: 'https://good.example' } })
  t.equal(good.headers.get('access-control-allow-origin'), 'https://good.example')
  t.equal(good.headers.get('vary'), 'Origin')
  const bad = await fetch(`${url}/healthz`, { headers: { origin: 'https://bad.example' } })
  t.equal(bad.headers.get('access-control-allow-origin'), null)
  t.equal(bad.headers.get('vary'), 'Origin')
})

t.test('posts that come while two batches are under way go together in the next', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const release: (() => void)[] = []
  dispatcher.answer = draft => new Promise(resolve => release.push(() => resolve(dispatcher.stored(draft))))
  const { url } = runGateway(t, { dispatchers: [dispatcher.node] })
  const first = [post(url, { content: '1' })]
  await until(() => dispatcher.batches.length === 1)
  first.push(post(url, { content: '2' }))
  await until(() => dispatcher.batches.length === 2)
  const rest = Array.from({ length: 10 }, (_, i) => post(url, { content: `more ${i}` }))
  await until(async () => (await fetch(`${url}/healthz`)).ok && dispatcher.batches.length === 2)
  dispatcher.answer = draft => dispatcher.stored(draft)
  for (const each of release) each()
  for (const response of await Promise.all([...first, ...rest])) t.equal(response.status, 201)
  t.ok(dispatcher.batches.length <= 5, `${dispatcher.batches.length} batches for 12 posts`)
})

t.test('a post whose owner is gone or silent goes to the next in hash order under the same key', async t => {
  const dispatchers = [fakeDispatcher(t, 'd1'), fakeDispatcher(t, 'd2'), fakeDispatcher(t, 'd3')]
  const { url, view, gateway } = runGateway(t, { dispatchers: dispatchers.map(({ node }) => node) })
  const [first, second, third] = ownersOf(view, 'demo').map(({ id }) => dispatchers.find(({ node }) => node.id === id)!)
  first!.close()
  second!.answer = () => undefined // takes it and never answers
  second!.freeze()
  const response = await post(url, { content: 'x' })
  t.equal(response.status, 201)
  t.equal(second!.batches[0]![0]!.key, third!.batches[0]![0]!.key)
  await until(() => gateway.failover.isBackedOff(second!.node))
  await post(url, { content: 'y' })
  t.equal(second!.batches.length, 1, 'it is backed off from')
  t.equal(third!.batches.length, 2)
})

t.test('errors of the store and of the comment pass through', async t => {
  const dispatchers = [fakeDispatcher(t, 'd1'), fakeDispatcher(t, 'd2')]
  const { url } = runGateway(t, { dispatchers: dispatchers.map(({ node }) => node) })
  const cases = [
    ['KEY_REUSED', 422, 1],
    ['OVERLOADED', 503, 1],
    ['STORE_UNAVAILABLE', 503, 2],
  ] as const
  for (const [code, status, tries] of cases) {
    for (const each of dispatchers) {
      each.batches.length = 0
      each.answer = () => ({ error: { code, message: 'why' } })
    }
    const response = await post(url, { content: 'x' })
    t.equal(response.status, status)
    t.same(await response.json(), { error: { code, message: 'why' } })
    t.equal(response.headers.get('retry-after'), code === 'OVERLOADED' ? '1' : null)
    t.equal(dispatchers[0]!.batches.length + dispatchers[1]!.batches.length, tries, code)
  }
})

t.test('with no dispatcher posts and history are 503 UNAVAILABLE, at once', async t => {
  const { url } = runGateway(t)
  for (const response of [await post(url, { content: 'x' }), await fetch(`${url}/comments/demo`)]) {
    t.equal(response.status, 503)
    t.match(await response.json(), { error: { code: 'UNAVAILABLE' } })
  }
})

t.test('history is read from the owner, and from the next where that fails', async t => {
  const dispatchers = [fakeDispatcher(t, 'd1'), fakeDispatcher(t, 'd2')]
  const { url, view } = runGateway(t, { dispatchers: dispatchers.map(({ node }) => node) })
  const [owner, next] = ownersOf(view, 'demo').map(({ id }) => dispatchers.find(({ node }) => node.id === id)!)
  const page = { comments: [{ id: '7' }], nextCursor: '7' }
  for (const each of dispatchers) each.history = () => ({ status: 200, body: JSON.stringify(page) })
  const response = await fetch(`${url}/comments/demo?cursor=9&direction=after&pageSize=3`)
  t.same(await response.json(), page)
  t.same(owner!.histories, ['demo?cursor=9&direction=after&pageSize=3'])
  t.equal(response.headers.get('cache-control'), 'no-store')
  for (const pageSize of [1, 200]) t.equal((await fetch(`${url}/comments/demo?pageSize=${pageSize}`)).status, 200)
  owner!.history = () => {
    throw new LiveError('STORE_UNAVAILABLE', 'no disk')
  }
  t.same(await (await fetch(`${url}/comments/demo`)).json(), page)
  t.same(next!.histories, ['demo?direction=before&pageSize=50'])
  owner!.close()
  t.same(await (await fetch(`${url}/comments/demo`)).json(), page)
})

t.test('what dispatchers say of a page that they cannot read is passed on: a refusal at once, other errors when all have failed', async t => {
  const dispatchers = [fakeDispatcher(t, 'd1'), fakeDispatcher(t, 'd2')]
  const { url, view } = runGateway(t, { dispatchers: dispatchers.map(({ node }) => node) })
  const [owner, next] = ownersOf(view, 'demo').map(({ id }) => dispatchers.find(({ node }) => node.id === id)!)
  const answers = (dispatcher: typeof owner, status: number, code: string) => (dispatcher!.history = () => ({ status, body: JSON.stringify({ error: { code, message: 'why' } }) }))
  answers(owner, 400, 'BAD_CURSOR')
  answers(next, 503, 'STORE_UNAVAILABLE')
  const refused = await fetch(`${url}/comments/demo`)
  t.equal(refused.status, 400)
  t.match(await refused.json(), { error: { code: 'BAD_CURSOR' } })
  t.equal(next!.histories.length, 0)
  answers(owner, 500, 'INTERNAL')
  const failed = await fetch(`${url}/comments/demo`)
  t.equal(failed.status, 503)
  t.match(await failed.json(), { error: { code: 'STORE_UNAVAILABLE' } })
  for (const each of dispatchers) each.close()
  const gone = await fetch(`${url}/comments/demo`)
  t.equal(gone.status, 503)
  t.match(await gone.json(), { error: { code: 'UNAVAILABLE' } })
})

t.test('a dispatcher with too many reads in line is asked no more, and posted to as before', async t => {
  const dispatchers = [fakeDispatcher(t, 'd1'), fakeDispatcher(t, 'd2')]
  const { url, view, gateway } = runGateway(t, { dispatchers: dispatchers.map(({ node }) => node) })
  const [owner, next] = ownersOf(view, 'demo').map(({ id }) => dispatchers.find(({ node }) => node.id === id)!)
  for (const each of dispatchers) each.history = () => ({ status: 429, body: JSON.stringify({ error: { code: 'RATE_LIMITED', message: 'too many reads are waiting' } }) })
  const refused = await fetch(`${url}/comments/demo`)
  t.same([refused.status, refused.headers.get('retry-after')], [503, '1'])
  t.match(await refused.json(), { error: { code: 'OVERLOADED' } })
  t.equal(gateway.failover.backedOffCount, 0)
  t.equal((await post(url, { content: 'x' })).status, 201)
  t.equal(owner!.batches.length, 1)
  next!.history = () => ({ status: 200, body: '{}' })
  t.equal((await fetch(`${url}/comments/demo`)).status, 200, 'another one may have time')
})

t.test('pages are read some at a time, by turns of the addresses, and not for a client that has left', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url, register } = runGateway(t, { dispatchers: [dispatcher.node], trustedProxies: '127.0.0.1' })
  const waiting: (() => void)[] = []
  dispatcher.history = () => new Promise(resolve => waiting.push(() => resolve(json({}))))
  const asked = () => dispatcher.histories.map(each => each.split('?')[0])
  const leaver = new AbortController()
  const read = (address: string, video: string, signal?: AbortSignal) => fetch(`${url}/comments/${video}`, { headers: { 'x-forwarded-for': address }, ...(signal ? { signal } : {}) }).then(({ status }) => status, () => 'left')
  const flood = Array.from({ length: 4 }, () => read('192.0.2.1', 'flood'))
  await until(() => dispatcher.histories.length === 4)
  const left = Array.from({ length: 20 }, () => read('192.0.2.1', 'left', leaver.signal))
  const rest = [read('192.0.2.1', 'rest'), read('192.0.2.1', 'rest')]
  const other = read('2001:db8::1', 'other')
  await until(async () => /live_gateway_reads_waiting 23/.test(await register.metrics()), { what: 'all in line' })
  leaver.abort()
  t.same([...new Set(await Promise.all(left))], ['left'])
  t.equal(dispatcher.histories.length, 4, 'no more than that are under way')
  waiting.shift()!()
  waiting.shift()!()
  await until(() => dispatcher.histories.length === 6)
  t.same(asked().slice(4).sort(), ['other', 'rest'], 'by turns, and none of those who left')
  const answering = setInterval(() => waiting.splice(0).forEach(answer => answer()), 1)
  t.after(() => clearInterval(answering))
  t.same([...new Set(await Promise.all([...flood, ...rest, other]))], [200])
  t.notOk(asked().includes('left'))
})

t.test('who asks on after many refusals has them when it was told to come back, and others have theirs at once', async t => {
  const clock = new FakeClock()
  const limits = new Limits({ clock, refusals: refusals(), postsPerAuthor: set(), postsPerAddress: set(), streamsPerAuthor: set(), streamsPerAddress: set() })
  const client = (address: string) => ({ keys: [address], local: true })
  const answered = new Map<string, number>()
  const page = 'x'.repeat(9 << 20)
  await limits.read(client('a'), () => Promise.resolve({ status: 200, body: page }), () => true)
  const read = (address: string) => limits.read(client(address), () => Promise.resolve({ status: 200 }), () => true).then(() => 'read', () => answered.set(address, (answered.get(address) ?? 0) + 1))
  for (let i = 0; i < 150; i++) void read('a')
  await clock.advance(0)
  t.equal(answered.get('a'), 100, 'at once')
  t.equal(await read('b'), 'read')
  await clock.advance(1_000)
  t.equal(answered.get('a'), 150)
  t.equal(await read('a'), 'read', 'its bytes are paid off')
})

t.test('bad history parameters are 400, each named', async t => {
  const { url } = runGateway(t)
  const cases = [
    ['cursor=x', 'BAD_CURSOR', /cursor/],
    ['cursor=', 'BAD_CURSOR', /cursor/],
    ['cursor=9007199254740992', 'BAD_CURSOR', /cursor/],
    ['at=x', 'BAD_AT', /Unix milliseconds/],
    ['at=', 'BAD_AT', /at must be/],
    ['at=-1', 'BAD_AT', /at must be/],
    ['at=1.5', 'BAD_AT', /at must be/],
    ['at=9007199254740992', 'BAD_AT', /at must be/],
    ['at=1&cursor=1', 'BAD_AT', /exclude each other/],
    ['direction=up', 'BAD_DIRECTION', /direction/],
    ['pageSize=0', 'BAD_PAGE_SIZE', /pageSize/],
    ['pageSize=201', 'BAD_PAGE_SIZE', /pageSize/],
    ['pageSize=1.5', 'BAD_PAGE_SIZE', /pageSize/],
  ] as const
  for (const [query, code, message] of cases) {
    const response = await fetch(`${url}/comments/demo?${query}`)
    t.equal(response.status, 400, query)
    t.match(await response.json(), { error: { code, message } })
  }
})

t.test('stats are read from the view', async t => {
  const { url, view, apply } = runGateway(t, { edges: [edgeNode('a'), edgeNode('b')] })
  apply({ kind: 'holdings', id: 'a', holdings: { instance: 'i1', videos: new Map([['demo', 3]]) } })
  apply({ kind: 'holdings', id: 'b', holdings: { instance: 'i1', videos: new Map([['demo', 4], ['other', 1]]) } })
  t.same(await (await fetch(`${url}/comments/demo/stats`)).json(), { videoId: 'demo', viewers: 7, edges: 2 })
  view.refused('a', 'i1')
  t.same(await (await fetch(`${url}/comments/demo/stats`)).json(), { videoId: 'demo', viewers: 4, edges: 1 }, 'nothing listens there any more')
  t.same(await (await fetch(`${url}/comments/none/stats`)).json(), { videoId: 'none', viewers: 0, edges: 0 })
  t.equal((await fetch(`${url}/comments/no.ne/stats`)).status, 400)
})

t.test('it is ready only when the view is loaded', async t => {
  let loaded = false
  const { url } = runGateway(t, { viewLoaded: () => loaded })
  const before = await fetch(`${url}/readyz`)
  t.equal(before.status, 503)
  t.match(await before.json(), { error: { code: 'NOT_READY', message: 'waiting for the registry' } })
  t.equal((await fetch(`${url}/comments/demo/stats`)).status, 503)
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  t.equal((await fetch(`${url}/`)).status, 200)
  loaded = true
  t.equal((await fetch(`${url}/readyz`)).status, 200)
})
