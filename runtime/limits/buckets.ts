import { SHARES_OF_LIMIT } from './limit.js'

/** A token bucket's rate and size. */
export interface Rate {
  readonly perSecond: number
  /** At least 1. */
  readonly burst: number
}

const MAX_KEYS = 100_000

/** A token bucket for each key, stored as one number: the time at which it will be full again (virtual scheduling of the
 * generic cell rate algorithm, ITU-T I.371). A full bucket needs no entry, so only keys that were used within the last
 * burst ÷ rate seconds have one; each take drops up to two of the longest unused that are full. Beyond `maxKeys` the
 * longest unused is dropped even if it is not full: memory is bounded, and counting addresses does not stop a client that
 * has more addresses than that. */
export class Buckets {
  readonly #costMs: number
  readonly #burstMs: number
  readonly #maxKeys: number
  /** Key → when it is full, ms; the longest unused first. */
  readonly #fullAt = new Map<string, number>()

  constructor({ perSecond, burst }: Rate, maxKeys = MAX_KEYS) {
    this.#costMs = 1000 / perSecond
    this.#burstMs = burst * this.#costMs
    this.#maxKeys = maxKeys
  }

  /** Number of entries. */
  get size(): number {
    return this.#fullAt.size
  }

  /** Takes one token from `key`'s bucket. @param now monotonic ms
   * @returns 0; if the bucket is empty, nothing is taken and the result is the time until the next token, ms */
  take(key: string, now: number): number {
    this.#forgetFull(now)
    const waitMs = this.waitMs(key, now)
    if (waitMs > 0) return waitMs
    const fullAt = this.#afterOne(key, now)
    this.#fullAt.delete(key)
    this.#fullAt.set(key, fullAt)
    if (this.#fullAt.size > this.#maxKeys) this.#fullAt.delete(this.#fullAt.keys().next().value!)
    return 0
  }

  /** The time until `key`'s bucket has a token, ms; 0 if it has one. */
  waitMs(key: string, now: number): number {
    const waitMs = this.#afterOne(key, now) - now - this.#burstMs
    return waitMs > 1e-6 ? waitMs : 0 // not > 0: floating-point sums
  }

  /** When the bucket will be full if a token is taken now. */
  #afterOne(key: string, now: number): number {
    return Math.max(now, this.#fullAt.get(key) ?? now) + this.#costMs
  }

  #forgetFull(now: number): void {
    let looked = 0
    for (const [key, fullAt] of this.#fullAt) {
      if (looked++ === 2) return
      if (fullAt <= now) this.#fullAt.delete(key)
    }
  }
}

/** A token bucket for each client, and larger ones for the networks that an IPv6 client is in: whoever has a /48 has 65,536
 * networks of the kind that one customer has. */
export class ClientBuckets {
  readonly #levels: readonly Buckets[]

  constructor({ perSecond, burst }: Rate) {
    this.#levels = SHARES_OF_LIMIT.map(share => new Buckets({ perSecond: perSecond * share, burst: burst * share }))
  }

  /** Takes one token from each bucket of a client. @param keys the widest network last @param now monotonic ms
   * @returns 0; if one of them is empty, nothing is taken and the result is the time until all have one, ms */
  take(keys: readonly string[], now: number): number {
    const waitMs = Math.max(...keys.map((key, level) => this.#levels[level]!.waitMs(key, now)))
    if (waitMs === 0) keys.forEach((key, level) => this.#levels[level]!.take(key, now))
    return waitMs
  }
}
