import type { Clock } from '../../runtime/clock.js'

/** A clock that only moves when told to: tasks run in the order of their time, ties in the order they were set. */
export class FakeClock implements Clock {
  #now = 0
  #wall: number
  #sequence = 0
  #tasks: { at: number; sequence: number; task: () => void }[] = []

  constructor(wall = Date.UTC(2026, 0, 1)) {
    this.#wall = wall
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#wall + this.#now
  }

  /** Tasks that are still to run. */
  get pending(): number {
    return this.#tasks.length
  }

  /** Steps the wall clock alone. */
  step(ms: number): void {
    this.#wall += ms
  }

  after(ms: number, task: () => void): () => void {
    const entry = { at: this.#now + Math.max(0, ms), sequence: this.#sequence++, task }
    this.#tasks.push(entry)
    return () => {
      this.#tasks = this.#tasks.filter(each => each !== entry)
    }
  }

  tick(ms: number, task: (lateMs: number) => void): () => void {
    const dueAt = this.#now + ms
    return this.after(ms, () => task(this.#now - dueAt))
  }

  soon(task: () => void): void {
    this.after(0, task)
  }

  /** As if the process had not run for `ms`: what fell due meanwhile runs late, once. */
  freeze(ms: number): Promise<void> {
    this.#now += ms
    return this.advance(0)
  }

  /** Lets `ms` pass: runs what falls due, and lets promises settle between any two tasks. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      this.#tasks.sort((a, b) => a.at - b.at || a.sequence - b.sequence)
      const next = this.#tasks[0]
      if (!next || next.at > end) break
      this.#tasks.shift()
      this.#now = Math.max(this.#now, next.at)
      next.task()
      await settle()
    }
    this.#now = end
  }
}

function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
