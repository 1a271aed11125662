import { execFile } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { HttpResponse } from 'uWebSockets.js'
import { Dechunker } from '../../../bench/load/dechunker.js'
import { HttpServer } from '../../../runtime/http/server.js'
import { Stream } from '../../../runtime/http/stream.js'
import { whyNoNetwork } from '../../support/own-network.js'
import { until } from '../../support/until.js'
import { wholeChunks } from '../../support/whole-chunks.js'

interface Opened {
  readonly stream: Stream
  drained: number
  left: number
}

const COMMENT = Buffer.from(':\n')

/** A server with one streaming route; each connection to it is an `Opened`. */
function serve(t: Test, onDrained: (opened: Opened) => void = () => {}) {
  const all: Opened[] = []
  const server = new HttpServer({ onBug: error => t.fail(String(error)) }).route('GET', '/', exchange => {
    const opened: Opened = {
      stream: new Stream(exchange.res, [{ 'content-type': 'text/event-stream' }], ':\n', {
        nudge: () => COMMENT,
        chunkEnd: () => COMMENT,
        progressed: () => {},
        drained: () => {
          opened.drained++
          onDrained(opened)
        },
        left: () => opened.left++,
      }),
      drained: 0,
      left: 0,
    }
    all.push(opened)
    return undefined
  })
  const port = server.listen('127.0.0.1', 0)
  t.after(() => server.close())
  return { port, all }
}

function open(t: Test, port: number): { socket: Socket; bytes: () => Buffer; text: () => string } {
  const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const bytes = () => Buffer.concat(chunks)
  return { socket, bytes, text: () => bytes().toString() }
}

/** Without the comment lines that mean nothing. */
function saidBy(body: string): string {
  return body.split('\n').filter(line => line !== ':').join('\n')
}

/** The body of a chunked response, as far as it has come. */
function bodyOf(response: Buffer): string {
  const head = response.indexOf('\r\n\r\n')
  const parts: Uint8Array[] = []
  if (head >= 0) new Dechunker().push(response.subarray(head + 4), part => parts.push(part))
  return Buffer.concat(parts).toString()
}

