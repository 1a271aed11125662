export interface BackOffOptions {
  /** How many servers there are to try. */
  readonly servers: number
  /** Longest pause, ms. */
  readonly maxMs: number
  /** 0 ≤ x < 1. */
  readonly random: () => number
}

/** Full length of the first pause; each later one is twice as long as the one before. */
const FIRST_MS = 100
/** A connection has lived once an answer came this long after it was opened. A server that refuses us, or breaks at what we
 * send it, grants the session first and hangs up at the first call. */
const LIVED_MS = 3_000

/** How long to wait before the next attempt to connect. Since the last connection that lived, each server is tried once
 * without a pause. Then there is a pause before each round over all servers, twice as long each time, up to `maxMs`: at random
 * between half and all of it, so that parts that lost ZooKeeper together do not come back together. Times are monotonic ms. */
export class BackOff {
  readonly #options: BackOffOptions
  /** Since the last connection that lived. */
  #attempts = 0
  /** When the present connection was opened, or Infinity. */
  #openedAt = Infinity

  constructor(options: BackOffOptions) {
    this.#options = options
  }

  /** The present connection has lived. */
  get settled(): boolean {
    return this.#attempts === 0
  }

  /** Counts an attempt. @returns the pause before it, ms */
  next(): number {
    const { servers, maxMs, random } = this.#options
    const round = Math.floor(this.#attempts / servers)
    const beginsRound = this.#attempts % servers === 0
    this.#attempts++
    this.#openedAt = Infinity
    if (round === 0 || !beginsRound) return 0
    const fullMs = Math.min(maxMs, FIRST_MS * 2 ** (round - 1))
    return fullMs * (0.5 + random() / 2)
  }

  /** A server has granted the session. */
  opened(now: number): void {
    this.#openedAt = now
  }

  /** The server has answered something. */
  heard(now: number): void {
    if (now - this.#openedAt >= LIVED_MS) this.#attempts = 0
  }
}
