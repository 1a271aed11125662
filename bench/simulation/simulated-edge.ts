import { Buffer } from 'node:buffer'
import { Pacer } from '../../runtime/fan-out/pacer.js'
import { Rounds } from '../../runtime/fan-out/rounds.js'
import type { Process } from './process.js'

/** Bytes of a comment's event: what a viewer is given says how many comments it has. */
export const EVENT_BYTES = 100

/** A flush on its way to whoever is in the room. */
export interface RoomFlush {
  readonly from: number
  readonly to: number
  readonly events: Buffer
}

export interface Receiver {
  take(flush: RoomFlush): void
}

/** The room of the video at one edge: it gathers, and writes in rounds. */
export class SimulatedEdge {
  readonly process: Process
  #rounds: Rounds<Receiver> | undefined
  #last = 0
  #flushed = 0

  constructor(process: Process) {
    this.process = process
  }

  open(receivers: readonly Receiver[]): void {
    const clock = this.process
    this.#rounds = new Rounds<Receiver>({
      clock,
      pacer: new Pacer(clock),
      begin: () => {
        if (this.#last === this.#flushed) return undefined
        const flush = { from: this.#flushed, to: this.#last, events: Buffer.alloc((this.#last - this.#flushed) * EVENT_BYTES) }
        this.#flushed = this.#last
        return { receivers: receivers.values(), visit: receiver => receiver.take(flush), done: () => {} }
      },
      more: () => this.#last > this.#flushed,
    })
  }

  /** @returns whether these are the next of the chain */
  take(ids: readonly number[]): boolean {
    const isNext = ids.every((id, i) => id === this.#last + i + 1)
    this.#last = ids.at(-1) ?? this.#last
    if (ids.length > 0) this.#rounds?.schedule()
    return isNext
  }
}
