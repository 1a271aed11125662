import type { Random } from '../support/random.js'

interface Event {
  readonly at: number
  readonly order: number
  /** Undefined once cancelled. */
  task: (() => void) | undefined
}

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
  readonly #heap: Event[] = []
  #order = 0

  constructor(random: Random, tell?: (line: string) => void) {
    this.random = random
    this.tell = tell && (line => tell(`${(this.now / 1000).toFixed(4).padStart(8)} ${line}`))
  }

  /** Events that are still to come. */
  get pending(): number {
    return this.#heap.filter(({ task }) => task !== undefined).length
  }

  /** Runs `task` once, `ms` from now; the returned function cancels it. */
  after(ms: number, task: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, ms), order: this.#order++, task }
    this.#push(event)
    return () => {
      event.task = undefined
    }
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
      const event = this.#heap[0]
      if (!event || event.at > until) {
        this.now = until
        return false
      }
      this.#pop()
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

  #push(event: Event): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(event)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(event, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    const { length } = heap
    if (length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= length) break
      if (child + 1 < length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
