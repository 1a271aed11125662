import type { Clock } from '../clock.js'

/** The process answers between two of these, however much there is to write. */
const SLICE_MS = 5

/** A piece of work that can pause. @param until monotonic ms: pause when this has passed @returns whether it is done */
export type Job = (until: number) => boolean

/** Runs the flushes of all rooms, one after another and in slices, so that health checks, joins and the other rooms
 * are served meanwhile. A room that waits its turn gathers comments, so a busy edge makes fewer and larger writes. */
export class Pacer {
  readonly #clock: Clock
  readonly #jobs: Job[] = []
  #scheduled = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Never runs it at once: inside a callback of the HTTP server a write costs four times as much. */
  add(job: Job): void {
    this.#jobs.push(job)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#clock.soon(() => {
      this.#scheduled = false
      this.#run()
    })
  }

  #run(): void {
    const until = this.#clock.now() + SLICE_MS
    const count = this.#jobs.length // what these add has its turn after other events
    let done = 0
    while (done < count && this.#jobs[done]!(until)) {
      done++
      if (this.#clock.now() >= until) break
    }
    this.#jobs.splice(0, done)
    if (this.#jobs.length > 0) this.#schedule()
  }
}
