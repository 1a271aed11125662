/** The delivery core's only source of time; a simulation replaces it. */
export interface Clock {
  /** Wall clock, Unix ms. It may step: use it for ids and timestamps only. */
  wall(): number
  /** Monotonic ms, for every interval and deadline. */
  now(): number
  /** Runs `task` once, `ms` from now; the returned function cancels it. */
  after(ms: number, task: () => void): () => void
  /** Runs `task` once, for work that comes again and again: in `ms`, give or take half of it, together with other ticks, so that
   * all of them wake an idle processor once. @param task is given how late it runs, ms; the returned function cancels it */
  tick(ms: number, task: (lateMs: number) => void): () => void
  /** Runs `task` after the events that are pending now. */
  soon(task: () => void): void
}

/** Resolves `ms` from now. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise(resolve => clock.after(ms, resolve))
}

/** Ticks by the moment at which they are due. */
const moments = new Map<number, Moment>()

/** The ticks that share a timer. */
class Moment {
  readonly #dueAt: number
  readonly #tasks = new Set<{ readonly task: (lateMs: number) => void }>()
  readonly #timer: NodeJS.Timeout

  constructor(dueAt: number) {
    this.#dueAt = dueAt
    this.#timer = setTimeout(() => this.#run(), dueAt - performance.now())
    moments.set(dueAt, this)
  }

  add(task: (lateMs: number) => void): () => void {
    const tick = { task }
    this.#tasks.add(tick)
    return () => {
      if (!this.#tasks.delete(tick) || this.#tasks.size > 0) return
      clearTimeout(this.#timer)
      moments.delete(this.#dueAt)
    }
  }

  #run(): void {
    moments.delete(this.#dueAt)
    for (const tick of this.#tasks) {
      this.#tasks.delete(tick)
      tick.task(performance.now() - this.#dueAt)
    }
  }
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  now: () => performance.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
  tick(ms, task) {
    // To the nearest multiple, not the next: a timer that is a moment early must not run its tick twice.
    const dueAt = (Math.round(performance.now() / ms) + 1) * ms
    return (moments.get(dueAt) ?? new Moment(dueAt)).add(task)
  },
  soon(task) {
    setImmediate(task)
  },
}
