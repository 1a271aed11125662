import { streamEvent, type StreamEvent } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import { viewersEvent } from '../protocol/sse.js'
import type { Clock } from '../runtime/clock.js'
import type { CatchUp } from './catch-up.js'
import type { Chain } from './chain.js'
import { Flush, type GzipPolicy } from './encoding.js'
import type { EdgeMetrics } from './metrics.js'
import { Pace } from './pace.js'
import type { Job, Pacer } from './pacer.js'
import { LIVE, type Viewer } from './viewer.js'

/** At least every 15 s: found due by a tick, up to a second late, and written by the flush that follows. */
const VIEWERS_AT_LEAST_MS = 14_000
/** At most this often. By itself, with no comment's flush to go with, only after a millisecond for each viewer: where many
 * come and go, telling all of them who came would cost more than the comments. */
const VIEWERS_AT_MOST_MS = 990
const VIEWERS_ALONE_MS = 5_000
/** Viewers written to between two looks at the clock: about a quarter of a millisecond. */
const LOOK_EVERY = 64

/** The room that is written to. */
export interface FlushedRoom {
  readonly chain: Pick<Chain, 'open' | 'last'>
  readonly viewers: ReadonlySet<Viewer>
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
}

/** One flush on its way to the viewers. */
interface Round {
  readonly flush: Flush
  readonly events: readonly StreamEvent[]
  /** Of the events, those that are comments. */
  readonly comments: number
  readonly from: Cursor
  readonly to: Cursor
  /** Those whose turn is still to come. */
  readonly viewers: Iterator<Viewer>
  written: number
}

/** A room's flushes: what has gathered is written to all that are live, in one write each, as often as its pace allows. */
export class Flushes {
  readonly #room: FlushedRoom
  readonly #catchUp: Pick<CatchUp, 'advance'>
  readonly #deps: FlushesDeps
  readonly #pace = new Pace()
  #last: Cursor = 0
  #gathered: StreamEvent[] = []
  /** A flush is due or under way. */
  #busy = false
  #nextAt = 0
  /** The next flush tells how many watch. */
  #countDue = false
  #count = -1
  #countedAt = 0

  constructor(room: FlushedRoom, catchUp: Pick<CatchUp, 'advance'>, deps: FlushesDeps) {
    this.#room = room
    this.#catchUp = catchUp
    this.#deps = deps
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
    this.#schedule()
  }

  add(comment: StreamEvent): void {
    this.#gathered.push(comment)
    this.#schedule()
  }

  /** Once a second: tells how many watch, where that is due. */
  tick(): void {
    const { viewers, total } = this.#room
    const ageMs = this.#deps.clock.now() - this.#countedAt
    const changed = total !== this.#count && ageMs >= VIEWERS_AT_MOST_MS
    if (viewers.size === 0 || (!changed && ageMs < VIEWERS_AT_LEAST_MS)) return
    this.#countDue = true
    if (ageMs >= Math.min(viewers.size, VIEWERS_ALONE_MS)) this.#schedule()
  }

  #schedule(): void {
    if (this.#busy) return
    this.#busy = true
    const { clock, pacer } = this.#deps
    const wait = this.#nextAt - clock.now()
    const enqueue = () => pacer.add(this.#job())
    if (wait <= 0) enqueue()
    else clock.after(wait, enqueue)
  }

  /** Writes what has gathered by its first turn. */
  #job(): Job {
    const { clock } = this.#deps
    let round: Round | undefined
    let costMs = 0
    return until => {
      const start = clock.now()
      round ??= this.#begin()
      if (!round) return true
      const done = this.#write(round, until)
      costMs += clock.now() - start
      if (done) this.#end(costMs)
      return done
    }
  }

  /** L moves on. @returns undefined where there is nothing to write */
  #begin(): Round | undefined {
    const { clock, gzip } = this.#deps
    const { chain, viewers, total } = this.#room
    const events = this.#gathered
    if (!chain.open || (events.length === 0 && !this.#countDue)) {
      this.#busy = false
      return undefined
    }
    const comments = events.length
    const from = this.#last
    const to = chain.last
    this.#gathered = []
    this.#last = to
    if (this.#countDue) {
      this.#countDue = false
      this.#count = total
      this.#countedAt = clock.now()
      events.push(streamEvent(0, viewersEvent(total)))
    }
    const flush = new Flush(events, viewers.size >= gzip.minViewers ? gzip.level : 0)
    return { flush, events, comments, from, to, viewers: viewers.values(), written: 0 }
  }

  /** The hottest loop of an edge. @param until monotonic ms: pause when this has passed @returns whether all had their turn */
  #write(round: Round, until: number): boolean {
    const { clock, metrics } = this.#deps
    const { flush, from, to, viewers } = round
    for (let i = 1; ; i++) {
      const next = viewers.next()
      if (next.done) {
        metrics.delivered(round.comments, round.written, round.events, clock.wall())
        return true
      }
      const viewer = next.value
      if (viewer.state === LIVE) {
        if (viewer.cursor === from) {
          viewer.cursor = to
          viewer.write(flush.encoded(viewer.outlet.encoding))
          round.written++
        } else this.#catchUp.advance(viewer)
      }
      if (i % LOOK_EVERY === 0 && clock.now() >= until) return false
    }
  }

  #end(costMs: number): void {
    this.#busy = false
    const { clock, metrics } = this.#deps
    const now = clock.now()
    const intervalMs = this.#pace.interval(costMs, now)
    this.#nextAt = now + intervalMs - Math.min(costMs, intervalMs)
    metrics.flushed(costMs, intervalMs)
    this.#room.reached()
    if (this.#gathered.length > 0 || this.#countDue) this.#schedule()
  }
}
