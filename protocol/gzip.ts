import { Buffer } from 'node:buffer'
import { constants, crc32, deflateRawSync } from 'node:zlib'

/** A stream that is compressed once for all viewers of a room. Each viewer gets its own gzip header (RFC 1952), then
 * the shared DEFLATE blocks (RFC 1951). A block refers to nothing before it and ends on a byte boundary, so a viewer may
 * begin at any block and continue with those of another edge. */

/** No name, no time, no flags. */
export const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])

export const GZIP_HEADERS: Readonly<Record<string, string>> = { 'content-encoding': 'gzip' }

/** A stored block of no bytes: it means nothing. zlib ends a flush with it, and some decoders release what they have only
 * there. */
export const EMPTY_BLOCK = Buffer.from([0, 0, 0, 0xff, 0xff])

const MAX_STORED_BYTES = 65_535

/** One piece of a stream's text, as the stream's end must account for it. */
export interface Checksum {
  /** CRC-32 of the piece alone. */
  readonly crc: number
  readonly bytes: number
  /** x^(8·bytes) modulo the CRC's polynomial: carries the CRC of what came before past this piece. */
  readonly shift: number
}

/** @param level zlib's, 1–9; 0 makes stored blocks, which cost almost nothing
 * @returns blocks that end with an empty stored one */
export function blocks(text: string | Buffer, level: number): Buffer {
  if (level === 0) return stored(typeof text === 'string' ? Buffer.from(text) : text)
  return deflateRawSync(text, { level, finishFlush: constants.Z_FULL_FLUSH })
}

function stored(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += MAX_STORED_BYTES) {
    const part = bytes.subarray(at, at + MAX_STORED_BYTES)
    const head = Buffer.alloc(5)
    head.writeUInt16LE(part.length, 1)
    head.writeUInt16LE(~part.length & 0xffff, 3)
    parts.push(head, part)
  }
  return Buffer.concat([...parts, EMPTY_BLOCK])
}

export function checksumOf(text: string | Buffer): Checksum {
  const bytes = Buffer.byteLength(text)
  return { crc: crc32(text), bytes, shift: power(bytes) }
}

/** The checksum of two pieces, one after the other. */
export function joined(first: Checksum, second: Checksum): Checksum {
  return { crc: append(first.crc, second), bytes: first.bytes + second.bytes, shift: multiply(first.shift, second.shift) }
}

/** Counts the text of one gzip stream, for the trailer that ends it. */
export class GzipTrailer {
  #crc = 0
  #bytes = 0

  add(piece: Checksum): void {
    this.#crc = append(this.#crc, piece)
    this.#bytes = (this.#bytes + piece.bytes) | 0
  }

  /** The final block, which is empty, then CRC-32 and length (RFC 1952, section 2.3.1). */
  bytes(): Buffer {
    const end = Buffer.from([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0])
    end.writeInt32LE(this.#crc, 5)
    end.writeInt32LE(this.#bytes, 9)
    return end
  }
}

/** The polynomial of CRC-32, bit-reversed: bit 31 is x^0. */
const POLYNOMIAL = 0xedb88320 | 0
const ONE = 1 << 31
const X_TO_THE_8 = 1 << 23

/** CRC-32 of two pieces from those of each, after crc32_combine of zlib. */
function append(crc: number, { crc: next, shift }: Checksum): number {
  return multiply(shift, crc) ^ next
}

/** a · b modulo the polynomial. */
function multiply(a: number, b: number): number {
  let product = 0
  for (let bit = ONE, factor = b; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= factor
    factor = factor & 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1
  }
  return product
}

/** x^(8·bytes) modulo the polynomial, by squaring. */
function power(bytes: number): number {
  let result = ONE
  for (let square = X_TO_THE_8, rest = bytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(square, result)
    square = multiply(square, square)
  }
  return result
}
