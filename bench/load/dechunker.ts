import { Buffer } from 'node:buffer'

const CR = 13
const LF = 10
const SEMICOLON = 59

/** Takes HTTP's chunks off a body; pieces may end anywhere. What is no chunk is an error. */
export class Dechunker {
  #left = 0
  #size = 0
  #digits = 0
  /** In a chunk's bytes, in its size line, or in that line's extension. */
  #state: 'size' | 'extension' | 'data' | 'after' = 'size'
  ended = false

  /** @param take is handed parts of `bytes`, not copies
   * @throws Error where a chunk should begin or end and does not */
  push(bytes: Uint8Array, take: (part: Uint8Array) => void): void {
    let at = 0
    while (at < bytes.length && !this.ended) {
      if (this.#state === 'data') {
        const part = bytes.subarray(at, at + this.#left)
        at += part.length
        this.#left -= part.length
        if (this.#left === 0) this.#state = 'after'
        take(part)
        continue
      }
      const byte = bytes[at++]!
      if (this.#state === 'after') {
        if (byte === LF) this.#state = 'size'
        else if (byte !== CR) throw notChunked(bytes, at)
      } else if (byte === LF) {
        if (this.#digits === 0) throw notChunked(bytes, at)
        if (this.#size === 0) this.ended = true
        this.#left = this.#size
        this.#size = 0
        this.#digits = 0
        this.#state = 'data'
      } else if (this.#state === 'size' && byte !== CR) {
        const digit = hexDigit(byte)
        if (digit !== undefined) {
          this.#size = this.#size * 16 + digit
          this.#digits++
        } else if (byte === SEMICOLON && this.#digits > 0) this.#state = 'extension'
        else throw notChunked(bytes, at)
      }
    }
  }
}

function notChunked(bytes: Uint8Array, at: number): Error {
  return new Error(`not a chunked body at ${JSON.stringify(Buffer.from(bytes.subarray(at - 1, at + 79)).toString('latin1'))}`)
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : undefined
}
