import type { Clock } from '../runtime/clock.js'

const MAX_BYTES = 32 * 1024 * 1024
/** A slow viewer is closed when it has taken nothing for six seconds. */
const MAX_AGE_MS = 8_000

/** Who keeps flushes, in the order in which they came. */
export interface Keeper {
  dropOldest(): void
}

interface Kept {
  readonly keeper: Keeper
  readonly bytes: number
  readonly at: number
}

/** Bounds the flushes that all groups keep for members that have not been written them yet: the oldest go first. */
export class KeptFlushes {
  readonly #clock: Clock
  readonly #maxBytes: number
  /** Only what is from `#first` on: to shift one by one costs the length each time. */
  #kept: Kept[] = []
  #first = 0
  #bytes = 0

  constructor(clock: Clock, maxBytes = MAX_BYTES) {
    this.#clock = clock
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** A group has come to keep one more. */
  add(keeper: Keeper, bytes: number): void {
    this.#kept.push({ keeper, bytes, at: this.#clock.now() })
    this.#bytes += bytes
    this.expire()
  }

  /** Drops what is too old or too much. Once a second is often enough. */
  expire(): void {
    const oldest = this.#clock.now() - MAX_AGE_MS
    for (; this.#first < this.#kept.length; this.#first++) {
      const { keeper, bytes, at } = this.#kept[this.#first]!
      if (this.#bytes <= this.#maxBytes && at >= oldest) break
      this.#bytes -= bytes
      keeper.dropOldest()
    }
    if (this.#first < 1_000 || this.#first < this.#kept.length / 2) return
    this.#kept = this.#kept.slice(this.#first)
    this.#first = 0
  }
}
