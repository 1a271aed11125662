import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway } from '../support/gateway.js'
import { until } from '../support/until.js'
import { watch } from '../support/viewer.js'

/** The server closes what is silent after 8 to 12 s; the rest is the machine's. */
const BOUND_MS = 14_000

const POST = 'POST /comments/demo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n'

interface Sender {
  /** Sent at once, and then a byte a second of what follows. */
  readonly first: string
  readonly drip?: string
  /** What it gets, if anything. */
  readonly answer?: RegExp
}

const senders: Readonly<Record<string, Sender>> = {
  'says nothing': { first: '' },
  'sends a header a byte a second': { first: 'GET /comments/demo HTTP/1.1\r\nhost: x\r\n', drip: 'x-a: ' + 'a'.repeat(100) },
  'sends its request line a byte a second': { first: '', drip: `GET /${'a'.repeat(100)}` },
  'sends a body a byte a second': { first: `${POST}content-length: 100\r\n\r\n`, drip: '{"content":"' + 'a'.repeat(87) },
  'sends a chunked body a byte a second': { first: `${POST}transfer-encoding: chunked\r\n\r\n64\r\n`, drip: '{"content":"' + 'a'.repeat(87) },
  'stops in the middle of its body': { first: `${POST}content-length: 20\r\n\r\n{"con` },
  'sends no body': { first: `${POST}content-length: 100\r\n\r\n` },
  'sends no body to who does not take it': { first: 'POST /comments/demo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n', answer: /^HTTP\/1.1 415 / },
  'sends a body to who reads none': { first: 'GET /comments/demo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n', drip: 'a'.repeat(100), answer: /^HTTP\/1.1 200 / },
  'sends no body where there is nothing': { first: 'POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n', drip: 'a'.repeat(100), answer: /^HTTP\/1.1 404 / },
  'is idle after an answer to a body that nobody takes': { first: 'POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabcde', answer: /^HTTP\/1.1 404 / },
  'sends the rest of a body after the answer': { first: 'POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabc', drip: 'de', answer: /^HTTP\/1.1 404 / },
  'is idle after a large answer': { first: 'GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n', answer: /^HTTP\/1.1 200 / },
  'is idle after an answer': { first: 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n', answer: /^HTTP\/1.1 200 / },
}

/** Resolves with what it took, ms, once the server has closed the connection. */
function send(t: Test, port: number, { first, drip = '' }: Sender): Promise<{ ms: number; answer: string }> {
  const since = performance.now()
  const socket: Socket = connect(port, '127.0.0.1', () => socket.write(first))
  let at = 0
  const timer = setInterval(() => at < drip.length && socket.writable && socket.write(drip[at++]!), 1_000)
  t.after(() => {
    clearInterval(timer)
    socket.destroy()
  })
  let answer = ''
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
  return new Promise(resolve => socket.once('close', () => resolve({ ms: performance.now() - since, answer })))
}

t.test('nobody holds a connection by being slow: silent or dripping, it is closed', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url, gateway } = runGateway(t, { dispatchers: [dispatcher.node] })
  const port = Number(new URL(url).port)
  const viewer = watch(t, `${url}/comments/demo`)
  await until(() => viewer.status === 200)
  await Promise.all(
    Object.entries(senders).map(async ([who, sender]) => {
      const { ms, answer } = await send(t, port, sender)
      t.ok(ms < BOUND_MS, `who ${who} was closed after ${Math.round(ms)} ms`)
      if (sender.answer) t.match(answer, sender.answer, who)
      else t.equal(answer, '', `who ${who} was told nothing`)
    }),
  )
  t.equal(gateway.poster.inFlight, 0)
  t.notOk(viewer.isClosed, 'a viewer is not slow, however little is said')
})

t.test('a posting client that leaves in mid-body holds nothing', async t => {
  const { url, gateway } = runGateway(t)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(`${POST}content-length: 100\r\n\r\n{`)
  await until(() => gateway.poster.inFlight === 1)
  socket.destroy()
  await t.resolves(until(() => gateway.poster.inFlight === 0))
})
