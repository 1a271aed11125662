import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { get as httpsGet } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { WebSocket } from 'ws'
import { json } from '../../../runtime/http/reply.js'
import { HttpServer, type ServerOptions } from '../../../runtime/http/server.js'
import { VIEWER_SOCKETS } from '../../../runtime/http/socket.js'
import { Stream } from '../../../runtime/http/stream.js'
import type { TlsFiles } from '../../../runtime/tls/pair.js'
import { fingerprintOf, makeCertificate } from '../../support/certificate.js'
import { tempFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'

const ASK = 'GET /who HTTP/1.1\r\nHost: x\r\n\r\n'
const COMMENT = Buffer.from(':\n')
const LARGE = Buffer.from(Array.from({ length: 400_000 }, (_, i) => `${i}\n`).join(''))

interface Served {
  readonly server: HttpServer
  readonly port: number
  readonly files: TlsFiles
  readonly streams: Stream[]
}

function serve(t: Test, files: TlsFiles, options: Partial<ServerOptions> = {}): Served {
  const streams: Stream[] = []
  const server = new HttpServer({ tls: files, onBug: error => t.fail(String(error)), ...options })
  server.route('GET', '/who', exchange => json({ peer: exchange.peer()?.toString() }))
  server.route('GET', '/large', () => ({ status: 200, body: LARGE }))
  server.route('POST', '/post', async exchange => json({ bytes: (await exchange.body(1_000)).length }))
  server.route('GET', '/stream', ({ res }) => {
    streams.push(new Stream(res, [], COMMENT, { nudge: () => COMMENT, chunkEnd: () => COMMENT, progressed() {}, drained() {}, left() {} }))
    return undefined
  })
  const port = server.listen('127.0.0.1', 0)
  t.after(() => server.close())
  return { server, port, files, streams }
}

interface Answered {
  readonly answer: string
  readonly certificate: string
  readonly protocol: string | null
  readonly cipher: string
}

/** Asks on a connection of its own, trusting anyone. Rejects where it is not answered. */
function ask(port: number, options: ConnectionOptions = {}): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => socket.write(ASK))
    socket.once('data', (bytes: Buffer) => {
      resolve({ answer: bytes.toString(), certificate: socket.getPeerCertificate().fingerprint256, protocol: socket.getProtocol(), cipher: socket.getCipher().name })
      socket.destroy()
    })
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('closed')))
  })
}

