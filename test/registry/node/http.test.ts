import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { LiveError } from '../../../registry/node/errors.js'
import { HttpServer, json, type Handler, type Method, type ServerOptions } from '../../../registry/node/http.js'
import { until } from '../../support/until.js'

/** By `METHOD /pattern`. */
type Routes = Readonly<Record<string, Handler>>

function serve(t: Test, routes: Routes, options: Partial<ServerOptions> = {}) {
  const bugs: unknown[] = []
  const server = new HttpServer({ onBug: error => bugs.push(error), ...options })
  for (const [route, handler] of Object.entries(routes)) {
    const [method, pattern] = route.split(' ') as [Method, string]
    server.route(method, pattern, handler)
  }
  const port = server.listen('127.0.0.1', 0)
  t.after(() => server.close())
  return { server, port, url: `http://127.0.0.1:${port}`, bugs }
}

/** Sends `text` on a bare connection. `ended` is all that came back, once the server has closed it. */
function raw(t: Test, port: number, text: string) {
  const socket = connect(port, '127.0.0.1', () => socket.write(text))
  t.after(() => socket.destroy())
  let received = ''
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
  socket.on('error', () => {})
  return { socket, ended: new Promise<string>(resolve => socket.once('close', () => resolve(received))) }
}

const body = async (response: { body: { json(): Promise<unknown> } }) => (await response.body.json()) as { error: { code: string; message: string } }
const post = (length: number, sent: string) => `POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n${sent}`

t.test('a handler answers at once or later', async t => {
  const { url } = serve(t, {
    'GET /now/:name': exchange => json({ name: exchange.parameter(0), query: exchange.query.get('q'), header: exchange.header('x-a') }),
    'GET /later': async () => {
      await turn()
      return json({ later: true }, 201, { 'x-b': 'b' })
    },
  })
  const now = await request(`${url}/now/a%20b?q=%C3%A4+1`, { headers: { 'x-a': 'c' } })
  t.same(await now.body.json(), { name: 'a b', query: 'ä 1', header: 'c' })
  const later = await request(`${url}/later`)
  t.same([later.statusCode, later.headers['x-b'], await later.body.json()], [201, 'b', { later: true }])
})

t.test('a client that leaves harms no kind of handler', async t => {
  let release = () => {}
  const gate = new Promise<void>(resolve => (release = resolve))
  let entered = 0
  let aborted = 0
  const counted = (handler: Handler): Handler => exchange => {
    entered++
    exchange.signal.addEventListener('abort', () => aborted++)
    return handler(exchange)
  }
  const { port, url, bugs } = serve(t, {
    'GET /waits': counted(async () => {
      await gate
      return json({})
    }),
    'GET /fails': counted(async () => {
      await gate
      throw new LiveError('UNAVAILABLE', 'late')
    }),
    'POST /x': counted(async exchange => {
      await exchange.body(100)
      return json({})
    }),
    'POST /unread': counted(async () => {
      await gate
      return json({})
    }),
    'GET /taken': counted(() => undefined),
    'GET /ok': () => json({}),
  })
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
  const open = [get('/waits'), get('/fails'), get('/taken'), post(50, 'half'), post(50, 'half').replace('/x', '/unread')].map(text => raw(t, port, text))
  await until(() => entered === open.length)
  for (const { socket } of open) socket.resetAndDestroy()
  await until(() => aborted === open.length)
  release()
  await turn()
  t.equal((await request(`${url}/ok`)).statusCode, 200)
  t.same(bugs, [])
})

t.test('a handler that fails with its body unread does not end the process', async t => {
  const { port, url } = serve(t, {
    'POST /x': exchange => {
      void exchange.body(10)
      throw new LiveError('BAD_VIDEO_ID', 'no')
    },
    'GET /ok': () => json({}),
  })
  const { socket } = raw(t, port, post(1_000, 'x'.repeat(5)))
  await new Promise(resolve => socket.once('data', resolve))
  socket.write('x'.repeat(995))
  socket.end()
  const chunked = raw(t, port, 'POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nxxxxxxxxxxxxxxxxxxxx\r\n')
  await new Promise(resolve => chunked.socket.once('data', resolve))
  chunked.socket.resetAndDestroy()
  t.equal((await request(`${url}/ok`)).statusCode, 200)
})

t.test('a body is read whole, and one too large is refused before it is', async t => {
  const { port, url } = serve(t, { 'POST /x': async exchange => json({ bytes: (await exchange.body(8_192)).length }) })
  t.same(await (await request(`${url}/x`, { method: 'POST', body: 'x'.repeat(8_192) })).body.json(), { bytes: 8_192 })
  t.same(await (await request(`${url}/x`, { method: 'POST' })).body.json(), { bytes: 0 })

  const declared = await raw(t, port, post(1_000_000, 'the first bytes')).ended
  t.match(declared, /^HTTP\/1\.1 413 [\s\S]*"BODY_TOO_LARGE"/, 'answered and closed, the rest unsent')
  const chunk = `2000\r\n${'x'.repeat(0x2000)}\r\n`
  const chunked = await raw(t, port, `POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`).ended
  t.match(chunked, /^HTTP\/1\.1 413 /, 'no length declared')
})

