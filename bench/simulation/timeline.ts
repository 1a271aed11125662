import type { Clock } from '../../runtime/clock.js'
import { EventQueue } from '../../test/support/event-queue.js'

/** Virtual time: events in the order of their time, and of their making where that is the same. */
export class Timeline implements Clock {
  #now = 0
  #unsettled = false
  readonly #events = new EventQueue()

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now
  }

  after(ms: number, task: () => void): () => void {
    return this.#events.add(this.#now + Math.max(0, ms), task)
  }

  tick(ms: number, task: (lateMs: number) => void): () => void {
    return this.after(ms, () => task(0))
  }

  soon(task: () => void): void {
    this.after(0, task)
  }

  /** Runs `task` each `ms` until it returns false. */
  every(ms: number, task: () => unknown): void {
    this.after(ms, () => {
      if (task() !== false) this.every(ms, task)
    })
  }

  /** The current event has resolved promises: whatever awaits them runs before the next event. */
  settle(): void {
    this.#unsettled = true
  }

  /** Lets virtual time pass until `until`, ms. Rejects with what an event threw. */
  async run(until: number): Promise<void> {
    for (let event = this.#events.first; event && event.at <= until; event = this.#events.first) {
      this.#events.shift()
      const { task } = event
      if (!task) continue
      this.#now = event.at
      task()
      if (!this.#unsettled) continue
      this.#unsettled = false
      await new Promise(setImmediate)
    }
    this.#now = until
  }
}
