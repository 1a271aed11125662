import { streamEvent, type StreamEvent } from '../protocol/frame.js'
import type { VideoId } from '../protocol/comment.js'
import type { CommentId, Cursor } from '../protocol/id.js'
import { viewersEvent } from '../protocol/sse.js'
import type { Clock } from '../runtime/clock.js'
import type { GzipPolicy } from '../runtime/fan-out/encoded.js'
import type { Pacer } from '../runtime/fan-out/pacer.js'
import { Rounds, type Round } from '../runtime/fan-out/rounds.js'
import type { Traces } from '../runtime/traces/traces.js'
import type { CatchUp } from './catch-up.js'
import type { Chain } from './chain.js'
import { Flush } from './encoding.js'
import type { EdgeMetrics } from './metrics.js'
import { LIVE, type Viewer } from './viewer.js'

/** At least every 15 s: found due by a tick, up to a second late, and written by the flush that follows. */
const VIEWERS_AT_LEAST_MS = 14_000
/** At most this often. By itself, with no comment's flush to go with, only after a millisecond for each viewer: where many
 * come and go, telling all of them who came would cost more than the comments. */
const VIEWERS_AT_MOST_MS = 990
const VIEWERS_ALONE_MS = 5_000

/** The room that is written to. */
export interface FlushedRoom {
  readonly videoId: VideoId
  readonly chain: Pick<Chain, 'open' | 'last'>
  readonly viewers: ReadonlySet<Viewer>
  /** How often it has begun anew below where it stood. */
  readonly epoch: number
  /** How many people these are. */
  readonly weight: number
  /** Viewers of the video, here and on other edges. */
  readonly total: number
  /** L has moved, and all that are live have been written to. */
  reached(): void
}

export interface FlushesDeps {
  readonly clock: Clock
  readonly metrics: EdgeMetrics
  readonly pacer: Pacer
  readonly gzip: GzipPolicy
  /** Where comments are traced. */
  readonly traces?: Traces | undefined
}

/** A room's flushes: what has gathered is written to all that are live, in one write each, as often as its pace allows. */
export class Flushes {
  readonly #room: FlushedRoom
  readonly #catchUp: Pick<CatchUp, 'advance'>
  readonly #deps: FlushesDeps
  readonly #rounds: Rounds<Viewer>
  #last: Cursor = 0
  #gathered: StreamEvent[] = []
  /** Those of them that are traced. @see Traces */
  #traced: { readonly id: CommentId; readonly at: number }[] = []
  /** The next flush tells how many watch. */
  #countDue = false
  #count = -1
  #countedAt = 0

  constructor(room: FlushedRoom, catchUp: Pick<CatchUp, 'advance'>, deps: FlushesDeps) {
    this.#room = room
    this.#catchUp = catchUp
    this.#deps = deps
    this.#rounds = new Rounds({
      clock: deps.clock,
      pacer: deps.pacer,
      begin: () => this.#begin(),
      ended: (costMs, intervalMs) => {
        deps.metrics.flushed(costMs, intervalMs)
        room.reached()
      },
      more: () => this.#gathered.length > 0 || this.#countDue,
    })
  }

  /** L of rule 8: all up to it has been written, or is being written, to whoever is live. */
  get last(): Cursor {
    return this.#last
  }

  /** Begins anew at L: nobody is live, and what has gathered is not for those who come. */
  restart(last: Cursor): void {
    this.#gathered = []
    this.#last = last
  }

  /** The same where some are live: the next flush brings them to L. */
  moveTo(last: Cursor): void {
    this.restart(last)
    this.#countDue = true
    this.#rounds.schedule()
  }

  add(comment: StreamEvent): void {
    const { clock, traces } = this.#deps
    if (traces?.samples(comment.id)) this.#traced.push({ id: comment.id, at: clock.now() })
    this.#gathered.push(comment)
    this.#rounds.schedule()
  }

  /** Replaces what has gathered and shows a deleted comment. @param without what takes an event's place; undefined: it stays */
  erase(without: (event: StreamEvent) => StreamEvent | undefined): void {
    this.#gathered = this.#gathered.map(event => without(event) ?? event)
  }

  /** Once a second: tells how many watch, where that is due. */
  tick(): void {
    const { viewers, weight, total } = this.#room
    const ageMs = this.#deps.clock.now() - this.#countedAt
    const changed = total !== this.#count && ageMs >= VIEWERS_AT_MOST_MS
    if (viewers.size === 0 || (!changed && ageMs < VIEWERS_AT_LEAST_MS)) return
    this.#countDue = true
    if (ageMs >= Math.min(weight, VIEWERS_ALONE_MS)) this.#rounds.schedule()
  }

  /** L moves on. @returns undefined where there is nothing to write */
  #begin(): Round<Viewer> | undefined {
    const { clock, gzip, metrics, traces } = this.#deps
    const { videoId, chain, viewers, epoch, weight, total } = this.#room
    const events = this.#gathered
    if (!chain.open || (events.length === 0 && !this.#countDue)) return undefined
    const comments = events.length
    const from = this.#last
    const to = chain.last
    this.#gathered = []
    const traced = this.#traced
    this.#traced = []
    this.#last = to
    if (this.#countDue) {
      this.#countDue = false
      this.#count = total
      this.#countedAt = clock.now()
      events.push(streamEvent(0, viewersEvent(total)))
    }
    const flush = new Flush(events, weight >= gzip.minViewers ? gzip.level : 0)
    let writes = 0
    let people = 0
    return {
      receivers: viewers.values(),
      visit: viewer => {
        if (viewer.state !== LIVE) return
        if (viewer.cursor !== from || viewer.epoch !== epoch) return this.#catchUp.advance(viewer)
        writes++
        people += viewer.weight
        viewer.write(flush.encoded(viewer.outlet.encoding), to)
      },
      done: () => {
        metrics.delivered(comments, writes, people, events, clock.wall())
        for (const { id, at } of traced) traces!.flush({ videoId, id }, at, writes, people)
      },
    }
  }
}
