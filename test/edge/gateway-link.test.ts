import { Buffer } from 'node:buffer'
import { inflateRawSync } from 'node:zlib'
import t from 'tap'
import { GatewayLink } from '../../edge/gateway-link.js'
import { checksumOf } from '../../protocol/gzip.js'
import { parseToGateway, printToEdge, type ToEdge, type ToGateway } from '../../protocol/link.js'
import { SseParser } from '../../protocol/sse.js'
import type { Socket } from '../../runtime/http/socket.js'
import { EdgeStage, type StageOptions } from '../support/edge-stage.js'

type Kind<K> = Extract<ToGateway, { kind: K }>

/** An edge's end of a link's socket; the test is the gateway. */
class FakeSocket implements Socket {
  readonly sent: ToGateway[] = []
  readonly bytes: Buffer[] = []
  unsentBytes = 0
  /** Nothing is sent on: what is written stays unsent. */
  full = false
  /** What is written from now on is lost. */
  refuses = false
  isClosed = false
  closed = (): void => {}

  send(message: Uint8Array): boolean {
    if (this.isClosed) throw new Error('sent after its end')
    if (this.refuses) return false
    if (this.full) this.unsentBytes += message.length
    this.bytes.push(Buffer.from(message))
    this.sent.push(parseToGateway(this.bytes.at(-1)!))
    return true
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.closed()
  }

  of<K extends ToGateway['kind']>(kind: K): Kind<K>[] {
    return this.sent.filter((message): message is Kind<K> => message.kind === kind)
  }

  /** What a member that follows all of these flushes has. */
  get text(): string {
    return Buffer.concat(this.of('flush').map(({ events }) => events)).toString()
  }
}

const ids = (...parts: readonly Buffer[]): number[] => {
  const parser = new SseParser()
  return parts.flatMap(bytes => parser.push(bytes)).flatMap(({ event, id }) => (event === 'message' ? [Number(id)] : []))
}

function setUp(options?: StageOptions) {
  const stage = new EdgeStage(options)
  t.teardown(() => stage.edge.stop())
  const open = () => {
    const socket = new FakeSocket()
    const link = new GatewayLink(stage.edge, socket)
    socket.closed = () => link.closed()
    const say = (message: ToEdge) => link.message(printToEdge(message))
    const join = (join: number, { group = 100, videoId = 'v', gzip = false, after, recent = 0 }: { group?: number; videoId?: string; gzip?: boolean; after?: number; recent?: number } = {}) =>
      say({ kind: 'join', join, group, again: false, videoId, gzip, begin: { after, recent } })
    /** The gateway reads what is unsent, and goes on to read or does not. */
    const drain = (full = false) => {
      socket.full = full
      socket.unsentBytes = 0
      link.drained()
    }
    return { socket, link, say, join, drain }
  }
  return { stage, open, ...open() }
}

t.test('however many members a group has, a flush is one message, from place to place', async t => {
  const { stage, socket, join, say } = setUp()
  join(1)
  await stage.clock.advance(10)
  t.match(socket.sent, [{ kind: 'ready', join: 1, group: 100, epoch: 0, at: 0 }])
  t.match(socket.of('ready')[0]!.ready.toString(), /event: ready\n/)
  say({ kind: 'weight', group: 100, weight: 500 })
  stage.post('v')
  stage.post('v')
  await stage.clock.advance(10)
  stage.post('v')
  await stage.clock.advance(200)
  const flushes = socket.of('flush')
  t.same(flushes.map(({ group, epoch, from, to, events }) => ({ group, epoch, from, to, ids: ids(events) })), [
    { group: 100, epoch: 0, from: 0, to: 20, ids: [10, 20] },
    { group: 100, epoch: 0, from: 20, to: 30, ids: [30] },
  ])
})

t.test('a group that begins while comments gather is sent the next flush from the place of its ready', async t => {
  const { stage, socket, join } = setUp()
  join(1)
  await stage.clock.advance(10)
  stage.post('v')
  await stage.clock.advance(10)
  stage.post('v')
  join(2, { group: 200 })
  t.match(socket.of('ready')[1], { group: 200, at: 10 })
  await stage.clock.advance(200)
  t.same(socket.of('flush').filter(({ group }) => group === 200).map(({ from, to, events }) => ({ from, to, ids: ids(events) })), [{ from: 10, to: 20, ids: [20] }])
})

