/** Something that is to happen in virtual time. */
export interface QueuedEvent {
  readonly at: number
  /** Its number among all that were ever added. */
  readonly order: number
  /** Undefined once cancelled. */
  task: (() => void) | undefined
}

/** Events in the order of their time, and of their making where that is the same. */
export class EventQueue {
  readonly #heap: QueuedEvent[] = []
  #order = 0

  /** Events that are still to come. */
  get pending(): number {
    return this.#heap.filter(({ task }) => task !== undefined).length
  }

  /** The next one, which may have been cancelled. */
  get first(): QueuedEvent | undefined {
    return this.#heap[0]
  }

  /** @returns cancels it */
  add(at: number, task: () => void): () => void {
    const event: QueuedEvent = { at, order: this.#order++, task }
    this.#push(event)
    return () => {
      event.task = undefined
    }
  }

  /** Takes the first one out. */
  shift(): void {
    const heap = this.#heap
    const last = heap.pop()!
    const { length } = heap
    if (length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }

  #push(event: QueuedEvent): void {
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
}

function isBefore(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
