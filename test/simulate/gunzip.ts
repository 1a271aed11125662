import { Buffer } from 'node:buffer'
import { constants, gunzipSync, inflateRawSync } from 'node:zlib'
import { EMPTY_BLOCK, GZIP_HEADER } from '../../protocol/gzip.js'

const BLOCK_END = Buffer.from([0, 0, 0xff, 0xff])
const TRAILER_BYTES = 8
const finishFlush = constants.Z_SYNC_FLUSH

/** A gzip stream as far as it has come, unpacked without leaving the turn: what is known to be whole blocks is not
 * unpacked again, so that blocks that refer to others before them show too. */
export class Gunzip {
  readonly #chunks: Buffer[] = []
  readonly #text: Buffer[] = []
  /** What came since the last end of a block that was the end of a chunk; after the last block: what came after it. */
  #rest: Buffer = Buffer.alloc(0)
  /** Bytes of its text that were told. */
  #told = 0
  #toSkip = GZIP_HEADER.length
  /** The last block has come. */
  #isOver = false

  /** @returns what it adds. @throws Error when the bytes are no DEFLATE blocks */
  push(chunk: Buffer): Buffer {
    this.#chunks.push(chunk)
    const skipped = Math.min(this.#toSkip, chunk.length)
    this.#toSkip -= skipped
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(skipped)])
    if (this.#rest.length === 0 || this.#isOver) return Buffer.alloc(0)
    const whole = this.#rest.subarray(-BLOCK_END.length).equals(BLOCK_END)
    // What follows the last block is not read. Where nothing does yet, one more block shows whether that was it.
    const read = whole ? Buffer.concat([this.#rest, EMPTY_BLOCK]) : this.#rest
    const { buffer: all, engine } = inflateRawSync(read, { finishFlush, info: true }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } }
    const added = all.subarray(this.#told)
    this.#text.push(added)
    this.#isOver = engine.bytesWritten < read.length
    this.#told = whole ? 0 : all.length
    if (this.#isOver) this.#rest = this.#rest.subarray(engine.bytesWritten)
    else if (whole) this.#rest = Buffer.alloc(0)
    return added
  }

  /** Whether it has had its last block, and the CRC and length that follow it. */
  get isComplete(): boolean {
    return this.#isOver && this.#rest.length === TRAILER_BYTES
  }

  /** Whether all of it, unpacked as one stream, is what was told, and what ends it is right where it is there. */
  get isWhole(): boolean {
    if (this.#toSkip > 0) return true
    try {
      return gunzipSync(Buffer.concat(this.#chunks), this.isComplete ? {} : { finishFlush }).equals(Buffer.concat(this.#text))
    } catch {
      return false
    }
  }
}