t.test('a group has as many viewers as its gateway says', async t => {
  const { stage, socket, join, say } = setUp()
  const weights = () => [stage.edge.viewers, Object.fromEntries(stage.edge.subscriptions())]
  join(1)
  join(2, { group: 200, videoId: 'w' })
  await stage.clock.advance(10)
  t.same(weights(), [2, { v: 1, w: 1 }])
  say({ kind: 'weight', group: 100, weight: 7 })
  say({ kind: 'weight', group: 200, weight: 3 })
  t.same(weights(), [10, { v: 7, w: 3 }])
  stage.join('v')
  say({ kind: 'weight', group: 100, weight: 2 })
  t.same(weights(), [6, { v: 3, w: 3 }])
  say({ kind: 'weight', group: 200, weight: 0 })
  say({ kind: 'weight', group: 200, weight: 9 })
  say({ kind: 'weight', group: 999, weight: 9 })
  t.same(weights(), [3, { v: 3 }])
  await stage.clock.advance(200)
  t.same(stage.announced.at(-1)!.videos.get('v'), 3)
  const before = socket.sent.length
  stage.edge.batch({ comments: [stage.store('w').post()], hints: [] })
  await stage.clock.advance(200)
  t.same(socket.sent.slice(before).filter(({ kind }) => kind !== 'flush'), [])
  t.notOk(socket.of('flush').some(({ group }) => group === 200), 'a closed group is sent nothing')
})

t.test('a gateway of the former version is sent what it asks for compressed, with the checksum of the text', async t => {
  const { stage, socket, join } = setUp()
  join(1, { group: 100 })
  join(2, { group: 200, gzip: true })
  await stage.clock.advance(10)
  stage.post('v')
  await stage.clock.advance(10)
  const of = (group: number) => socket.bytes.find(message => message[0] === 1 && message.readUInt32BE(4) === group)!
  const [plain, packed] = [of(100), of(200)]
  t.same([plain[1], plain.readInt32BE(28), plain.readUInt32BE(32)], [0, 0, 0])
  const text = plain.subarray(36)
  t.same(ids(text), [10])
  const { crc, bytes } = checksumOf(text.toString())
  t.same([packed[1], packed.readInt32BE(28) >>> 0, packed.readUInt32BE(32)], [1, crc >>> 0, bytes])
  t.same(inflateRawSync(Buffer.concat([packed.subarray(36), Buffer.from([3, 0])])), text)
  const ready = socket.bytes.find(message => message[0] === 3 && message.readUInt32BE(4) === 2)!
  t.equal(ready[1], 1)
})

t.test('a newcomer becomes part of its group in the turn of its ready, and counts once', async t => {
  const { stage, socket, join, say } = setUp()
  stage.store('v').posts(3)
  join(1, { after: 10 })
  t.same([stage.edge.viewers, socket.sent], [1, []])
  await stage.clock.advance(10)
  t.equal(stage.edge.viewers, 1)
  const [first] = socket.of('ready')
  t.same([first!.at, ids(first!.events)], [30, [20, 30]])
  stage.post('v')
  join(2, { after: 30 }) // before the flush
  t.equal(stage.edge.viewers, 1, 'it is ready at once, and one of the group')
  t.match(socket.of('ready')[1], { join: 2, at: 30, events: { bytes: { length: 0 } } })
  await stage.clock.advance(10)
  t.same(socket.of('flush').map(({ group, from, to }) => [group, from, to]), [[100, 30, 40]])
  say({ kind: 'weight', group: 100, weight: 2 })
  t.equal(stage.edge.viewers, 2)
  t.equal(await counted(stage), 2)
})

/** Joins that the edge has counted. */
async function counted({ metrics }: EdgeStage): Promise<number> {
  return (await metrics.joins.get()).values[0]!.value
}

t.test('a newcomer is sent one piece at a time, the next when it is asked for, and then what has come meanwhile', async t => {
  const { stage, socket, join, say } = setUp()
  stage.store('v', 20 * 1024).posts(5) // 40 KB each
  join(1, { after: 0 })
  await stage.clock.advance(10)
  t.same(socket.sent.map(({ kind }) => kind), ['piece'])
  await stage.clock.advance(3_000)
  t.equal(socket.sent.length, 1)
  stage.post('v')
  await stage.clock.advance(200)
  for (let i = 0; i < 10; i++) say({ kind: 'more', join: 1 })
  await stage.clock.advance(200)
  const pieces = socket.of('piece')
  t.same([...pieces.map(({ to }) => to), socket.of('ready')[0]!.at], [10, 20, 30, 40, 50, 60])
  t.same(ids(...pieces.map(({ events }) => events), socket.of('ready')[0]!.events), [10, 20, 30, 40, 50, 60])
  say({ kind: 'more', join: 1 })
  t.equal(socket.sent.length, 6, 'it is part of its group now')
})

