import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { Ports } from '../../../cluster/ports.js'
import { LiveError } from '../../../protocol/errors.js'
import type { Exchange } from '../../../runtime/http/exchange.js'
import { json } from '../../../runtime/http/reply.js'
import { HttpServer, type Handler, type Method, type ServerOptions } from '../../../runtime/http/server.js'
import { makeCertificate } from '../../support/certificate.js'
import { tempFolder } from '../../support/folder.js'
import { whyNoNetwork } from '../../support/own-network.js'
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
function raw(t: Test, port: number, text: string | Buffer) {
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
  const entered: Exchange[] = []
  const counted = (handler: Handler): Handler => exchange => {
    entered.push(exchange)
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
  await until(() => entered.length === open.length)
  for (const { socket } of open) socket.resetAndDestroy()
  await until(() => entered.every(({ aborted }) => aborted))
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

t.test('a body in chunks that is refused before it has come is taken first, so that no proxy misses the answer for being still sending', async t => {
  let asked = 0
  const { port } = serve(t, {
    'POST /x': () => {
      asked++
      throw new LiveError('RATE_LIMITED', 'too many')
    },
  })
  const head = 'POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
  const chunk = `400\r\n${'x'.repeat(0x400)}\r\n`
  const { socket, ended } = raw(t, port, head)
  let answered = false
  socket.once('data', () => (answered = true))
  await until(() => asked === 1)
  for (let i = 0; i < 3; i++) {
    await new Promise(resolve => socket.write(chunk, resolve))
    t.notOk(answered)
  }
  socket.write('0\r\n\r\n')
  t.match(await ended, /^HTTP\/1\.1 429 [\s\S]*"RATE_LIMITED"/)

  t.match(await raw(t, port, `${head}${chunk}0\r\n\r\n`).ended, /^HTTP\/1\.1 429 /, 'all in one write')
  t.match(await raw(t, port, `${head}${chunk}`).ended, /^HTTP\/1\.1 429 /, 'a body that stops coming is waited for no longer than a second')
  const endless = raw(t, port, head)
  await new Promise(resolve => endless.socket.once('connect', resolve)) // the headers go first
  const sending = setInterval(() => endless.socket.write(chunk.repeat(16)), 1)
  t.teardown(() => clearInterval(sending))
  t.match(await endless.ended, /^$|^HTTP\/1\.1 429 /, 'one without an end is not taken for ever')
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
  await Promise.all([server.stopListening(), server.stopListening()])
  await t.rejects(request(url), { code: 'ECONNREFUSED' })
  const answered = new Promise<Buffer>(resolve => socket.once('data', resolve))
  release()
  t.match((await answered).toString(), /^HTTP\/1\.1 200 OK/)
})

t.test('connections that wait to be accepted when a server stops listening are accepted, and their requests answered', async t => {
  const { server, port } = serve(t, { 'GET /': () => json({ served: true }) })
  const waiting = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'))
  const answers = waiting.map(async socket => {
    const parts: Buffer[] = []
    socket.on('data', (part: Buffer) => {
      parts.push(part)
      socket.end()
    })
    socket.on('error', () => {})
    await new Promise(resolve => socket.once('close', resolve))
    return Buffer.concat(parts).toString()
  })
  for (const socket of waiting) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await new Promise(resolve => process.nextTick(resolve)) // the kernel has them by now, and we have not run since
  await server.stopListening()
  for (const answer of await Promise.all(answers)) t.match(answer, /^HTTP\/1\.1 200 OK/)
})

t.test('an open connection of a server that stops listening ends with its next answer', async t => {
  const { server, port } = serve(t, { 'GET /': () => json({}) })
  const { socket, ended } = raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const first = await new Promise<Buffer>(resolve => socket.once('data', resolve))
  t.notMatch(first.toString(), /connection: close/i)
  await server.stopListening()
  t.notOk(socket.destroyed)
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  t.match((await ended).slice(first.length), /^HTTP\/1\.1 200 OK\r\n(.+\r\n)*connection: close\r\n/i)
})

const isLinux = process.platform === 'linux'

t.test('servers that share a port all get connections, and none is lost when one leaves or comes back', { skip: !isLinux && 'only Linux spreads connections' }, async t => {
  const served = [0, 0]
  const servers = served.map((_, which) => {
    const server = new HttpServer({ onBug: error => t.fail(String(error)) }).route('GET', '/', () => {
      served[which]!++
      return json({})
    })
    t.after(() => server.close())
    return server
  }) as [HttpServer, HttpServer]
  const port = await new Ports().take('127.0.0.1')
  for (const server of servers) t.equal(server.listen('127.0.0.1', port, true), port)
  const alone = new HttpServer({ onBug: error => t.fail(String(error)) })
  t.after(() => alone.close())
  t.throws(() => alone.listen('127.0.0.1', port), { code: 'UNAVAILABLE' }, 'who does not share it does not get it')

  const ask = async (times: number) => {
    served.fill(0)
    const answers = await Promise.all(Array.from({ length: times }, () => raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').ended))
    for (const answer of answers) t.match(answer, /^HTTP\/1\.1 200 OK/)
  }
  await ask(60)
  t.ok(served.every(count => count > 0), `${served.join(' and ')} of 60`)
  const asked = ask(60)
  await new Promise(resolve => process.nextTick(resolve)) // the kernel has them by now, and we have not run since
  await servers[0].stopListening()
  await asked
  await ask(20)
  t.same(served, [0, 20])
  servers[0].listen('127.0.0.1', port, true)
  await ask(60)
  t.ok(served.every(count => count > 0), `${served.join(' and ')} of 60`)
})

t.test('with tcp_migrate_req the kernel gives the connections that wait at a listener to another one of its port', async t => {
  const why = whyNoNetwork()
  if (why !== undefined) return t.comment(`not tried: ${why}`)
  const { stdout } = await promisify(execFile)('unshare', ['-rn', process.execPath, fileURLToPath(new URL('../../support/migrated-connections.js', import.meta.url))])
  const { kept, migrated } = JSON.parse(stdout) as Record<'kept' | 'migrated', { answered: number; reset: number }>
  t.ok(kept.reset > 0 && kept.answered > 0, `without it ${kept.reset} of 60 are reset`)
  t.same(migrated, { answered: 60, reset: 0 })
})

t.test('the address of a peer is IPv4 where it is one, also on a listener for both', async t => {
  const server = new HttpServer({ onBug: error => t.fail(String(error)) })
  t.after(() => server.close())
  server.route('GET', '/', exchange => json(exchange.peer()?.toString()))
  t.equal(await (await request(`http://127.0.0.1:${server.listen('::', 0)}`)).body.json(), '127.0.0.1')
})

t.test('a header that comes in several lines is read in all of them', async t => {
  const { port } = serve(t, { 'GET /': exchange => json(exchange.headers('x-a')) })
  const { socket } = raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-b: 2\r\nx-a: 3, 4\r\n\r\n')
  t.match((await new Promise<Buffer>(resolve => socket.once('data', resolve))).toString(), /\["1","3, 4"\]$/)
})

t.test('no answer names what the server is made of', async t => {
  const { port } = serve(t, { 'GET /': () => json({}), 'POST /': () => ({ status: 204 }) })
  for (const line of ['GET /', 'POST /', 'HEAD /', 'OPTIONS /', 'GET /none', 'DELETE /']) {
    const { ended } = raw(t, port, `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    const answer = await ended
    t.match(answer, /^HTTP\/1.1 [24]/, line)
    t.notMatch(answer, /uwebsockets/i, line)
  }
})

t.test('who asks again and again and does not read is closed, and costs no memory', async t => {
  const body = Buffer.alloc(100_000, 'a')
  let asked = 0
  const { port } = serve(t, {
    'GET /': () => {
      asked++
      return { status: 200, body }
    },
  })
  const { socket, ended } = raw(t, port, '')
  socket.pause()
  const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
  const before = process.memoryUsage.rss()
  // A write on a connection that has been closed fails: that is the end that is waited for.
  const timer = setInterval(() => socket.writable && socket.write(request.repeat(20)), 1)
  t.after(() => clearInterval(timer))
  socket.on('error', () => socket.destroy())
  await ended
  t.ok(asked < 300, `answered ${asked} times`)
  t.ok(process.memoryUsage.rss() - before < 60_000_000, `${process.memoryUsage.rss() - before} bytes`)
})

t.test('who is slow is closed within 12 s', async t => {
  t.jobs = 3 // all wait
  t.test('whose body stops coming', async t => {
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

  t.test('who begins a TLS handshake and says no more', async t => {
    const server = new HttpServer({ tls: makeCertificate(tempFolder(t)), onBug: error => t.fail(String(error)) })
    t.after(() => server.close())
    const port = server.listen('127.0.0.1', 0)
    const hello = Buffer.from('16030100c8010000c40303', 'hex') // the first bytes of a client's greeting of 200
    for (const bytes of [Buffer.alloc(0), hello, Buffer.concat([hello, Buffer.alloc(100)])]) raw(t, port, bytes)
    await until(() => server.connections === 3)
    await t.resolves(until(() => server.connections === 0, { timeoutMs: 14_000 }))
  })

  t.test('who does not read its answer', async t => {
    const { server, port } = serve(t, { 'GET /': () => ({ status: 200, body: Buffer.alloc(20_000_000, 'a') }) })
    const { socket } = raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.pause()
    await until(() => server.connections === 1)
    await t.resolves(until(() => server.connections === 0, { timeoutMs: 14_000 }))
  })
})

t.test('answers that many do not read have a bound together: the longest under way is closed', async t => {
  const body = Buffer.alloc(30_000_000, 'a')
  let asked = 0
  const { server, port } = serve(t, {
    'GET /': () => {
      asked++
      return { status: 200, body }
    },
  })
  const sockets = Array.from({ length: 4 }, () => raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n').socket.pause())
  await t.resolves(until(() => asked === 4 && server.connections === 2))
  for (const socket of sockets) socket.destroy()
  await until(() => server.connections === 0)
})

t.test('a large answer reaches a slow reader whole', async t => {
  const body = Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => `${i} `).join(''))
  const { port } = serve(t, { 'GET /': () => ({ status: 200, body }) })
  const { socket } = raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  socket.removeAllListeners('data')
  socket.pause()
  const parts: Buffer[] = []
  let length = 0
  const headAndBody = () => length - body.length
  while (headAndBody() < 0 || !Buffer.concat(parts).includes('\r\n\r\n')) {
    const chunk = socket.read() as Buffer | null
    if (chunk) {
      parts.push(chunk)
      length += chunk.length
    }
    await turn()
  }
  await until(() => {
    const chunk = socket.read() as Buffer | null
    if (chunk) parts.push(chunk)
    const all = Buffer.concat(parts)
    return all.length - (all.indexOf('\r\n\r\n') + 4) >= body.length
  })
  const all = Buffer.concat(parts)
  t.ok(all.subarray(all.indexOf('\r\n\r\n') + 4).equals(body))
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => socket.read() as Buffer | null, { what: 'the next answer on the same connection' })
})

const ALL = { silent: () => ({ over() {} }), unsure: () => undefined }

t.test('what a server does not admit it closes at once, and it counts what is open', async t => {
  const seen: number[] = []
  const { server, port } = serve(t, { 'GET /': () => json({}) }, {
    connections: {
      admits: (peer, open) => {
        t.same([...new Uint8Array(peer)], [127, 0, 0, 1])
        seen.push(open)
        return open <= 2
      },
      keeps: () => true,
      ...ALL,
    },
  })
  const open = [raw(t, port, ''), raw(t, port, '')]
  await until(() => server.connections === 2)
  t.equal(await raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n').ended, '')
  t.same(seen, [1, 2, 3])
  t.equal(server.connections, 2, 'the one refused is counted off')
  for (const { socket } of open) socket.destroy()
  await until(() => server.connections === 0)
  raw(t, port, '')
  await until(() => server.connections === 1)
})

t.test('what may not stay open is closed with its answer', async t => {
  const { port } = serve(t, { 'GET /': () => json({ a: 1 }) }, { connections: { admits: () => true, keeps: () => false, ...ALL } })
  t.match(await raw(t, port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n').ended, /\{"a":1\}$/)
  t.match(await raw(t, port, 'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n').ended, /^HTTP\/1.1 200/)
})

t.test('a connection is silent until it has brought a whole request or has ended, and can be closed until then', async t => {
  const silent: { over: number; readonly close: () => void; readonly isOpen: () => boolean }[] = []
  const unsure: number[] = []
  let settle: ((ended: boolean) => void) | undefined = undefined
  const { server, port } = serve(t, { 'GET /': () => json({}), 'POST /x': async exchange => json({ size: (await exchange.body(100)).length }) }, {
    connections: {
      admits: () => true,
      keeps: () => true,
      silent(_, close, isOpen) {
        const each = { over: 0, close, isOpen }
        silent.push(each)
        return { over: () => void each.over++ }
      },
      unsure(peer) {
        unsure.push(peer.byteLength)
        return settle
      },
    },
  })
  const next = async (text: string) => {
    const from = silent.length
    const connection = raw(t, port, text)
    await until(() => silent.length > from)
    return { ...connection, own: silent[from]! }
  }
  const left = await next('')
  left.socket.destroy()
  await until(() => left.own.over > 0, { what: 'it has left' })

  const closed = await next('GET / HT')
  closed.own.close()
  t.equal(await closed.ended, '')
  t.ok(closed.own.over > 0)

  const asked = await next('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => asked.own.over > 0, { what: 'it has asked' })
  t.equal(unsure.length, 0)
  t.equal(silent.length, 3)

  const posting = await next(post(5, 'ab'))
  await until(() => silent.length === 5)
  t.same(unsure, [4])
  const body = silent[4]!
  t.equal(body.over, 0)
  posting.socket.write('cde')
  await until(() => body.over > 0, { what: 'its body has come' })

  const slow = await next(post(5, 'ab'))
  await until(() => silent.length === 7)
  silent[6]!.close()
  t.equal(await slow.ended, '')
  t.ok(silent[6]!.over > 0)

  const settled: boolean[] = []
  settle = ended => void settled.push(ended)
  const answered = await next(post(5, 'abcde'))
  t.match(await answered.ended, /\{"size":5\}$/, 'it has to end with its answer')
  t.same(settled, [true])
  const gone = await next(post(5, 'ab'))
  await until(() => unsure.length === 4)
  gone.socket.destroy()
  await until(() => settled.length === 2)
  t.same(settled, [true, true])
  const put = await next('PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1')
  t.equal(await put.ended, '')
  t.ok(put.own.over > 0, 'the one that is closed is known by its end')
  for (const { socket } of [asked, posting]) socket.destroy()
  await until(() => server.connections === 0)
})
