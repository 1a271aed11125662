import type { VideoId } from '../protocol/comment.js'
import { streamEvent, type EndReason, type StreamEvent } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import { HEARTBEAT_MS, MAX_REPLAY } from '../protocol/limits.js'
import { commentEvent, gapEvent, HEARTBEAT, readyEvent, viewersEvent } from '../protocol/sse.js'
import type { ReplayRequest, RoomAnswer, SyncRequest, WireComment } from '../protocol/wire.js'
import type { Clock } from '../runtime/clock.js'
import { Chain } from './chain.js'
import { encode, encodeReady, Flush } from './encoding.js'
import type { EdgeMetrics } from './metrics.js'
import { Pace } from './pace.js'
import type { Job, Pacer } from './pacer.js'
import { pieceEnd, Pieces } from './pieces.js'
import { after, ReplayBuffer, type ReplayBudget, type Run } from './replay-buffer.js'
import { missedBy, Replays } from './replay.js'
import type { Viewer } from './viewer.js'

/** At least every 15 s: found due by a tick, up to a second late, and written by the flush that follows. */
const VIEWERS_AT_LEAST_MS = 14_000
/** At most this often. By itself, with no comment's flush to go with, only after a millisecond for each viewer: where many
 * come and go, telling all of them who came would cost more than the comments. */
const VIEWERS_AT_MOST_MS = 990
const VIEWERS_ALONE_MS = 5_000
/** Viewers written to between two looks at the clock: about a quarter of a millisecond. */
const LOOK_EVERY = 64

/** When flushes are compressed: a room of fewer viewers gets stored blocks, which cost nothing to make. */
export interface GzipPolicy {
  /** Of zlib, 1–9. */
  readonly level: number
  readonly minViewers: number
}

export interface RoomDeps {
  readonly clock: Clock
  readonly metrics: EdgeMetrics
  readonly budget: ReplayBudget
  readonly pacer: Pacer
  readonly gzip: GzipPolicy
  /** @throws when no dispatcher answers */
  readonly replay: (request: ReplayRequest) => Promise<RoomAnswer>
  /** The room wants a sync now (rule 7). */
  readonly needsSync: (room: Room) => void
  /** A viewer's socket took its last for now. */
  readonly blocked: (viewer: Viewer) => void
}

/** A video's viewers on this edge: what they have been sent, and what comes next. */
export class Room {
  readonly videoId: VideoId
  readonly chain: Chain
  /** Everyone here, live or waiting. */
  readonly viewers = new Set<Viewer>()
  /** Viewers of the video on other edges, as the last sync told. */
  others = 0
  /** Since when nobody is here, monotonic ms. */
  emptySince: number | undefined
  /** The instance of the dispatcher that owns the video, as this edge sees it. */
  ownerInstance: string | undefined
  /** L of rule 8: all up to it has been written, or is being written, to whoever is live. */
  #flushed: Cursor = 0
  #unflushed: StreamEvent[] = []
  readonly #buffer: ReplayBuffer
  readonly #replays: Replays
  /** Viewers whose cursor is above L (rule 9). */
  readonly #ahead = new Set<Viewer>()
  /** Those of them that were here when the newest sync was asked: its answer judges their cursors. */
  #judged: readonly Viewer[] = []
  /** Viewers that came before the room was open. */
  readonly #early = new Set<Viewer>()
  readonly #pieces: Pieces
  #flushDue = false
  #flushing = false
  readonly #pace = new Pace()
  #nextFlushAt = 0
  #toldViewers = -1
  #toldViewersAt = 0
  #tellViewers = false
  readonly #deps: RoomDeps