t.test('newcomers take turns, and only while 64 KB or less are unsent', async t => {
  const { stage, socket, join, say, drain } = setUp()
  for (const videoId of ['v', 'w']) stage.store(videoId, 20 * 1024).posts(4)
  socket.full = true
  stage.join('v')
  stage.join('w')
  await stage.clock.advance(10)
  for (const n of [1, 2, 3]) join(n, { after: 0 })
  join(4, { after: 0, group: 200, videoId: 'w' })
  await stage.clock.advance(100)
  const pieces = () => socket.of('piece').map(({ join }) => join)
  const first = pieces()
  t.same([first, socket.unsentBytes > 64 * 1024], [[1, 2], true], 'the second was begun below the limit')
  for (const each of first) say({ kind: 'more', join: each })
  t.equal(pieces().length, first.length, 'they wait')
  const rounds: number[][] = [first]
  for (let i = 0; i < 30 && socket.of('ready').length < 4; i++) {
    const before = pieces().length
    drain(true)
    const round = pieces().slice(before)
    for (const each of round) say({ kind: 'more', join: each })
    t.equal(pieces().length, before + round.length)
    rounds.push(round)
  }
  t.same(socket.of('ready').map(({ join }) => join).sort(), [1, 2, 3, 4])
  t.same(new Set(rounds.flat().slice(0, 4)), new Set([1, 2, 3, 4]), 'each has its first piece before any has its second')
  t.ok(rounds.every(({ length }) => length <= 2), rounds.join(' '))
})

t.test('a newcomer waits for a turn to join while much is unsent, and one that leaves by then never joins', async t => {
  const { stage, socket, join, say, drain } = setUp()
  socket.unsentBytes = 64 * 1024 + 1
  join(1)
  join(2)
  await stage.clock.advance(100)
  t.same([stage.edge.viewers, socket.sent], [0, []])
  say({ kind: 'leave', join: 2 })
  drain()
  await stage.clock.advance(100)
  t.same([stage.edge.viewers, socket.of('ready').map(({ join }) => join)], [1, [1]])
})

t.test('a piece that waits for its turn is not passed over for the next', async t => {
  const { stage, socket, join, say, drain } = setUp()
  stage.store('v', 40 * 1024).posts(2)
  join(1, { after: 0 })
  socket.unsentBytes = 64 * 1024 + 1
  await stage.clock.advance(10)
  say({ kind: 'more', join: 1 }) // for nothing that it was sent
  t.same(socket.sent, [])
  drain()
  t.same(socket.of('piece').map(({ to, events }) => [to, ids(events)]), [[10, [10]]])
})

t.test('thousands of newcomers that waited all have their turn at once where the link takes everything', async t => {
  const { stage, socket, join, drain } = setUp()
  stage.store('v', 20 * 1024).posts(3)
  stage.join('v', { after: 0 }) // whose replay is kept for those who come next
  await stage.clock.advance(10)
  socket.unsentBytes = 64 * 1024 + 1
  for (let i = 0; i < 3_000; i++) join(i, { after: 0 })
  drain()
  t.equal(socket.of('piece').length, 3_000)
})

t.test('a group whose link is full waits without end, and catches up from where it stood', async t => {
  const { stage, socket, join, drain } = setUp()
  join(1)
  await stage.clock.advance(10)
  socket.unsentBytes = 1024 * 1024
  socket.full = true
  stage.post('v')
  await stage.clock.advance(100)
  t.equal(socket.of('flush').length, 1)
  for (let i = 0; i < 20; i++) {
    stage.post('v')
    await stage.clock.advance(1_000)
  }
  t.same([socket.of('flush').length, socket.of('groupEnded'), stage.edge.viewers], [1, [], 1])
  drain()
  await stage.clock.advance(100)
  stage.post('v')
  await stage.clock.advance(100)
  const flushes = socket.of('flush')
  t.same(ids(...flushes.map(({ events }) => events)), stage.store('v').ids)
  for (const [i, { from }] of flushes.entries()) t.equal(from, i === 0 ? 0 : flushes[i - 1]!.to)
})

