import { constants, inflateRawSync } from 'node:zlib'
import t from 'tap'
import { pieceEnd, Pieces } from '../../edge/pieces.js'
import { streamEvent, type StreamEvent } from '../../protocol/frame.js'

const event = (id: number, bytes = 10): StreamEvent => streamEvent(id, 'x'.repeat(bytes))

t.test('what one viewer was sent is kept for the next that missed the same in the same encoding, until it is forgotten', async t => {
  const pieces = new Pieces(6)
  const [a, b, c] = [event(1), event(2), event(3)]
  const encoded = pieces.encode('plain', [a, b])
  t.equal(encoded.bytes.toString(), 'x'.repeat(20))
  t.equal(pieces.encode('plain', [a, b]), encoded)
  t.not(pieces.encode('frames', [a, b]), encoded)
  for (const others of [[a], [b], [a, c], [c, b], [a, c, b]]) {
    pieces.forget()
    const forgotten = pieces.encode('plain', [a, b])
    t.not(forgotten, encoded)
    t.not(pieces.encode('plain', others), forgotten)
  }
})

t.test('four pieces are kept: the oldest of them goes', async t => {
  const pieces = new Pieces(6)
  const events = Array.from({ length: 5 }, (_, i) => [event(i)])
  const bytes = events.map(each => pieces.encode('plain', each))
  t.same(events.slice(1).map(each => bytes.indexOf(pieces.encode('plain', each))), [1, 2, 3, 4])
  t.equal(bytes.indexOf(pieces.encode('plain', events[0]!)), -1)
})

t.test('what does not fill a packet is not compressed', async t => {
  const pieces = new Pieces(6)
  for (const [size, smaller] of [[1_023, false], [1_024, true]] as const) {
    const { bytes } = pieces.encode('gzip', [event(size, size)])
    t.equal(inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).length, size)
    t.equal(bytes.length < size, smaller, `${size} bytes`)
  }
})

t.test('a piece holds 64 KB of events, and at least one', async t => {
  const kilobytes = (...sizes: number[]) => pieceEnd(sizes.map((size, i) => event(i, size * 1024)))
  t.equal(kilobytes(), 0)
  t.equal(kilobytes(10, 10), 2)
  t.equal(kilobytes(32, 32), 2)
  t.equal(kilobytes(32, 32, 1), 2)
  t.equal(kilobytes(100, 1), 1)
  t.equal(kilobytes(1, 100), 1)
})
