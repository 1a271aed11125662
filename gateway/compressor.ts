import type { Buffer } from 'node:buffer'
import { blocks, checksumOf } from '../protocol/gzip.js'
import type { Encoded, GzipPolicy } from '../runtime/fan-out/encoded.js'

/** Text of this size, about a packet, is worth the compressor's time even for one viewer. */
const WORTH_BYTES = 1_024
/** Texts remembered: a crowd that comes together asks for the same replay many times. */
const REMEMBERED = 8

interface Known {
  readonly text: Buffer
  readonly packed: Encoded
}

/** Compresses events for viewers who accept gzip, once for all who are written the same. */
export class Compressor {
  readonly #policy: GzipPolicy
  /** The newest last. */
  #known: Known[] = []

  constructor(policy: GzipPolicy) {
    this.#policy = policy
  }

  /** @param viewers how many there are for whom it may be meant
   * @returns blocks that refer to nothing before them */
  pack(text: Buffer, viewers: number): Encoded {
    const { level, minViewers } = this.#policy
    if (text.length < WORTH_BYTES) return packed(text, viewers >= minViewers ? level : 0)
    const known = this.#known.find(each => each.text.equals(text))
    if (known) return known.packed
    const encoded = packed(text, level)
    if (this.#known.push({ text, packed: encoded }) > REMEMBERED) this.#known.shift()
    return encoded
  }

  /** A comment was deleted, and what is remembered may hold its text. */
  forget(): void {
    this.#known = []
  }
}

function packed(text: Buffer, level: number): Encoded {
  return { bytes: blocks(text, level), checksum: checksumOf(text) }
}
