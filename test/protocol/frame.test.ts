import fc from 'fast-check'
import t from 'tap'
import { FRAME_HEADER_BYTES, frame, FrameKind, FrameReader, framesOf, MAX_PAYLOAD_BYTES, streamEvent, type Frame } from '../../protocol/frame.js'

/** No event of ours is longer than a frame. */
const event = fc.tuple(fc.oneof(fc.constant(0), fc.maxSafeNat()), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), fc.constantFrom(1, 20, 200)).map(([id, text, times]) => streamEvent(id, text.repeat(times))).filter(({ bytes }) => bytes <= MAX_PAYLOAD_BYTES - 64)

/** Reads `bytes` in pieces that end at `cuts`. */
function readInPieces(bytes: Buffer, cuts: readonly number[]): Frame[] {
  const reader = new FrameReader()
  const ends = [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const frames: Frame[] = []
  let start = 0
  for (const end of [...ends, bytes.length]) {
    // A copy that is wiped after: a frame must not lean on a chunk that is gone, save within its turn.
    const chunk = Buffer.from(bytes.subarray(start, end))
    for (const { kind, id, payload } of reader.push(chunk)) frames.push({ kind, id, payload: Buffer.from(payload) })
    chunk.fill(0)
    start = end
  }
  return frames
}

t.test('events come out whole, in order and with their place, wherever the chunks end', async () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200, size: 'max' }), fc.array(fc.nat(), { maxLength: 20 }), (events, cuts) => {
      const frames = readInPieces(framesOf(events), cuts)
      if (frames.map(({ payload }) => payload.toString()).join('') !== events.map(({ text }) => text).join('')) throw new Error('other text')
      let next = 0
      for (const { kind, id, payload } of frames) {
        if (kind !== FrameKind.events || payload.length > MAX_PAYLOAD_BYTES) throw new Error('not an events frame')
        let length = 0
        let last = 0
        while (length < payload.length) {
          const { bytes, id } = events[next++]!
          length += bytes
          if (id !== 0) last = id
        }
        if (length !== payload.length) throw new Error('a frame ends within an event')
        if (id !== last) throw new Error(`place ${id}, not ${last}`)
      }
    }),
    { numRuns: 300 },
  )
})

t.test('a frame is as full as it may be', async t => {
  const events = Array.from({ length: 100 }, (_, i) => streamEvent(i + 1, 'x'.repeat(1_000)))
  t.same(readInPieces(framesOf(events), []).map(({ id, payload }) => [id, payload.length]), [[16, 16_000], [32, 16_000], [48, 16_000], [64, 16_000], [80, 16_000], [96, 16_000], [100, 4_000]])
  t.equal(readInPieces(framesOf([streamEvent(1, 'x'.repeat(MAX_PAYLOAD_BYTES))]), []).length, 1)
  t.equal(framesOf([]).length, 0)
})

t.test('each kind is read byte by byte', async t => {
  const bytes = Buffer.concat([frame(FrameKind.ready, 7, 'event: ready\n\n'), frame(FrameKind.events, 0, ''), frame(FrameKind.end, Number.MAX_SAFE_INTEGER, 'drain')])
  const frames = readInPieces(bytes, Array.from(bytes.keys()))
  t.same(frames.map(({ kind, id, payload }) => [kind, id, payload.toString()]), [[2, 7, 'event: ready\n\n'], [1, 0, ''], [3, Number.MAX_SAFE_INTEGER, 'drain']])
})

t.test('a payload over the limit is not printed', async t => {
  t.throws(() => frame(FrameKind.events, 1, 'x'.repeat(MAX_PAYLOAD_BYTES + 1)), { name: 'RangeError' })
  t.throws(() => framesOf([streamEvent(1, 'ä'.repeat(MAX_PAYLOAD_BYTES / 2 + 1))]), { name: 'RangeError' })
})

t.test('bytes that cannot be a frame are refused', async t => {
  const good = frame(FrameKind.events, 1, 'x')
  const broken = (at: number, value: number) => {
    const bytes = Buffer.from(good)
    bytes[at] = value
    return bytes
  }
  for (const bytes of [broken(0, 0), broken(0, 4), broken(1, 1), broken(2, 0xff), broken(4, 0xff), broken(4, 0x00).fill(0x20, 5, 6)]) t.throws(() => new FrameReader().push(bytes), { name: 'FrameError' })
  t.throws(() => new FrameReader().push(Buffer.from('HTTP/1.1 200 OK\r\n')), { name: 'FrameError' })
  t.same(new FrameReader().push(good.subarray(0, FRAME_HEADER_BYTES - 1)), [], 'too little to say')
})
