import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway } from '../support/gateway.js'
import { until } from '../support/until.js'
import { watch } from '../support/viewer.js'

const ROOM = 128
const BODY = '{"content":"hello"}'
const post = (sent: string) => `POST /comments/demo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n${sent}`
const GET = 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'

interface Client {
  readonly socket: Socket
  readonly address: string
  answer: string
  closed: boolean
}

/** A gateway with room for few connections. */
function setUp(t: Test) {
  const dispatcher = fakeDispatcher(t, 'd')
  const gateway = runGateway(t, { room: ROOM, dispatchers: [dispatcher.node] })
  const { port } = new URL(gateway.url)
  const clients: Client[] = []
  /** Resolves when the connection stands, or is closed. */
  const open = (address: string, first = ''): Promise<Client> => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), localAddress: address })
    const client: Client = { socket, address, answer: '', closed: false }
    clients.push(client)
    t.after(() => socket.destroy())
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => (client.answer += chunk.toString()))
    return new Promise(resolve => {
      socket.once('connect', () => {
        if (first !== '') socket.write(first)
        resolve(client)
      })
      socket.once('close', () => {
        client.closed = true
        resolve(client)
      })
    })
  }
  /** The first is the oldest, and all have been accepted. */
  const many = async (count: number, address: string, first = '') => {
    const opened = [await open(address, first)]
    opened.push(...(await Promise.all(Array.from({ length: count - 1 }, () => open(address, first)))))
    await until(() => gateway.server.connections >= Math.min(ROOM, clients.filter(({ closed }) => !closed).length), { what: 'all accepted' })
    return opened
  }
  const closedOf = (of: readonly Client[]) => of.filter(({ closed }) => closed).length
  const answered = (client: Client, status = 200) => until(() => client.answer.startsWith(`HTTP/1.1 ${status}`), { what: `${status} to ${client.address}` })
  return { ...gateway, dispatcher, clients, open, many, closedOf, answered }
}

t.test('connections that send nothing keep nobody out: the oldest of whoever has most makes room', async t => {
  const { url, open, many, answered, closedOf, register } = setUp(t)
  const few = await many(5, '127.0.0.9')
  const viewer = watch(t, `${url}/comments/demo`)
  await until(() => viewer.status === 200)
  const flood = await many(ROOM - 6, '127.0.0.8')
  for (let i = 0; i < 20; i++) await answered(await open('127.0.0.7', GET.replace('x', 'x\r\nconnection: close')))
  await until(() => closedOf(flood) > 0)
  t.same([closedOf(few), viewer.isClosed], [0, false])
  t.ok(flood[0]!.closed, 'the oldest first')
  t.ok(closedOf(flood) < 30, 'and no more than have to')
  t.match(await register.metrics(), /live_test_refused_total\{kind="silent_connections"\} [1-9]/)
})

for (const [what, first] of Object.entries({
  'the half of a header': GET.slice(0, 20),
  'a header, and a body that does not come': post(''),
  'the half of a body': post(BODY.slice(0, 5)),
  'the half of a body in chunks': 'POST /comments/demo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"con',
})) {
  t.test(`so do connections that send ${what}`, async t => {
    const { open, many, answered, closedOf } = setUp(t)
    const flood = await many(ROOM, '127.0.0.8', first)
    await answered(await open('127.0.0.7', GET))
    await until(() => closedOf(flood) >= 1)
  })
}

t.test('what has sent a request is never closed for others: one that is answered, one that waits, one that is open', async t => {
  const { open, many, answered, closedOf, clients, dispatcher } = setUp(t)
  const kept = await many(10, '127.0.0.8', GET)
  for (const each of kept) await answered(each)
  let answer = (): void => {}
  const released = new Promise<void>(resolve => (answer = resolve))
  dispatcher.answer = async draft => (await released, dispatcher.stored(draft))
  const posts = [await open('127.0.0.9', post(BODY)), await open('127.0.0.10', post(BODY))]
  await until(() => dispatcher.batches.flat().length === 2)
  const silent = await many(ROOM - 12, '127.0.0.8')
  for (let i = 0; i < 20; i++) await answered(await open('127.0.0.7', GET))
  t.same([closedOf(kept), closedOf(posts)], [0, 0])
  t.ok(closedOf(silent) >= 1)
  answer()
  for (const each of posts) await answered(each, 201)
  for (const each of clients) each.socket.destroy()
})

t.test('a flood of silent connections cannot hide behind a post of its own', async t => {
  const { open, many, answered, closedOf } = setUp(t)
  const flood = await many(ROOM, '127.0.0.8')
  const posting = await open('127.0.0.8', post(BODY))
  await answered(posting, 201)
  await until(() => posting.closed, { what: 'a connection that could be any ends with its answer' })
  await until(() => closedOf(flood) === 1, { what: 'the one that made room for it' })
  const held = await open('127.0.0.8')
  await answered(await open('127.0.0.7', GET))
  await until(() => closedOf(flood) === 2)
  t.notOk(held.closed)
  const other = await open('127.0.0.6', post(BODY))
  await answered(other, 201)
})

t.test('near the end of the room a connection ends with its answer', async t => {
  const { many, answered, closedOf } = setUp(t)
  const early = await many(90, '127.0.0.8', GET)
  for (const each of early) await answered(each)
  const late = await many(10, '127.0.0.7', GET)
  for (const each of late) await answered(each)
  await until(() => closedOf(late) > 0)
  t.equal(closedOf(early), 0)
})

t.test('a connection goes on after an answer, given at once or later, and with a body or without', async t => {
  const { open } = setUp(t)
  for (const first of [GET, post(BODY), 'GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n', 'POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1', 'GET /comments/none HTTP/1.1\r\nhost: x\r\n\r\n']) {
    const client = await open('127.0.0.8', first)
    for (const [i, next] of [first, post(BODY), GET, first].entries()) {
      await until(() => client.answer.split('HTTP/1.1 ').length > i + 1, { what: `answer ${i + 1} after ${JSON.stringify(first)}` })
      client.socket.write(next)
    }
    await until(() => client.answer.split('HTTP/1.1 ').length > 5)
  }
})
