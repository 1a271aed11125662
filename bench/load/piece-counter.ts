import { Buffer } from 'node:buffer'
import { constants, inflateRawSync } from 'node:zlib'
import { EMPTY_BLOCK } from '../../protocol/gzip.js'
import { MARK } from './comment-text.js'

/** Pieces that many viewers read at about the same time, and those of viewers that lag a little. */
const KEPT = 32

/** What a piece of a compressed stream says. */
export interface Piece {
  readonly text: string
  readonly comments: number
}

/** Unpacks compressed streams of our cluster piece by piece. A piece is what was compressed at a time: DEFLATE blocks that refer to
 * nothing before them and end with an empty stored one. All viewers of a room get the same pieces, though a viewer that lags gets
 * several at a time: a piece equal to one of the last few, byte for byte, is not unpacked again. One for all viewers of a thread. */
export class PieceCounter {
  readonly #kept: { readonly bytes: Buffer; readonly piece: Piece }[] = []
  #next = 0

  /** Whether a part of a stream ends where a piece does. */
  static endsWith(part: Buffer): boolean {
    return part.length >= EMPTY_BLOCK.length && part.readUInt32LE(part.length - 4) === 0xffff0000
  }

  /** @throws Error when it is no whole blocks, or no whole lines */
  read(bytes: Buffer): Piece {
    for (const each of this.#kept) if (each.bytes.length === bytes.length && each.bytes.equals(bytes)) return each.piece
    const unpacked = inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
    const text = unpacked.toString()
    if (text !== '' && !text.endsWith('\n')) throw new Error(`a piece ends within a line: ${JSON.stringify(text.slice(-80))}`)
    let comments = 0
    for (let at = unpacked.indexOf(MARK); at >= 0; at = unpacked.indexOf(MARK, at + 1)) comments++
    const piece = { text, comments }
    this.#kept[this.#next] = { bytes: Buffer.from(bytes), piece }
    this.#next = (this.#next + 1) % KEPT
    return piece
  }
}
