import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import { END_REASONS } from '../../protocol/frame.js'
import { MAX_CURSOR } from '../../protocol/id.js'
import { MAX_RECENT } from '../../protocol/limits.js'
import { LinkError, MAX_TO_EDGE_BYTES, parseToEdge, parseToGateway, printToEdge, printToGateway, type ToEdge, type ToGateway } from '../../protocol/link.js'

const number = fc.oneof(fc.nat({ max: 3 }), fc.integer({ min: 0, max: 0xffffffff }))
const cursor = fc.oneof(fc.nat({ max: 60 }), fc.maxSafeNat(), fc.constantFrom(2 ** 32 - 1, 2 ** 32, MAX_CURSOR))
const reason = fc.constantFrom(...END_REASONS)
const events = fc.string({ unit: 'binary', maxLength: 50 }).map(text => Buffer.from(text))

const toEdge: fc.Arbitrary<ToEdge> = fc.oneof(
  fc.record({
    kind: fc.constant('join' as const),
    join: number,
    group: number,
    again: fc.boolean(),
    videoId: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
    gzip: fc.boolean(),
    begin: fc.record({ after: fc.option(cursor, { nil: undefined }), recent: fc.nat({ max: MAX_RECENT }) }),
  }),
  fc.record({ kind: fc.constant('more' as const), join: number }),
  fc.record({ kind: fc.constant('leave' as const), join: number }),
  fc.record({ kind: fc.constant('weight' as const), group: number, weight: number }),
  fc.record({ kind: fc.constant('ping' as const), nonce: number }),
)

const toGateway: fc.Arbitrary<ToGateway> = fc.oneof(
  fc.record({ kind: fc.constant('flush' as const), group: number, epoch: number, from: cursor, to: cursor, events }),
  fc.record({ kind: fc.constant('piece' as const), join: number, to: cursor, events }),
  fc.record({ kind: fc.constant('ready' as const), join: number, group: number, epoch: number, at: cursor, events, ready: events }),
  fc.record({ kind: fc.constant('joinEnded' as const), join: number, reason }),
  fc.record({ kind: fc.constant('groupEnded' as const), group: number, reason }),
  fc.record({ kind: fc.constant('pong' as const), nonce: number, syncAgeMs: number }),
)

