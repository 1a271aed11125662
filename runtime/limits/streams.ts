import { LiveError } from '../../protocol/errors.js'
import type { Client } from '../http/client-address.js'
import { holdsFor, type Limit } from './limit.js'
import type { Refusals } from './refusals.js'

/** A guess: nobody knows when one of the open streams will end. */
const RETRY_AFTER_S = 30

/** A stream that counts against a limit. */
export interface Counted {
  /** To be called once when the stream has ended. */
  ended(): void
}

/** Limits the open streams of one address or one author. It has at most as many keys as there are streams. */
export class StreamLimit {
  readonly #by: 'address' | 'author'
  readonly #limit: Limit
  readonly #refusals: Refusals
  readonly #open = new Map<string, OpenStreams>()

  constructor(by: 'address' | 'author', limit: Limit, refusals: Refusals) {
    this.#by = by
    this.#limit = limit
    this.#refusals = refusals
  }

  /** Keys with an open stream. */
  get size(): number {
    return this.#open.size
  }

  /** Counts a new stream. @returns undefined if the limit does not hold for this client
   * @throws LiveError RATE_LIMITED */
  open(key: string, client: Client): Counted | undefined {
    if (!holdsFor(this.#limit, client)) return undefined
    const known = this.#open.get(key)
    if (known && known.count >= this.#limit.most) {
      this.#refusals.count(`streams_per_${this.#by}`)
      throw new LiveError('RATE_LIMITED', `at most ${this.#limit.most} streams may be open from one ${this.#by}`, { headers: { 'retry-after': String(RETRY_AFTER_S) } })
    }
    if (known) {
      known.count++
      return known
    }
    const first = new OpenStreams(key, this.#open)
    this.#open.set(key, first)
    return first
  }
}

/** All streams of one key share this object. */
class OpenStreams implements Counted {
  count = 1
  readonly #key: string
  readonly #all: Map<string, OpenStreams>

  constructor(key: string, all: Map<string, OpenStreams>) {
    this.#key = key
    this.#all = all
  }

  ended(): void {
    if (--this.count === 0) this.#all.delete(this.#key)
  }
}