t.test('a server with a certificate serves curl, undici and Node\'s own client, which know it by its name', async t => {
  for (const key of [['-newkey', 'rsa:2048'], undefined]) {
    const { port, files } = serve(t, makeCertificate(tempFolder(t), key ? { key } : {}))
    const url = `https://localhost:${port}/who`
    const ca = readFileSync(files.certificate)
    const { stdout } = await promisify(execFile)('curl', ['-sS', '--noproxy', '*', '-4', '--cacert', files.certificate, '-w', ' %{http_version}', url])
    t.equal(stdout, '{"peer":"127.0.0.1"} 1.1')
    const dispatcher = new Agent({ connect: { ca } })
    t.after(() => dispatcher.close())
    t.same(await (await request(url, { dispatcher })).body.json(), { peer: '127.0.0.1' })
    const status = await new Promise((resolve, reject) => httpsGet(url, { ca, agent: false }, answer => resolve(answer.resume().statusCode)).on('error', reject))
    t.equal(status, 200)
    await t.rejects(request(url, { dispatcher: new Agent() }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  }
})

t.test('it speaks TLS 1.2 and 1.3 with forward secrecy, HTTP/1.1 to who offers more, and nothing else', async t => {
  const { port } = serve(t, makeCertificate(tempFolder(t)))
  t.match(await ask(port), { protocol: 'TLSv1.3', answer: /^HTTP\/1.1 200 OK/ })
  t.match(await ask(port, { maxVersion: 'TLSv1.2' }), { protocol: 'TLSv1.2', cipher: /^ECDHE-.*(GCM|POLY1305)/ })
  for (const cipher of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305']) t.match(await ask(port, { maxVersion: 'TLSv1.2', ciphers: cipher }), { cipher })
  for (const ALPNProtocols of [['h2', 'http/1.1'], ['http/1.1']]) t.match(await ask(port, { ALPNProtocols }), { answer: /^HTTP\/1.1 200 OK/ })
  const weak = { ciphers: 'ALL:@SECLEVEL=0' }
  await t.rejects(ask(port, { ...weak, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }), /alert protocol version/i)
  await t.rejects(ask(port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0' }), /handshake failure/i)
  const rsa = serve(t, makeCertificate(tempFolder(t), { key: ['-newkey', 'rsa:2048'] }))
  await t.rejects(ask(rsa.port, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0' }), /handshake failure/i, 'no forward secrecy')

  const plain = connectPlain(port, '127.0.0.1', () => plain.write(ASK))
  let received = ''
  plain.on('data', (bytes: Buffer) => (received += bytes.toString('latin1'))).on('error', () => {})
  await new Promise(resolve => plain.once('close', resolve))
  t.notMatch(received, /HTTP/, 'plain HTTP is closed at once')
})

t.test('a WebSocket is open over TLS too, and stays so when the certificate changes', async t => {
  const folder = tempFolder(t)
  const { server, port } = serve(t, makeCertificate(folder))
  server.route('GET', '/talk', exchange => {
    exchange.upgrade!('', socket => ({ message: bytes => void socket.write(`${bytes.toString()}!`), drained() {}, closed() {} }))
    return undefined
  }, VIEWER_SOCKETS)
  const open = async () => {
    const insecure = { rejectUnauthorized: false } // not among its types
    const socket = new WebSocket(`wss://127.0.0.1:${port}/talk`, { ...insecure, perMessageDeflate: false })
    t.after(() => socket.terminate())
    await once(socket, 'open')
    return async (text: string) => {
      socket.send(text)
      return String((await once(socket, 'message'))[0])
    }
  }
  const before = await open()
  t.equal(await before('one'), 'one!')
  makeCertificate(folder)
  server.renewTls()
  const after = await open()
  t.same([await before('two'), await after('three')], ['two!', 'three!'])
})

t.test('a certificate changes under open streams and a stream of newcomers: nobody is refused, and no stream ends', async t => {
  const folder = tempFolder(t)
  const { server, port, files, streams } = serve(t, makeCertificate(folder))
  const certificates = new Set([fingerprintOf(files)])
  const viewers: { text: string; closed: boolean; socket: TLSSocket }[] = []
  const watch = async () => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => socket.write(ASK.replace('/who', '/stream')))
    const viewer = { text: '', closed: false, socket }
    socket.on('data', (bytes: Buffer) => (viewer.text += bytes.toString()))
    socket.on('error', () => {})
    socket.once('close', () => (viewer.closed = true))
    t.after(() => socket.destroy())
    viewers.push(viewer)
    await until(() => viewer.text.includes(':\n'))
  }
  await watch()
  let changing = true
  const failed: string[] = []
  const seen = new Map<string, number>()
  const newcomers = Array.from({ length: 8 }, async () => {
    while (changing) {
      await ask(port).then(({ certificate, answer }) => {
        seen.set(certificate, (seen.get(certificate) ?? 0) + 1)
        if (!answer.includes('"peer":"127.0.0.1"')) failed.push(answer)
      }, (error: Error) => failed.push(error.message))
    }
  })
  let ticks = 0
  for (let change = 0; change < 6; change++) {
    makeCertificate(folder)
    server.renewTls()
    const now = fingerprintOf(files)
    t.notOk(certificates.has(now))
    certificates.add(now)
    t.equal((await ask(port)).certificate, now, 'the next connection has it')
    await watch()
    await until(() => seen.has(now))
    ticks++
    for (const stream of streams) t.ok(stream.write(`data: ${ticks}\n\n`))
  }
  changing = false
  await Promise.all(newcomers)
  t.same(failed, [])
  t.same([...seen.keys()].filter(certificate => !certificates.has(certificate)), [])
  for (const stream of streams) stream.end('data: end\n\n')
  for (const [i, viewer] of viewers.entries()) {
    await until(() => viewer.text.endsWith('0\r\n\r\n'))
    const expected = Array.from({ length: ticks - Math.max(0, i - 1) }, (_, n) => String(Math.max(1, i) + n))
    t.same(Array.from(viewer.text.matchAll(/data: (\d+)/g), ([, tick]) => tick), expected, `viewer ${i} has each event`)
  }
  t.equal(server.connections, viewers.filter(({ closed }) => !closed).length)
})

t.test('a certificate that the library cannot use changes nothing', async t => {
  const folder = tempFolder(t)
  const { server, port, files } = serve(t, makeCertificate(folder))
  const before = fingerprintOf(files)
  writeFileSync(files.key, 'rubbish')
  t.throws(() => server.renewTls(), { message: `TLS_CERT_FILE: the HTTP server cannot use ${files.certificate} with ${files.key}` })
  t.equal((await ask(port)).certificate, before)
  t.throws(() => new HttpServer({ tls: files, onBug() {} }), /the HTTP server cannot use/)
})

t.test('after a change, connections are counted and admitted as before, and a server that stops serves those that wait', async t => {
  const folder = tempFolder(t)
  const admitted: string[] = []
  let admits = true
  const { server, port } = serve(t, makeCertificate(folder), { connections: { admits: (peer, open) => (admitted.push(`${new Uint8Array(peer).join('.')} ${open}`), admits), keeps: () => true, silent: () => ({ over() {} }), unsure: () => undefined } })
  makeCertificate(folder)
  server.renewTls()
  await ask(port)
  await until(() => server.connections === 0)
  t.same(admitted, ['127.0.0.1 1'])
  admits = false
  await t.rejects(ask(port))
  await until(() => server.connections === 0)
  admits = true
  const waiting = Array.from({ length: 10 }, () => connectPlain(port, '127.0.0.1'))
  await new Promise(resolve => process.nextTick(resolve)) // the kernel has them by now, and we have not run since
  const answers = waiting.map(socket => new Promise(resolve => {
    const secure = connect({ socket, rejectUnauthorized: false }, () => secure.write(ASK))
    secure.once('data', resolve).once('error', resolve).once('close', () => resolve('closed'))
    t.after(() => secure.destroy())
  }))
  await server.stopListening()
  for (const answer of await Promise.all(answers)) t.match(String(answer), /^HTTP\/1.1 200 OK/)
  await t.rejects(ask(port), { code: 'ECONNREFUSED' })
})

t.test('a large answer reaches a slow reader whole, and a refused upload its answer', async t => {
  const { port } = serve(t, makeCertificate(tempFolder(t)))
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => socket.write(ASK.replace('/who', '/large')))
  t.after(() => socket.destroy())
  const parts: Buffer[] = []
  const bodyOf = (all: Buffer) => all.subarray(all.indexOf('\r\n\r\n') + 4)
  for await (const part of socket as AsyncIterable<Buffer>) { // it reads only while we are not busy
    parts.push(part)
    await new Promise(resolve => setTimeout(resolve, 1))
    if (Buffer.concat(parts).length > LARGE.length) break
  }
  t.ok(bodyOf(Buffer.concat(parts)).equals(LARGE))

  // Seen with 60 KB: a client that writes first and reads then found the connection broken.
  for (const bytes of [2_000, 20_000, 60_000]) {
    const file = `${tempFolder(t)}/body`
    writeFileSync(file, 'x'.repeat(bytes))
    for (const headers of [[], ['-H', 'transfer-encoding: chunked']]) {
      for (let i = 0; i < 3; i++) {
        const { stdout } = await promisify(execFile)('curl', ['-sSk', '--noproxy', '*', '-H', 'expect:', ...headers, '--data-binary', `@${file}`, `https://127.0.0.1:${port}/post`])
        t.match(stdout, /"BODY_TOO_LARGE"/, `${bytes} bytes`)
      }
    }
  }
})