function mustBeSame(found: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${a}, not ${b}`)
}

/** @returns undefined where it was refused as agreed */
function readOrRefuse<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof LinkError) return undefined
    throw error
  }
}

t.test('what is printed for an edge is parsed as the same, and is no longer than an edge takes', async () => {
  fc.assert(
    fc.property(toEdge, message => {
      const bytes = printToEdge(message)
      if (bytes.length > MAX_TO_EDGE_BYTES) throw new Error(`${bytes.length} bytes`)
      mustBeSame(parseToEdge(bytes), message)
    }),
    { numRuns: 1_000 },
  )
})

t.test('what is printed for a gateway is parsed as the same, whatever is among its events', async () => {
  fc.assert(fc.property(toGateway, message => mustBeSame(parseToGateway(printToGateway(message)), message)), { numRuns: 1_000 })
})

t.test('a ready without a replay is its own text alone', async t => {
  const text = Buffer.from('event: ready\n\n')
  const parsed = parseToGateway(printToGateway({ kind: 'ready', join: 1, group: 2, epoch: 3, at: 0, events: Buffer.alloc(0), ready: text }))
  if (parsed.kind !== 'ready') throw new Error(parsed.kind)
  t.same([parsed.events.length, parsed.ready.toString()], [0, text.toString()])
})

t.test('a message that ends within its head is refused', async t => {
  const heads: readonly [ToEdge | ToGateway, number][] = [
    [{ kind: 'more', join: 1 }, 8],
    [{ kind: 'weight', group: 1, weight: 2 }, 12],
    [{ kind: 'join', join: 1, group: 2, again: false, videoId: 'v', gzip: false, begin: { after: 1, recent: 0 } }, 21],
  ]
  for (const [message, length] of heads) {
    const bytes = printToEdge(message as ToEdge)
    t.equal(bytes.length, length)
    for (let end = 0; end < length; end++) t.throws(() => parseToEdge(bytes.subarray(0, end)), LinkError, `${message.kind} of ${end} bytes`)
  }
  const some = Buffer.from('abc')
  const toGateway: readonly [ToGateway, number][] = [
    [{ kind: 'flush', group: 1, epoch: 0, from: 1, to: 2, events: some }, 36],
    [{ kind: 'piece', join: 1, to: 2, events: some }, 24],
    [{ kind: 'ready', join: 1, group: 2, epoch: 0, at: 2, events: some, ready: some }, 47],
    [{ kind: 'joinEnded', join: 1, reason: 'full' }, 8],
    [{ kind: 'pong', nonce: 1, syncAgeMs: 2 }, 12],
  ]
  for (const [message, length] of toGateway) {
    const bytes = printToGateway(message)
    for (let end = 0; end < length; end++) t.throws(() => parseToGateway(bytes.subarray(0, end)), LinkError, `${message.kind} of ${end} bytes`)
    t.doesNotThrow(() => parseToGateway(bytes.subarray(0, length)), message.kind)
  }
})

t.test('any bytes are a message or a LinkError, and a message prints as what was read', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.tuple(fc.integer({ min: 0, max: 7 }), fc.uint8Array({ minLength: 7, maxLength: 80 })).map(([kind, rest]) => Uint8Array.from([kind, ...rest])),
  )
  fc.assert(
    fc.property(bytes, input => {
      const bytes = Buffer.from(input)
      const up = readOrRefuse(() => parseToEdge(bytes))
      if (up) mustBeSame(parseToEdge(printToEdge(up)), up)
      const down = readOrRefuse(() => parseToGateway(bytes))
      if (down) mustBeSame(parseToGateway(printToGateway(down)), down)
    }),
    { numRuns: 5_000 },
  )
})

t.test('ids go up to 2^53 - 1 and no further', async t => {
  const join = printToEdge({ kind: 'join', join: 1, group: 2, again: false, videoId: 'v', gzip: false, begin: { after: MAX_CURSOR, recent: 0 } })
  const flush = printToGateway({ kind: 'flush', group: 1, epoch: 0, from: MAX_CURSOR, to: MAX_CURSOR, events: Buffer.alloc(0) })
  t.match(parseToEdge(join), { begin: { after: MAX_CURSOR } })
  t.match(parseToGateway(flush), { from: MAX_CURSOR, to: MAX_CURSOR })
  for (const at of [12, 20]) {
    const beyond = Buffer.from(flush)
    beyond.writeBigUInt64BE(2n ** 53n, at)
    t.throws(() => parseToGateway(beyond), { name: 'LinkError', message: 'an id over 2^53 - 1' })
  }
  join.writeBigUInt64BE(2n ** 64n - 1n, 12)
  t.throws(() => parseToEdge(join), LinkError)
})

t.test('a kind, a reason, a number of comments or a video id that there is not is refused', async t => {
  for (const kind of [0, 6, 7, 255]) t.throws(() => parseToEdge(Buffer.from([kind, ...new Uint8Array(40)])), { name: 'LinkError', message: `a message of kind ${kind}` })
  for (const kind of [0, 7, 255]) t.throws(() => parseToGateway(Buffer.from([kind, ...new Uint8Array(60)])), { name: 'LinkError', message: `a message of kind ${kind}` })
  for (const kind of ['joinEnded', 'groupEnded'] as const) {
    const ended = printToGateway({ kind, join: 1, group: 1, reason: 'drain' })
    ended[1] = END_REASONS.length
    t.throws(() => parseToGateway(ended), { name: 'LinkError', message: `an end for the reason ${END_REASONS.length}` })
  }
  const join = (videoId: string, recent = 0) => printToEdge({ kind: 'join', join: 1, group: 2, again: false, videoId, gzip: false, begin: { after: undefined, recent } })
  t.match(parseToEdge(join('v', MAX_RECENT)), { begin: { after: undefined, recent: MAX_RECENT } })
  t.throws(() => parseToEdge(join('v', MAX_RECENT + 1)), LinkError)
  for (const videoId of ['', 'a b', 'v\n', 'é', 'x'.repeat(65)]) t.throws(() => parseToEdge(join(videoId)), LinkError, JSON.stringify(videoId))
})
