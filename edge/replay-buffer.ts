import type { StreamEvent } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'

/** A stretch of a video's comments without a hole: every comment in (base, last]. */
export interface Run {
  readonly base: Cursor
  /** Ascending. */
  readonly events: readonly StreamEvent[]
}

/** Bytes that the replay buffers of all rooms may hold together. */
export class ReplayBudget {
  readonly #maxBytes: number
  #bytes = 0
  /** Least recently extended first. */
  readonly #buffers = new Set<ReplayBuffer>()

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Notes that `buffer` changed its size; the buffers that were longest untouched pay for what is too much. */
  add(buffer: ReplayBuffer, bytes: number): void {
    this.#bytes += bytes
    if (bytes <= 0) return
    this.#buffers.delete(buffer)
    this.#buffers.add(buffer)
    for (const oldest of this.#buffers) {
      if (this.#bytes <= this.#maxBytes) break
      this.#buffers.delete(oldest)
      oldest.clear()
    }
  }

  remove(buffer: ReplayBuffer): void {
    this.#buffers.delete(buffer)
    buffer.clear()
  }
}

/** A room's newest comments, at most `maxEvents` and `maxBytes`, as a run without holes. */
export class ReplayBuffer implements Run {
  base: Cursor
  last: Cursor
  events: StreamEvent[] = []
  #bytes = 0
  readonly #limits: { readonly maxEvents: number; readonly maxBytes: number }
  readonly #budget: ReplayBudget

  constructor(at: Cursor, limits: { maxEvents: number; maxBytes: number }, budget: ReplayBudget) {
    this.base = at
    this.last = at
    this.#limits = limits
    this.#budget = budget
  }

  /** Begins anew after `at`. */
  restart(at: Cursor): void {
    this.clear()
    this.base = at
    this.last = at
  }

  /** Forgets all events; it still knows where the next one goes. */
  clear(): void {
    const bytes = this.#bytes
    this.events = []
    this.#bytes = 0
    this.base = this.last
    if (bytes > 0) this.#budget.add(this, -bytes)
  }

  /** The comment that follows `last`. */
  push(event: StreamEvent): void {
    this.events.push(event)
    this.last = event.id
    this.#grow(event.bytes)
  }

  /** Replaces events that show a deleted comment. @param without what takes an event's place; undefined: it stays */
  erase(without: (event: StreamEvent) => StreamEvent | undefined): void {
    let bytes = 0
    this.events.forEach((event, i) => {
      const instead = without(event)
      if (!instead) return
      this.events[i] = instead
      bytes += instead.bytes - event.bytes
    })
    this.#bytes += bytes
    this.#budget.add(this, bytes)
  }

  /** Lets the buffer reach further back, where `run` ends at or above its base and it has the room. */
  extendBack(run: Run): void {
    const older = run.events.slice(0, after(run.events, this.base))
    const end = run.events.at(-1)?.id ?? run.base
    if (run.base >= this.base || end < this.base) return
    const bytes = older.reduce((sum, event) => sum + event.bytes, 0)
    if (older.length + this.events.length > this.#limits.maxEvents || this.#bytes + bytes > this.#limits.maxBytes) return
    this.events = [...older, ...this.events]
    this.base = run.base
    this.#grow(bytes)
  }

  #grow(bytes: number): void {
    this.#bytes += bytes
    let drop = 0
    let freed = 0
    while (this.events.length - drop > this.#limits.maxEvents || this.#bytes - freed > this.#limits.maxBytes) freed += this.events[drop++]!.bytes
    if (drop > 0) {
      this.base = this.events[drop - 1]!.id
      this.events.splice(0, drop)
      this.#bytes -= freed
    }
    this.#budget.add(this, bytes - freed)
  }
}

/** The index of the first event above `id`. */
export function after(events: readonly StreamEvent[], id: Cursor): number {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (events[middle]!.id > id) high = middle
    else low = middle + 1
  }
  return low
}
