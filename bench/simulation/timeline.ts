import type { Clock } from '../../runtime/clock.js'

interface Event {
  readonly at: number
  readonly order: number
  /** Undefined once cancelled. */
  task: (() => void) | undefined
}

/** Virtual time: events in the order of their time, and of their making where that is the same. */
export class Timeline implements Clock {
  #now = 0
  #order = 0
  #unsettled = false
  readonly #heap: Event[] = []

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now
  }

  after(ms: number, task: () => void): () => void {
    const event: Event = { at: this.#now + Math.max(0, ms), order: this.#order++, task }
    this.#push(event)
    return () => {
      event.task = undefined
    }
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
    for (let event = this.#heap[0]; event && event.at <= until; event = this.#heap[0]) {
      this.#pop()
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

  #push(event: Event): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(event)
    while (i > 0) {
      const parent = (i - 1) >>> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
