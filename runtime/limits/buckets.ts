/** What may be taken at once, and how much of it comes back a second. */
export interface Rate {
  readonly perSecond: number
  /** At least 1. */
  readonly burst: number
}

const MAX_KEYS = 100_000

/** A token bucket for each key, as one number: the time at which it will be full again (the virtual scheduling of the
 * generic cell rate algorithm, ITU-T I.371). A full bucket is the same as none, so only keys that took within the last
 * burst ÷ rate seconds need be held; each take looks at the two longest unused and forgets those that are full. Beyond
 * `maxKeys` the longest unused is forgotten although it is not full: memory has a bound, and who comes from more
 * addresses than that is not kept out by counting addresses. */
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

  /** Buckets held. */
  get size(): number {
    return this.#fullAt.size
  }

  /** Takes one from `key`'s bucket. @param now monotonic ms
   * @returns 0, or where it is empty the ms until there is one, and nothing is taken */
  take(key: string, now: number): number {
    this.#forgetFull(now)
    const fullAt = Math.max(now, this.#fullAt.get(key) ?? now) + this.#costMs
    const waitMs = fullAt - now - this.#burstMs
    if (waitMs > 1e-6) return waitMs // not 0: sums of fractions
    this.#fullAt.delete(key)
    this.#fullAt.set(key, fullAt)
    if (this.#fullAt.size > this.#maxKeys) this.#fullAt.delete(this.#fullAt.keys().next().value!)
    return 0
  }

  #forgetFull(now: number): void {
    let looked = 0
    for (const [key, fullAt] of this.#fullAt) {
      if (looked++ === 2) return
      if (fullAt <= now) this.#fullAt.delete(key)
    }
  }
}
