import { Buffer } from 'node:buffer'
import { MARK } from './comment-text.js'

/** Chunks that many viewers read at about the same time. */
const KEPT = 4

/** Counts the comments in what is read. Viewers of a room get the same bytes, mostly cut in the same places: a chunk
 * equal to one of the last few, byte for byte, holds as many and is not scanned again. */
export class MarkCounter {
  readonly #kept: { chunk: Buffer; count: number }[] = []
  #next = 0

  count(chunk: Buffer): number {
    for (const each of this.#kept) if (each.chunk.length === chunk.length && each.chunk.equals(chunk)) return each.count
    let count = 0
    for (let at = chunk.indexOf(MARK); at >= 0; at = chunk.indexOf(MARK, at + 1)) count++
    this.#kept[this.#next] = { chunk: Buffer.from(chunk), count }
    this.#next = (this.#next + 1) % KEPT
    return count
  }
}