t.test('a body that stops coming is closed within 12 s', async t => {
  let failed = false
  const { port } = serve(t, {
    'POST /x': async exchange => {
      await exchange.body(100).catch(() => (failed = true))
      return json({})
    },
  })
  const started = performance.now()
  t.equal(await raw(t, port, post(50, 'half')).ended, '')
  t.ok(performance.now() - started < 13_000)
  t.ok(failed)
})

t.test('an unknown path, another method, HEAD and OPTIONS', async t => {
  const { url } = serve(t, { 'GET /a': () => json({ long: 'x'.repeat(100) }), 'POST /a': () => json({}), 'DELETE /b': () => json({}) }, { headers: () => ({ 'x-always': 'yes' }) })
  const missing = await request(`${url}/nowhere`)
  t.same([missing.statusCode, missing.headers['x-always'], (await body(missing)).error.code], [404, 'yes', 'NOT_FOUND'])
  for (const [path, method, allow] of [['/a', 'PUT', 'GET, HEAD, POST, OPTIONS'], ['/b', 'GET', 'DELETE, OPTIONS'], ['/b', 'HEAD', 'DELETE, OPTIONS']] as const) {
    const refused = await request(`${url}${path}`, { method })
    t.same([refused.statusCode, refused.headers.allow], [405, allow], `${method} ${path}`)
    if (method !== 'HEAD') t.equal((await body(refused)).error.code, 'METHOD_NOT_ALLOWED')
  }
  const head = await request(`${url}/a`, { method: 'HEAD' })
  t.same([head.statusCode, head.headers['content-type'], await head.body.text()], [200, 'application/json; charset=utf-8', ''])
  const options = await request(`${url}/a`, { method: 'OPTIONS' })
  t.same([options.statusCode, options.headers.allow, await options.body.text()], [204, 'GET, HEAD, POST, OPTIONS', ''])
})

t.test('an error of ours is answered with its code; a bug with 500, and reported', async t => {
  const bug = new TypeError('secret')
  const { url, bugs } = serve(t, {
    'GET /ours': () => {
      throw new LiveError('RATE_LIMITED', 'too many', { headers: { 'retry-after': '3' } })
    },
    'GET /later': async () => {
      await turn()
      throw new LiveError('STORE_UNAVAILABLE', 'full')
    },
    'GET /bug': () => {
      throw bug
    },
    'GET /late-bug': async () => {
      await turn()
      throw bug
    },
  })
  const ours = await request(`${url}/ours`)
  t.same([ours.statusCode, ours.headers['retry-after'], await ours.body.json()], [429, '3', { error: { code: 'RATE_LIMITED', message: 'too many' } }])
  t.equal((await request(`${url}/later`)).statusCode, 503)
  t.same(bugs, [])
  for (const path of ['/bug', '/late-bug']) {
    const answer = await request(`${url}${path}`)
    t.same([answer.statusCode, (await body(answer)).error.code], [500, 'INTERNAL'])
  }
  t.same(bugs, [bug, bug])
})

t.test('a guard refuses before the route, also where there is none', async t => {
  const guard = () => {
    throw new LiveError('UNAUTHORIZED', 'no')
  }
  const { url } = serve(t, { 'GET /a': () => t.fail('reached') as never }, { guard })
  for (const path of ['/a', '/nowhere']) t.equal((await request(`${url}${path}`)).statusCode, 401)
})

t.test('a taken port is an error, not shared', async t => {
  const { port } = serve(t, { 'GET /': () => json({}) })
  const second = new HttpServer({ onBug: error => t.fail(String(error)) })
  t.after(() => second.close())
  t.throws(() => second.listen('127.0.0.1', port), { code: 'UNAVAILABLE', message: /taken/ })
  t.throws(() => second.listen('203.0.113.1', 0), { code: 'UNAVAILABLE' }, 'nor an address that is not ours')
})

t.test('a server that stops listening finishes what it has', async t => {
  let release = () => {}
  const gate = new Promise<void>(resolve => (release = resolve))
  const { server, url, port } = serve(t, {
    'GET /': async () => {
      await gate
      return json({})
    },
  })
  const { socket } = raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await new Promise(resolve => socket.once('connect', resolve))
  await turn()
  server.stopListening()
  server.stopListening()
  await t.rejects(request(url), { code: 'ECONNREFUSED' })
  const answered = new Promise<Buffer>(resolve => socket.once('data', resolve))
  release()
  t.match((await answered).toString(), /^HTTP\/1\.1 200 OK/)
})

t.test('the address of a peer is short', async t => {
  const { url } = serve(t, { 'GET /': exchange => json(exchange.address()) })
  t.equal(await (await request(url)).body.json(), '127.0.0.1')
})
