import type { Client } from './client-address.js'
import { LiveError } from './errors.js'
import { holdsFor, type Limit } from './limit.js'
import type { Refusals } from './refusals.js'

/** Nobody knows when one of the open streams will end. */
const RETRY_AFTER_S = 30

/** How many streams one address, or one author, has open. It holds as many keys as there are streams, at most. */
export class StreamLimit {
  readonly #by: 'address' | 'author'
  readonly #limit: Limit
  readonly #refusals: Refusals
  readonly #open = new Map<string, number>()

  constructor(by: 'address' | 'author', limit: Limit, refusals: Refusals) {
    this.#by = by
    this.#limit = limit
    this.#refusals = refusals
  }

  /** Keys with an open stream. */
  get size(): number {
    return this.#open.size
  }

  /** Counts one more. @returns what is to be called when it has ended; a second call does nothing
   * @throws LiveError RATE_LIMITED */
  open(key: string, client: Client): () => void {
    if (!holdsFor(this.#limit, client)) return () => {}
    const open = this.#open.get(key) ?? 0
    if (open >= this.#limit.most) {
      this.#refusals.count(`streams_per_${this.#by}`)
      throw new LiveError('RATE_LIMITED', `at most ${this.#limit.most} streams may be open from one ${this.#by}`, { headers: { 'retry-after': String(RETRY_AFTER_S) } })
    }
    this.#open.set(key, open + 1)
    let counted = true
    return () => {
      if (!counted) return
      counted = false
      const left = this.#open.get(key)! - 1
      if (left > 0) this.#open.set(key, left)
      else this.#open.delete(key)
    }
  }
}
