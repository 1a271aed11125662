import { LiveError } from '../../protocol/errors.js'
import type { Client } from '../http/client-address.js'
import { holdsFor, SHARES_OF_LIMIT, type Limit } from './limit.js'
import type { Refusals } from './refusals.js'

/** A guess: nobody knows when one of the open streams will end. */
const RETRY_AFTER_S = 30

/** A stream that counts against a limit. */
export interface Counted {
  /** To be called once when the stream has ended. */
  ended(): void
}

/** Limits the open streams of one address or one author, and of the networks that an address is in. Each stream adds at
 * most one key for each of them. */
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

  /** Counts a new stream. @param keys the widest network last @param weight as how many streams it counts
   * @returns undefined if the limit does not hold for this client
   * @throws LiveError RATE_LIMITED */
  open(keys: readonly string[], client: Client, weight = 1): Counted | undefined {
    if (!holdsFor(this.#limit, client)) return undefined
    if (keys.some((key, level) => (this.#open.get(key)?.count ?? 0) + weight - 1 >= this.#limit.most * SHARES_OF_LIMIT[level]!)) {
      this.#refusals.count(`streams_per_${this.#by}`)
      throw new LiveError('RATE_LIMITED', `at most ${this.#limit.most} streams may be open from one ${this.#by}`, { headers: { 'retry-after': String(RETRY_AFTER_S) } })
    }
    const streams = keys.reduceRight<OpenStreams | undefined>((wider, key) => this.#of(key, wider), undefined)!
    streams.began(weight)
    return weight === 1 ? streams : { ended: () => streams.ended(weight) }
  }

  #of(key: string, wider: OpenStreams | undefined): OpenStreams {
    let known = this.#open.get(key)
    if (!known) this.#open.set(key, (known = new OpenStreams(key, wider, this.#open)))
    return known
  }
}

/** All streams of one key share this object. */
class OpenStreams implements Counted {
  count = 0
  readonly #key: string
  /** Of the network that this one is in. */
  readonly #wider: OpenStreams | undefined
  readonly #all: Map<string, OpenStreams>

  constructor(key: string, wider: OpenStreams | undefined, all: Map<string, OpenStreams>) {
    this.#key = key
    this.#wider = wider
    this.#all = all
  }

  began(weight: number): void {
    this.count += weight
    this.#wider?.began(weight)
  }

  ended(weight = 1): void {
    this.count -= weight
    if (this.count === 0) this.#all.delete(this.#key)
    this.#wider?.ended(weight)
  }
}
