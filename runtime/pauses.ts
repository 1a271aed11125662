import type { Clock } from './clock.js'

const TICK_MS = 50
/** Less is the event loop being busy. */
const PAUSE_MS = 200
/** What had come to the sockets during a pause has been read by then. */
const READ_MS = 1_000

/** Notices when this process did not run: frozen, swapped out, or on a machine that was. What is read afterwards may have
 * lain in its socket all along, so that the time it says it has left is less by the pause. */
export class Pauses {
  readonly #clock: Clock
  #tickedAt: number
  #pauseMs = 0
  #pausedUntil = -Infinity
  #cancel: () => void

  constructor(clock: Clock) {
    this.#clock = clock
    this.#tickedAt = clock.now()
    this.#cancel = clock.after(TICK_MS, this.#tick)
  }

  /** How long what is read now may have waited for this process to run, ms. */
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

  readonly #tick = (): void => {
    this.#look()
    this.#cancel = this.#clock.after(TICK_MS, this.#tick)
  }
}
