import type { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import type { CommentId } from '../protocol/id.js'
import type { Clock } from '../runtime/clock.js'
import type { Traces } from '../runtime/traces/traces.js'

const ID = /^id: ([0-9]{1,16})$/gm

interface Arrived {
  /** Of the flush that it came in. */
  readonly number: number
  readonly id: CommentId
  /** Monotonic ms. */
  readonly at: number
}

/** The traced comments of a group, from their flush to the end of the round that writes them to its members. */
export class FanOutTrace {
  readonly #traces: Traces
  readonly #clock: Clock
  readonly #videoId: VideoId
  readonly #edgeId: string
  #arrived: Arrived[] = []

  constructor(traces: Traces, clock: Clock, videoId: VideoId, edgeId: string) {
    this.#traces = traces
    this.#clock = clock
    this.#videoId = videoId
    this.#edgeId = edgeId
  }

  /** @param events whole ones, as text */
  flush(number: number, events: Buffer): void {
    const at = this.#clock.now()
    for (const [, id] of events.toString('latin1').matchAll(ID)) if (this.#traces.samples(Number(id))) this.#arrived.push({ number, id: Number(id), at })
  }

  /** All flushes before this one have been written. */
  written(before: number, viewers: number): void {
    for (const { number, id, at } of this.#arrived) if (number < before) this.#traces.fanOut({ videoId: this.#videoId, id }, this.#edgeId, at, viewers)
    this.#arrived = this.#arrived.filter(({ number }) => number >= before)
  }
}