t.test('a group goes on once half a megabyte or less is unsent', async t => {
  const { stage, socket, join, link } = setUp()
  join(1)
  await stage.clock.advance(10)
  socket.unsentBytes = 1024 * 1024 + 1
  stage.post('v')
  await stage.clock.advance(100)
  stage.post('v')
  await stage.clock.advance(100)
  t.same(socket.of('flush').map(({ to }) => to), [10])
  socket.unsentBytes = 512 * 1024 + 1
  link.drained()
  t.equal(socket.of('flush').length, 1)
  socket.unsentBytes = 512 * 1024
  link.drained()
  t.same(socket.of('flush').map(({ from, to }) => [from, to]), [[0, 10], [10, 20]])
})

t.test('a newcomer whose next piece is not asked for waits: how slow its viewers may be is their gateway\'s affair', async t => {
  const { stage, socket, join } = setUp()
  stage.store('v', 40 * 1024).posts(2)
  join(1)
  await stage.clock.advance(10)
  join(2, { after: 0 })
  await stage.clock.advance(60_000)
  t.same([socket.of('piece').length, socket.of('joinEnded')], [1, []])
})

t.test('a ping is answered, with the time for which no dispatcher has answered', async t => {
  const { stage, socket, say } = setUp()
  await stage.clock.advance(10)
  say({ kind: 'ping', nonce: 7 })
  t.same(socket.sent, [{ kind: 'pong', nonce: 7, syncAgeMs: Math.round(stage.edge.freshness.ageMs) }])
})

t.test('who cannot be taken is told why', async t => {
  const { stage, socket, join } = setUp({ capacity: 1 })
  join(1)
  await stage.clock.advance(10)
  join(2)
  t.same(socket.of('joinEnded'), [{ kind: 'joinEnded', join: 2, reason: 'full' }])
  void stage.edge.drain(1_000)
  join(3)
  t.same(socket.of('joinEnded')[1], { kind: 'joinEnded', join: 3, reason: 'drain' })
  t.equal(stage.edge.viewers, 0)
})

t.test('a drain hands whole groups back, as many at a time as people make up its share', async t => {
  const { stage, socket, join, say } = setUp()
  for (let i = 0; i < 10; i++) {
    join(i, { group: 100 + i, videoId: `v${i}` })
    await stage.clock.advance(10)
    say({ kind: 'weight', group: 100 + i, weight: 100 })
  }
  t.equal(stage.edge.viewers, 1_000)
  let over = false
  void stage.edge.drain(1_000).then(() => (over = true))
  t.equal(socket.of('groupEnded').length, 1, '50 people in 50 ms: a group is one at least')
  await stage.clock.advance(150)
  t.equal(socket.of('groupEnded').length, 4)
  say({ kind: 'weight', group: 100, weight: 5 }) // was on its way
  await stage.clock.advance(1_000)
  t.same([socket.of('groupEnded').map(({ group, reason }) => `${group} ${reason}`), stage.edge.viewers, over], [Array.from({ length: 10 }, (_, i) => `${100 + i} drain`), 0, true])
})

t.test('where a room begins anew at a lower place, its group is told by a flush that goes back, before anything else', async t => {
  const { stage, socket, join } = setUp()
  stage.store('v').posts(5)
  join(1)
  await stage.clock.advance(10)
  t.equal(socket.of('ready')[0]!.at, 50)
  stage.store('v').comments.splice(2) // a backup was put back
  await stage.clock.advance(3_000)
  join(2, { after: 20 })
  stage.post('v')
  await stage.clock.advance(100)
  const flushes = socket.of('flush').filter(({ from, to }) => from !== to)
  t.same(flushes.map(({ epoch, from, to }) => [epoch, from, to]), [[1, 50, 20], [1, 20, 30]])
  t.match(flushes[0]!.events.toString(), /event: gap/)
  t.match(socket.of('ready')[1], { at: 20, epoch: 1 })
})

