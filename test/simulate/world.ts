import { EventQueue } from '../support/event-queue.js'
import type { Random } from '../support/random.js'

/** Virtual time: events in the order of their time, and of their making where that is the same. Between two of
 * them every promise that can settle does, so that a run is one sequence and a seed replays exactly. */
export class World {
  /** Virtual ms since the run began. */
  now = 0
  readonly random: Random
  /** Told what happens, where someone wants the story. */
  readonly tell: ((line: string) => void) | undefined
  /** Of all events so far: two runs that were the same have the same. */
  hash = 0x811c9dc5
  events = 0
  /** Turns of the real event loop that the current event's code takes before it is done. */
  extraTurns = 0
  readonly #queue = new EventQueue()

  constructor(random: Random, tell?: (line: string) => void) {
    this.random = random
    this.tell = tell && (line => tell(`${(this.now / 1000).toFixed(4).padStart(8)} ${line}`))
  }

  /** Events that are still to come. */
  get pending(): number {
    return this.#queue.pending
  }

  /** Runs `task` once, `ms` from now; the returned function cancels it. */
  after(ms: number, task: () => void): () => void {
    return this.#queue.add(this.now + Math.max(0, ms), task)
  }

  /** Lets virtual time pass until `until`. Rejects with what an event threw. */
  run(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = () => {
        if (this.extraTurns > 0) {
          this.extraTurns--
          return void setImmediate(step)
        }
        try {
          if (this.#next(until)) setImmediate(step)
          else resolve()
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      }
      setImmediate(step)
    })
  }

  /** Takes something into the trace besides the events' times. */
  mix(value: number): void {
    this.hash = Math.imul(this.hash ^ (value | 0), 0x01000193)
  }

  #next(until: number): boolean {
    for (;;) {
      const event = this.#queue.first
      if (!event || event.at > until) {
        this.now = until
        return false
      }
      this.#queue.shift()
      const { task } = event
      if (!task) continue
      event.task = undefined
      this.now = event.at
      this.events++
      this.mix(event.order)
      this.mix(event.at * 1000)
      task()
      return true
    }
  }
}
