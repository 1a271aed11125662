/** Time as the delivery core sees it: given, never taken, so that a simulation can own it. */
export interface Clock {
  /** Wall clock, Unix ms: for ids and timestamps only; it may step. */
  wall(): number
  /** Monotonic ms since some start: for every interval and deadline. */
  now(): number
  /** Runs `task` once, `ms` from now; the returned function cancels it. */
  after(ms: number, task: () => void): () => void
  /** Runs `task` as soon as other events have had their turn. */
  soon(task: () => void): void
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  now: () => performance.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
  soon(task) {
    setImmediate(task)
  },
}