t.test('headers and the first bytes leave at once', async t => {
  const { port } = serve(t)
  const { text } = open(t, port)
  await until(() => text().includes(':\n'))
  t.match(text(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*content-type: text\/event-stream/i)
})

t.test('a client that takes whole chunks alone has a write before the next one comes', async t => {
  const { port, all } = serve(t)
  const { bytes } = open(t, port)
  const { stream } = await until(() => all[0])
  let sent = ''
  for (const length of [1, 100, 15 * 1024 - 1, 15 * 1024, 15 * 1024 + 1, 40_000, 2]) {
    const line = `${'x'.repeat(length - 1)}\n`
    stream.write(line)
    sent += line
    await until(() => saidBy(bodyOf(bytes())) === sent)
    t.equal(saidBy(wholeChunks(bytes()).toString()), sent, `a write of ${length} bytes`)
  }
})

t.test('a reader that stalls blocks the stream; when it reads on it is nudged, drained, and has missed no byte', async t => {
  // What a blocked viewer misses is written when it drains, in one write, as a room would.
  let next = 0
  const line = () => `${next++} ${'x'.repeat(8_000)}\n`
  const missed: string[] = []
  const { port, all } = serve(t, ({ stream }) => {
    if (missed.length > 0) stream.write(missed.splice(0).join(''))
  })
  const { socket, bytes, text } = open(t, port)
  const opened = await until(() => all[0])
  socket.pause()
  let written = 0
  while (!opened.stream.blocked) {
    opened.stream.write(line())
    if (++written % 50 === 0) await sleep(1)
  }
  t.notOk(opened.stream.write('never sent'), 'a blocked stream takes nothing')
  for (let i = 0; i < 20; i++) missed.push(line())
  socket.resume()
  await until(() => opened.drained > 0 && missed.length === 0)
  await until(() => saidBy(bodyOf(bytes())).endsWith('x\n') && bodyOf(bytes()).includes(`\n${next - 1} `))
  const lines = bodyOf(bytes()).split('\n').filter(each => each !== '' && each !== ':')
  t.equal(lines.length, next)
  t.ok(lines.every((each, i) => each === `${i} ${'x'.repeat(8_000)}`), 'whole and in order')
  t.notOk(text().includes('never sent'))
  t.notOk(opened.stream.blocked)
})

t.test('what the server held back of a slow reader comes without a further write: the nudge moves it', async t => {
  const { port, all } = serve(t)
  const { socket, bytes } = open(t, port)
  const opened = await until(() => all[0])
  socket.pause()
  let written = 0
  while (!opened.stream.blocked) {
    opened.stream.write(`${written++} ${'x'.repeat(8_000)}\n`)
    if (written % 50 === 0) await sleep(1)
  }
  socket.resume()
  await until(() => opened.drained > 0)
  await until(() => bodyOf(bytes()).includes(`\n${written - 1} ${'x'.repeat(8_000)}\n`))
  t.notOk(opened.stream.blocked)
})

t.test('a nudge that moves only a part of what the server kept loses nothing for a writer that was told of nothing', async t => {
  // When the kernel takes how much cannot be had at will: a response that does as the server's, and says so.
  const sent: string[] = []
  let takes = true
  let writable: (written: number) => boolean = () => true
  const response = {
    cork: (write: () => void) => write(),
    writeStatus: () => {},
    writeHeader: () => {},
    onAborted: () => {},
    onWritable: (handler: typeof writable) => (writable = handler),
    write: (chunk: string | Uint8Array) => (sent.push(Buffer.from(chunk as Uint8Array).toString()), takes),
  } as unknown as HttpResponse
  const told: string[] = []
  const note = (what: string) => () => void told.push(what)
  const stream = new Stream(response, [], 'first', { nudge: () => Buffer.from('nudge'), chunkEnd: () => undefined, progressed: note('progressed'), drained: note('drained'), left: note('left') })
  t.ok(stream.write('a part of it stays with the server'))
  takes = false
  writable(0)
  t.notOk(stream.blocked)
  t.notOk(stream.write('second'), 'it is taken, and the last for now')
  t.same(sent.slice(1), ['a part of it stays with the server', 'nudge', 'second'])
  t.same(told, [], 'who does not wait is told nothing')
  t.notOk(stream.write('lost'))
  writable(0)
  takes = true
  writable(0)
  await until(() => told.includes('drained'))
  t.same(told, ['progressed', 'drained'])
  t.same(sent.slice(4), ['nudge', 'nudge'])
  t.ok(stream.write('third'))
})

t.test('a kernel that takes part of a large write loses none of it', async t => {
  // Seen with tcp_notsent_lowat alone, so in a network of its own where there can be one.
  const why = whyNoNetwork()
  if (why !== undefined) t.comment(`in this machine's own network: ${why}`)
  const program = [process.execPath, fileURLToPath(new URL('../../support/slow-readers.js', import.meta.url))]
  for (const bytes of [20_000, 60_000]) {
    const [file, ...args] = [...(why === undefined ? ['unshare', '-rn'] : []), ...program, String(bytes), why === undefined ? 'own' : 'shared']
    const { stdout } = await promisify(execFile)(file, args)
    const { blocked, wrong } = JSON.parse(stdout) as { blocked: number; wrong: string[] }
    t.same(wrong, [], `events of ${bytes} bytes`)
    if (why === undefined) t.ok(blocked > 0, 'readers were slow')
  }
})

t.test('many streams and many writes: every reader gets every byte', async t => {
  const { port, all } = serve(t)
  const readers = Array.from({ length: 20 }, () => open(t, port))
  await until(() => all.length === readers.length)
  let expected = ''
  for (let i = 0; i < 400; i++) {
    const chunk = `${i} ${'äx'.repeat(i)}\n`
    expected += chunk
    for (const { stream } of all) stream.write(chunk)
    if (i % 10 === 0) await sleep(1)
  }
  for (const { stream } of all) stream.end('bye\n')
  for (const { bytes, text } of readers) {
    await until(() => text().endsWith('0\r\n\r\n'))
    t.ok(saidBy(bodyOf(bytes())) === `${expected}bye\n`)
  }
})

t.test('a peer that leaves is told once; the stream then takes nothing and throws nothing', async t => {
  const { port, all } = serve(t)
  const { socket } = open(t, port)
  const opened = await until(() => all[0])
  socket.destroy()
  await until(() => opened.left === 1)
  t.notOk(opened.stream.write('x'))
  opened.stream.end('x')
  opened.stream.close()
  t.ok(opened.stream.gone)
  t.equal(opened.left, 1)
})

t.test('an ended stream has not been left', async t => {
  const { port, all } = serve(t)
  const { socket, bytes, text } = open(t, port)
  const opened = await until(() => all[0])
  opened.stream.end('last\n')
  opened.stream.end('again\n')
  await until(() => text().endsWith('0\r\n\r\n'))
  t.equal(bodyOf(bytes()), ':\nlast\n')
  socket.destroy()
  await sleep(20)
  t.equal(opened.left, 0)
})

t.test('close ends the connection now', async t => {
  const { port, all } = serve(t)
  const { socket } = open(t, port)
  const opened = await until(() => all[0])
  const closed = new Promise(resolve => socket.once('close', resolve))
  opened.stream.close()
  await closed
  t.equal(opened.left, 1)
})
