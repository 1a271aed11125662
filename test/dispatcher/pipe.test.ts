import { Buffer } from 'node:buffer'
import t, { type Test } from 'tap'
import { Pipe, type Line } from '../../dispatcher/pipe.js'
import { BATCH_BYTES } from '../../protocol/limits.js'
import { parseBatch, printComment, type Batch } from '../../protocol/wire.js'
import { FakeClock } from '../support/fake-clock.js'
import { edgeNode } from './cast.js'

function line(videoId: string, id: number, size = 0): Line {
  return { videoId, id, bytes: Buffer.from(printComment({ videoId, prev: id - 1, id, json: `{${' '.repeat(size)}}` })), at: 0 }
}

interface Bench {
  readonly pipe: Pipe
  readonly clock: FakeClock
  readonly batches: Batch[]
  readonly acknowledged: [comments: number, hints: number][]
  /** Settles the batch in flight. */
  readonly settle: (error?: Error) => Promise<void>
  wanted: boolean
}

function bench(t: Test, maxBytes = 1 << 20): Bench {
  const clock = new FakeClock()
  const batches: Batch[] = []
  const acknowledged: [number, number][] = []
  const inFlight: { resolve: (bytes: Buffer) => void; reject: (error: Error) => void }[] = []
  const pipe = new Pipe({
    target: edgeNode('e'),
    clock,
    random: () => 1 - Number.EPSILON,
    maxBytes,
    send: body => {
      t.equal(inFlight.length, 0, 'rule 2: one batch in flight')
      t.ok(body.length <= BATCH_BYTES)
      batches.push(parseBatch(body))
      return new Promise((resolve, reject) => inFlight.push({ resolve, reject }))
    },
    wanted: () => made.wanted,
    acknowledged: (lines, hints) => acknowledged.push([lines.length, hints]),
    failed: () => {},
  })
  t.teardown(() => pipe.close())
  const made: Bench = {
    pipe,
    clock,
    batches,
    acknowledged,
    wanted: true,
    settle: async error => {
      const { resolve, reject } = inFlight.shift()!
      if (error) reject(error)
      else resolve(Buffer.alloc(0))
      await clock.advance(0)
    },
  }
  return made
}

const ids = (batch: Batch | undefined) => batch?.comments.map(({ id }) => id)

t.test('an idle pipe sends at once; what comes meanwhile goes in the next batch', async t => {
  const { pipe, batches, settle, acknowledged } = bench(t)
  pipe.comment(line('v', 1))
  t.same(ids(batches[0]), [1])
  pipe.comment(line('v', 2))
  pipe.hint({ videoId: 'w', id: 9 })
  pipe.comment(line('v', 3))
  t.equal(batches.length, 1)
  await settle()
  t.same(ids(batches[1]), [2, 3])
  t.same(batches[1]!.hints, [{ videoId: 'w', id: 9 }])
  await settle()
  t.ok(pipe.idle)
  t.equal(pipe.bytes, 0)
  t.same(acknowledged, [[1, 0], [2, 1]])
})

t.test('what finds no room leaves one hint a video, its highest id, at the head of the next batch', async t => {
  const size = line('v', 1).bytes.length
  const { pipe, batches, settle } = bench(t, 3 * size)
  for (let id = 1; id <= 6; id++) pipe.comment(line('v', id))
  pipe.comment(line('w', 7))
  t.equal(pipe.bytes, 3 * size, 'bounded')
  await settle()
  t.same(ids(batches[1]), [2, 3])
  t.same(batches[1]!.hints, [{ videoId: 'v', id: 6 }, { videoId: 'w', id: 7 }])
  await settle()
  pipe.comment(line('v', 8))
  t.same(ids(batches[2]), [8], 'and goes on')
})

t.test('a failed batch becomes hints, sent after a pause that grows', async t => {
  const { pipe, batches, settle, clock } = bench(t)
  pipe.comment(line('v', 1))
  pipe.comment(line('v', 2))
  await settle(new Error('lost'))
  t.equal(batches.length, 1, 'not at once')
  pipe.comment(line('v', 3))
  await clock.advance(49)
  t.equal(batches.length, 1)
  await clock.advance(1)
  t.same(batches[1]!.hints, [{ videoId: 'v', id: 1 }])
  t.same(ids(batches[1]), [2, 3])
  await settle(new Error('lost'))
  await clock.advance(99)
  t.equal(batches.length, 2)
  await clock.advance(1)
  t.same(batches[2], { comments: [], hints: [{ videoId: 'v', id: 3 }] })
  await settle()
  pipe.comment(line('v', 4))
  await settle(new Error('lost'))
  await clock.advance(50)
  t.equal(batches.length, 5, 'an acknowledged batch ends the growth')
  t.equal(pipe.bytes, 0)
})

t.test('the pause is at most 2 s', async t => {
  const { pipe, batches, settle, clock } = bench(t)
  pipe.comment(line('v', 1))
  for (let i = 0; i < 12; i++) {
    await settle(new Error('lost'))
    await clock.advance(2_000)
    t.equal(batches.length, i + 2)
  }
})

t.test('a target that nobody wants any more is given up', async t => {
  const made = bench(t)
  made.pipe.comment(line('v', 1))
  made.wanted = false
  await made.settle(new Error('refused'))
  made.pipe.comment(line('v', 2))
  await made.clock.advance(10_000)
  t.equal(made.batches.length, 1)
  t.ok(made.pipe.closed)
  t.ok(made.pipe.idle)
  t.equal(made.pipe.bytes, 0)
})

t.test('hints are kept of 20,000 videos, and the highest id of each', async t => {
  const { pipe, batches, settle } = bench(t)
  pipe.comment(line('v', 1))
  const videoId = (i: number) => `v${i}`.padEnd(64, '-') // more than a batch holds
  for (let i = 0; i <= 20_000; i++) pipe.hint({ videoId: videoId(i), id: 5 })
  pipe.hint({ videoId: videoId(7), id: 6 })
  pipe.hint({ videoId: videoId(7), id: 4 })
  await settle()
  while (!pipe.idle) await settle()
  const hints = batches.flatMap(batch => batch.hints)
  t.equal(hints.length, 20_000)
  t.same(hints.filter(({ id }) => id !== 5), [{ videoId: videoId(7), id: 6 }])
  t.ok(batches.length > 2, `${batches.length} batches`)
})

t.test('a large backlog goes in several batches, hints first', async t => {
  const { pipe, batches, settle } = bench(t, 8 << 20)
  pipe.comment(line('v', 1))
  for (let id = 2; id <= 500; id++) pipe.comment(line('v', id, 4_000))
  await settle()
  while (!pipe.idle) await settle()
  t.equal(batches.length, 5)
  t.same(batches.flatMap(({ comments }) => comments.map(({ id }) => id)), Array.from({ length: 500 }, (_, i) => i + 1))
})