t.test('where a room begins anew just where its group stands, the group is of the new epoch too', async t => {
  const { stage, socket, join } = setUp()
  const store = stage.store('v')
  store.posts(2)
  join(1)
  await stage.clock.advance(10)
  const asked = new Promise<() => void>(resolve => {
    stage.answer = question =>
      new Promise(answer => {
        stage.answer = question => stage.fromStores(question)
        resolve(() => answer(stage.fromStores(question)))
      })
  })
  await stage.clock.advance(2_000)
  // No viewer has been sent it yet when the answer says that the store's comments pass it by.
  stage.edge.batch({ comments: [{ videoId: 'v', prev: 20, id: 30, json: '{"id":"30"}' }], hints: [] })
  store.comments.push({ videoId: 'v', prev: 20, id: 35, json: '{"id":"35"}' })
  ;(await asked)()
  await stage.clock.advance(10)
  join(2)
  stage.post('v')
  await stage.clock.advance(200)
  t.same(socket.of('ready').map(({ epoch, at }) => [epoch, at]), [[0, 20], [1, 35]])
  t.same([...new Set(socket.of('flush').filter(({ from, to }) => from !== to).map(({ epoch, from, to }) => `${epoch}: ${from} to ${to}`))], ['1: 20 to 35', '1: 35 to 45'])
})

t.test('a message that the socket refuses is the end of the link, and all of it leaves', async t => {
  const { stage, socket, join } = setUp()
  stage.store('w', 40 * 1024).posts(2)
  join(1)
  join(2, { group: 200, videoId: 'w', after: 0 })
  await stage.clock.advance(10)
  t.equal(stage.edge.viewers, 2)
  socket.refuses = true
  stage.post('v')
  await stage.clock.advance(100)
  t.same([socket.isClosed, stage.edge.viewers, stage.edge.subscriptions().size], [true, 0, 0])
})

t.test('a newcomer whose ready or piece is refused leaves nothing behind', async t => {
  for (const replay of [false, true]) {
    for (const isOpen of [false, true]) {
      const { stage, socket, join } = setUp()
      stage.store('v', 40 * 1024).posts(2)
      if (isOpen) stage.join('v')
      await stage.clock.advance(10)
      const before = stage.edge.viewers
      socket.refuses = true
      join(1, replay ? { after: 0 } : {})
      await stage.clock.advance(100)
      t.same([socket.isClosed, stage.edge.viewers], [true, before], `${replay ? 'a piece' : 'ready'} of ${isOpen ? 'an open' : 'a new'} room`)
    }
  }
})

t.test('when the link is over everything on it leaves, and what comes afterwards is harmless', async t => {
  const { stage, socket, link, join, say } = setUp()
  stage.store('w', 40 * 1024).posts(2)
  join(1)
  join(2, { group: 200, videoId: 'w', after: 0 })
  await stage.clock.advance(10)
  say({ kind: 'weight', group: 100, weight: 50 })
  join(3, { group: 300, videoId: 'x' }) // its room is not open yet
  socket.close()
  t.same([stage.edge.viewers, stage.edge.subscriptions().size], [0, 0])
  stage.post('v')
  await stage.clock.advance(10_000)
  link.drained()
  t.equal(stage.edge.viewers, 0)
})

t.test('garbage ends the link', async t => {
  const { stage, open } = setUp()
  const broken: readonly ((side: ReturnType<typeof open>) => void)[] = [
    ({ link }) => link.message(Buffer.alloc(0)),
    ({ link }) => link.message(Buffer.from('GET / HTTP/1.1\r\n\r\n')),
    ({ join }) => (join(1, { videoId: 'x', group: 200 }), join(1)),
    ({ join }) => join(2, { group: 100, videoId: 'w' }),
    ({ join }) => join(2, { group: 100, gzip: true }),
  ]
  for (const [i, act] of broken.entries()) {
    const side = open()
    side.join(9)
    await stage.clock.advance(10)
    t.equal(stage.edge.viewers, 1)
    act(side)
    t.same([side.socket.isClosed, stage.edge.viewers], [true, 0], `the ${i}th`)
  }
})

t.test('what is said of joins and groups that are gone is nothing', async t => {
  const { stage, socket, say } = setUp()
  say({ kind: 'more', join: 1 })
  say({ kind: 'leave', join: 1 })
  say({ kind: 'weight', group: 1, weight: 3 })
  await stage.clock.advance(100)
  t.same([socket.isClosed, socket.sent, stage.edge.viewers], [false, [], 0])
})

t.test('two gateways have a group each, of one number by chance', async t => {
  const { stage, socket, join, open } = setUp()
  const other = open()
  join(1)
  other.join(1)
  await stage.clock.advance(10)
  stage.post('v')
  await stage.clock.advance(10)
  other.socket.close()
  stage.post('v')
  await stage.clock.advance(200)
  t.same([ids(...socket.of('flush').map(({ events }) => events)), ids(...other.socket.of('flush').map(({ events }) => events))], [[10, 20], [10]])
})
