import type { Clock } from './clock.js'

/** Seldom: where nothing else is to do, this is what wakes a part. */
const TICK_MS = 250
/** A shorter delay is a busy event loop. */
const PAUSE_MS = 200
/** By this time after a pause, everything that came to the sockets during it has been read. */
const READ_MS = 1_000

/** Notices when this process did not run because it, or its machine, was frozen or swapped out. A request that is read
 * afterwards may have waited in its socket, so the pause comes off the time it has left. */
export class Pauses {
  readonly #clock: Clock
  #tickedAt: number
  #pauseMs = 0
  #pausedUntil = -Infinity
  readonly #onTick: (lateMs: number) => void
  #cancel: () => void

  /** @param onTick hook: called four times a second, with how late that was */
  constructor(clock: Clock, onTick: (lateMs: number) => void = () => {}) {
    this.#clock = clock
    this.#onTick = onTick
    this.#tickedAt = clock.now()
    this.#cancel = clock.tick(TICK_MS, this.#tick)
  }

  /** How long a request that is read now may have waited for this process to run, ms. */
  lostMs(): number {
    this.#look()
    return this.#clock.now() - this.#pausedUntil < READ_MS ? this.#pauseMs : 0
  }

  close(): void {
    this.#cancel()
  }

  #look(): void {
    const now = this.#clock.now()
    const pauseMs = now - this.#tickedAt - TICK_MS
    this.#tickedAt = now
    if (pauseMs < PAUSE_MS) return
    this.#pauseMs = pauseMs
    this.#pausedUntil = now
  }

  readonly #tick = (lateMs: number): void => {
    this.#look()
    this.#onTick(lateMs)
    this.#cancel = this.#clock.tick(TICK_MS, this.#tick)
  }
}
