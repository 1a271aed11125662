/** How much of a core the flushes of one room take under lasting load, and at first, when all of its allowance is there. */
const LASTING_UTILISATION = 0.5
const FIRST_UTILISATION = 0.9
/** CPU time that a quiet room saves up, ms: a burst of about a second is written at nearly the first rate. */
const ALLOWANCE_MS = 400
/** Comments wait for each other no longer than this. */
const MAX_INTERVAL_MS = 100

/** How long a room lets comments gather. The longer a flush takes, the longer until the next one: fewer and larger writes
 * under load. A room that was quiet may write more often for a while, since what a burst costs soon ends. A token bucket
 * of CPU time: it fills at the lasting rate, each flush takes its cost, and what is in it raises the rate. */
export class Pace {
  #allowanceMs = ALLOWANCE_MS
  #at = -Infinity

  /** After a flush. @param now monotonic ms @returns from its start until the next one may begin, ms */
  interval(costMs: number, now: number): number {
    const filled = this.#allowanceMs + (now - this.#at) * LASTING_UTILISATION
    this.#allowanceMs = Math.max(0, Math.min(ALLOWANCE_MS, filled) - costMs)
    this.#at = now
    const utilisation = LASTING_UTILISATION + (FIRST_UTILISATION - LASTING_UTILISATION) * (this.#allowanceMs / ALLOWANCE_MS)
    return Math.min(MAX_INTERVAL_MS, costMs / utilisation)
  }
}
