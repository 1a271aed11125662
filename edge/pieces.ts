import type { StreamEvent } from '../protocol/frame.js'
import type { Encoded } from '../runtime/fan-out/encoded.js'
import { encode, type Encoding } from './encoding.js'

/** A catch-up is written in pieces of about this, each when the last was taken: what a slow viewer may cost (rule 10). */
export const PIECE_BYTES = 64 * 1024
/** Pieces kept for the next that misses the same: as much as a replay buffer. */
const KEPT = 4
/** What does not fill a packet is not worth the compressor's time for one viewer. */
const COMPRESS_BYTES = 1_024

interface Piece {
  readonly encoding: Encoding
  readonly events: readonly StreamEvent[]
  readonly encoded: Encoded
}

/** What single viewers missed, encoded. Newcomers that ask for the same few comments come many at a time: what one
 * was sent is kept for the next. */
export class Pieces {
  readonly #level: number
  /** The newest last. */
  readonly #kept: Piece[] = []

  /** @param level of compression, where the encoding has any */
  constructor(level: number) {
    this.#level = level
  }

  encode(encoding: Encoding, events: readonly StreamEvent[]): Encoded {
    const same = (kept: readonly StreamEvent[]) => kept.length === events.length && kept[0] === events[0] && kept.at(-1) === events.at(-1)
    const known = this.#kept.find(piece => piece.encoding === encoding && same(piece.events))
    if (known) return known.encoded
    const size = events.reduce((sum, event) => sum + event.bytes, 0)
    const encoded = encode(encoding, events, size >= COMPRESS_BYTES ? this.#level : 0)
    if (events.length > 0 && this.#kept.push({ encoding, events, encoded }) > KEPT) this.#kept.shift()
    return encoded
  }

  /** Once a second: a crowd that comes together has come by then. And when a comment is deleted. */
  forget(): void {
    this.#kept.length = 0
  }
}

/** How many of the first events fit into a piece: at least one. */
export function pieceEnd(events: readonly StreamEvent[], pieceBytes = PIECE_BYTES): number {
  let bytes = 0
  const first = events.findIndex(event => (bytes += event.bytes) > pieceBytes)
  return first < 0 ? events.length : Math.max(1, first)
}