  constructor(videoId: VideoId, deps: RoomDeps) {
    this.videoId = videoId
    this.#deps = deps
    this.#pieces = new Pieces(deps.gzip.level)
    this.#buffer = new ReplayBuffer(0, { maxEvents: MAX_REPLAY, maxBytes: 256 * 1024 }, deps.budget)
    this.chain = new Chain(videoId, {
      opened: at => {
        if (this.#buffer.last !== at) this.#buffer.restart(at)
      },
      appended: comment => this.#append(comment),
    })
    this.#replays = new Replays(videoId, deps.clock, deps.replay, {
      until: () => this.#flushed,
      serve: run => this.#replayed(run),
      giveUp: viewer => this.#giveUpReplay(viewer),
    })
  }

  get flushed(): Cursor {
    return this.#flushed
  }

  get total(): number {
    return this.others + this.viewers.size
  }

  join(viewer: Viewer): void {
    if (this.viewers.size === 0) {
      // Whoever held the room before may have missed something while nobody was here: ask first (rule 7).
      if (this.emptySince !== undefined) this.chain.reopen()
      this.emptySince = undefined
    }
    this.viewers.add(viewer)
    if (this.chain.open) this.#admit(viewer)
    else {
      this.#early.add(viewer)
      this.#deps.needsSync(this)
    }
  }

  leave(viewer: Viewer): void {
    viewer.gone = true
    this.viewers.delete(viewer)
    this.#early.delete(viewer)
    this.#ahead.delete(viewer)
    this.#replays.delete(viewer)
    if (this.viewers.size === 0) this.emptySince = this.#deps.clock.now()
  }

  end(viewer: Viewer, reason: EndReason): void {
    this.leave(viewer)
    viewer.outlet.end(reason)
  }

  /** A comment that a dispatcher pushed. */
  deliver(comment: WireComment): void {
    const what = this.chain.deliver(comment)
    if (what === 'known') this.#deps.metrics.duplicates.inc()
    if (what === 'aside') this.#deps.needsSync(this)
  }

  hint(id: Cursor): void {
    this.chain.hint(id)
    if (this.chain.behind) this.#deps.needsSync(this)
  }

  /** The next sync. A room that opens for viewers with cursors asks from the lowest: on a quick reconnect the
   * answer is all that they missed, and nobody needs history. */
  syncRequest(): SyncRequest {
    this.#judged = [...this.#ahead]
    if (this.#buffer.last > 0) return this.chain.request(this.#buffer.last)
    let lowest: Cursor | undefined
    for (const { cursor } of this.#early) if (cursor !== undefined && (lowest === undefined || cursor < lowest)) lowest = cursor
    return this.chain.request(lowest)
  }

  synced(asked: SyncRequest, answer: RoomAnswer): void {
    const { chain } = this
    this.others = answer.others
    const opens = !chain.open
    const appended = chain.answer(asked, answer)
    if (!chain.open) return this.#deps.needsSync(this)
    if (opens) this.#opened()
    else this.#deps.metrics.repaired.inc(appended)
    if (answer.from === 'store' && !answer.more) this.#refuseForeign(answer.head)
  }

  /** The viewer's socket is writable again (rule 10). */
  drained(viewer: Viewer): void {
    viewer.blockedSince = undefined
    if (viewer.live) this.#advance(viewer)
  }

  /** Once a second: tells how many watch, and keeps waiting viewers' lines alive. */
  tick(): void {
    const now = this.#deps.clock.now()
    const ageMs = now - this.#toldViewersAt
    const changed = this.total !== this.#toldViewers && ageMs >= VIEWERS_AT_MOST_MS
    if (this.viewers.size > 0 && (changed || ageMs >= VIEWERS_AT_LEAST_MS)) {
      this.#tellViewers = true
      if (ageMs >= Math.min(this.viewers.size, VIEWERS_ALONE_MS)) this.#scheduleFlush()
    }
    this.#replays.tick()
    this.#pieces.forget()
    for (const waiting of [this.#early, this.#ahead, this.#replays.viewers]) {
      for (const viewer of waiting) {
        if (viewer.blockedSince === undefined && now - viewer.heardAt >= HEARTBEAT_MS) {
          this.#write(viewer, encode(viewer.outlet.encoding, [streamEvent(0, HEARTBEAT)], 0))
        }
      }
    }
  }

  /** Gives the memory back; the room is not used again. */
  drop(): void {
    this.#deps.budget.remove(this.#buffer)
  }

  // --- joining (rules 8 and 9) ---

  #opened(): void {
    // Nobody is live yet: what the opening sync brought is in the buffer, and is everyone's replay.
    this.#unflushed = []
    this.#flushed = this.chain.last
    for (const viewer of this.#early) this.#admit(viewer)
    this.#early.clear()
  }

  #admit(viewer: Viewer): void {
    if (viewer.cursor !== undefined && viewer.cursor > this.#flushed) {
      this.#ahead.add(viewer)
      this.chain.hint(viewer.cursor)
      if (this.chain.behind) this.#deps.needsSync(this)
      return
    }
    if (viewer.cursor === undefined && viewer.recent === 0) viewer.cursor = this.#flushed
    this.#advance(viewer)
  }

  /** The store's head is below the cursor: it is not one of ours, and the viewer joins at L (rule 9). */
  #refuseForeign(head: Cursor): void {
    for (const viewer of this.#judged) {
      // One that the room has reached meanwhile joins at that flush.
      if (viewer.cursor! <= Math.max(head, this.chain.last) || !this.#ahead.delete(viewer)) continue
      viewer.cursor = this.#flushed
      this.#advance(viewer)
    }
  }

  /** Brings a viewer up to L: from the buffer, else from history. */
  #advance(viewer: Viewer): void {
    if (viewer.gone) return
    if (viewer.blockedSince !== undefined) return this.#awaitDrain(viewer)
    const events = missedBy(viewer, this.#buffer, this.#flushed)
    if (events) this.#catchUp(viewer, events)
    else {
      viewer.live = false
      this.#replays.add(viewer)
    }
  }

  /** It catches up when its socket drains. */
  #awaitDrain(viewer: Viewer): void {
    viewer.live = true
    viewer.replayingSince = undefined
  }

  #catchUp(viewer: Viewer, events: readonly StreamEvent[]): void {
    viewer.live = true
    viewer.replayingSince = undefined
    const { encoding } = viewer.outlet
    let rest = events
    for (let end = pieceEnd(rest); end < rest.length; end = pieceEnd(rest)) {
      viewer.cursor = rest[end - 1]!.id
      this.#write(viewer, this.#pieces.encode(encoding, rest.slice(0, end)))
      // What is left, and what has come by then, follows when it drains.
      if (viewer.blockedSince !== undefined || viewer.gone) return
      rest = rest.slice(end)
    }
    viewer.cursor = this.#flushed
    if (viewer.ready && rest.length === 0) return
    const bytes = this.#pieces.encode(encoding, rest)
    if (viewer.ready) return this.#write(viewer, bytes)
    viewer.ready = true
    const ready = encodeReady(encoding, this.#flushed, readyEvent(this.#flushed, this.videoId, this.total))
    this.#write(viewer, rest.length === 0 ? ready : Buffer.concat([bytes, ready]))
  }

  /** History came: it serves all that wait for it, and the buffer keeps it for those who come next. */
  #replayed(run: Run): void {
    const end = run.events.at(-1)?.id ?? run.base
    const joined: Run = { base: run.base, events: [...run.events, ...this.#buffer.events.slice(after(this.#buffer.events, end))] }
    const reaches = this.#buffer.base <= end
    if (reaches) this.#buffer.extendBack(run)
    for (const viewer of [...this.#replays.viewers]) {
      // Where the buffer no longer reaches back to what was read, it is asked again.
      const events = reaches ? missedBy(viewer, joined, this.#flushed) : undefined
      if (!events) continue
      this.#replays.delete(viewer)
      if (viewer.blockedSince === undefined) this.#catchUp(viewer, events)
      else this.#awaitDrain(viewer)
    }
  }

  /** History did not reach L in time: the viewer is told what it missed, and joins at L. */
  #giveUpReplay(viewer: Viewer): void {
    const from = viewer.cursor
    this.#catchUp(viewer, from === undefined || from === this.#flushed ? [] : [streamEvent(this.#flushed, gapEvent(from, this.#flushed))])
  }

  // --- flushing ---

  #append(comment: WireComment): void {
    const event = streamEvent(comment.id, commentEvent(comment.id, comment.json))
    this.#buffer.push(event)
    this.#unflushed.push(event)
    this.#scheduleFlush()
  }

  #scheduleFlush(): void {
    if (this.#flushDue || this.#flushing) return
    this.#flushDue = true
    const { clock, pacer } = this.#deps
    const wait = this.#nextFlushAt - clock.now()
    const enqueue = () => pacer.add(this.#flush())
    if (wait <= 0) enqueue()
    else clock.after(wait, enqueue)
  }

  /** Writes what has gathered by its first turn to whoever is live. */
  #flush(): Job {
    const { clock, metrics } = this.#deps
    let cost = 0
    let step: Job | undefined
    return until => {
      const start = clock.now()
      step ??= this.#begin()
      if (!step) return true
      const done = step(until)
      cost += clock.now() - start
      if (!done) return false
      this.#flushing = false
      const now = clock.now()
      const intervalMs = this.#pace.interval(cost, now)
      this.#nextFlushAt = now + intervalMs - Math.min(cost, intervalMs)
      metrics.flushed(cost, intervalMs)
      for (const viewer of this.#ahead) {
        if (viewer.cursor! > this.#flushed) continue
        this.#ahead.delete(viewer)
        this.#advance(viewer)
      }
      if (this.#unflushed.length > 0 || this.#tellViewers) this.#scheduleFlush()
      return true
    }
  }

  /** L moves on; the job writes the flush. Undefined where there is nothing to write. */
  #begin(): Job | undefined {
    this.#flushDue = false
    const { clock, metrics, gzip } = this.#deps
    const events = this.#unflushed
    if (!this.chain.open || (events.length === 0 && !this.#tellViewers)) return undefined
    this.#flushing = true
    const comments = events.length
    const from = this.#flushed
    const to = this.chain.last
    this.#unflushed = []
    this.#flushed = to
    if (this.#tellViewers) {
      this.#tellViewers = false
      this.#toldViewers = this.total
      this.#toldViewersAt = clock.now()
      events.push(streamEvent(0, viewersEvent(this.total)))
    }
    const flush = new Flush(events, this.viewers.size >= gzip.minViewers ? gzip.level : 0)
    const viewers = this.viewers.values()
    let written = 0
    return until => {
      for (let i = 1; ; i++) {
        const next = viewers.next()
        if (next.done) {
          metrics.delivered(comments, written, events, clock.wall())
          return true
        }
        const viewer = next.value
        if (viewer.live && viewer.blockedSince === undefined) {
          if (viewer.cursor === from) {
            viewer.cursor = to
            this.#write(viewer, flush.bytes(viewer.outlet.encoding))
            written++
          } else this.#advance(viewer)
        }
        if (i % LOOK_EVERY === 0 && clock.now() >= until) return false
      }
    }
  }

  #write(viewer: Viewer, bytes: Uint8Array): void {
    viewer.heardAt = this.#deps.clock.now()
    if (viewer.outlet.write(bytes)) return
    viewer.blockedSince = viewer.heardAt
    this.#deps.blocked(viewer)
  }
}
