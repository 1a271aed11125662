import { Buffer } from 'node:buffer'
import { constants, gunzipSync, inflateRawSync } from 'node:zlib'
import { GZIP_HEADER } from '../../protocol/gzip.js'

const BLOCK_END = Buffer.from([0, 0, 0xff, 0xff])
const finishFlush = constants.Z_SYNC_FLUSH

/** A gzip stream as far as it has come, unpacked without leaving the turn: what is known to be whole blocks is not
 * unpacked again, so that blocks that refer to others before them show too. */
export class Gunzip {
  readonly #chunks: Buffer[] = []
  readonly #text: Buffer[] = []
  /** What came since the last end of a block that was the end of a chunk. */
  #rest: Buffer = Buffer.alloc(0)
  /** Bytes of its text that were told. */
  #told = 0
  #toSkip = GZIP_HEADER.length

  /** @returns what it adds. @throws Error when the bytes are no DEFLATE blocks */
  push(chunk: Buffer): Buffer {
    this.#chunks.push(chunk)
    const skipped = Math.min(this.#toSkip, chunk.length)
    this.#toSkip -= skipped
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(skipped)])
    if (this.#rest.length === 0) return this.#rest
    const all = inflateRawSync(this.#rest, { finishFlush })
    const added = all.subarray(this.#told)
    this.#text.push(added)
    const whole = this.#rest.subarray(-BLOCK_END.length).equals(BLOCK_END)
    this.#told = whole ? 0 : all.length
    if (whole) this.#rest = Buffer.alloc(0)
    return added
  }

  /** @returns whether all of it, unpacked as one stream, is what was told. @throws Error when it is no gzip stream */
  get isWhole(): boolean {
    return this.#toSkip > 0 || gunzipSync(Buffer.concat(this.#chunks), { finishFlush }).equals(Buffer.concat(this.#text))
  }
}
