/** The delivery core's only source of time; a simulation replaces it. */
export interface Clock {
  /** Wall clock, Unix ms. It may step: use it for ids and timestamps only. */
  wall(): number
  /** Monotonic ms, for every interval and deadline. */
  now(): number
  /** Runs `task` once, `ms` from now; the returned function cancels it. */
  after(ms: number, task: () => void): () => void
  /** Runs `task` after the events that are pending now. */
  soon(task: () => void): void
}

/** Resolves `ms` from now. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise(resolve => clock.after(ms, resolve))
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
