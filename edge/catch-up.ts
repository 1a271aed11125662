import type { VideoId } from '../protocol/comment.js'
import { streamEvent, type StreamEvent } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import { gapEvent, readyEvent } from '../protocol/sse.js'
import type { GzipPolicy } from '../runtime/fan-out/encoded.js'
import { encodeReady, NOTHING } from './encoding.js'
import type { Entries } from './entries.js'
import { pieceEnd, Pieces } from './pieces.js'
import { after, type ReplayBuffer, type Run } from './replay-buffer.js'
import { missedBy, Replays, type ReplaysDeps } from './replay.js'
import { LIVE, type Viewer } from './viewer.js'

/** How long history may fall short before a viewer joins without it. */
const PATIENCE_MS = 10_000

/** The room whose viewers catch up. */
export interface CatchUpRoom {
  readonly videoId: VideoId
  /** L: the room's last flush. */
  readonly flushed: Cursor
  /** Counts how often the room has begun anew below where it stood; `restartedAt` is where. */
  readonly epoch: number
  readonly restartedAt: Cursor
  readonly buffer: ReplayBuffer
  /** Viewers that are not live. */
  readonly waiting: ReadonlySet<Viewer>
  /** Viewers of the video, here and on other edges. */
  readonly total: number
  readonly entries: Pick<Entries, 'replay' | 'state'>
}

export interface CatchUpDeps extends ReplaysDeps {
  readonly gzip: GzipPolicy
  /** What is written at a time of what a viewer missed. */
  readonly pieceBytes: number
}

/** Brings a room's viewers up to L, from the replay buffer or from history (rules 8 and 10). */
export class CatchUp {
  readonly #room: CatchUpRoom
  readonly #clock: CatchUpDeps['clock']
  readonly #pieceBytes: number
  readonly #pieces: Pieces
  readonly #replays: Replays

  constructor(room: CatchUpRoom, deps: CatchUpDeps) {
    this.#room = room
    this.#clock = deps.clock
    this.#pieceBytes = deps.pieceBytes
    this.#pieces = new Pieces(deps.gzip.level)
    this.#replays = new Replays(room, deps, run => this.#serve(run))
  }

  /** Makes the viewer live, or lets it wait for history first. */
  advance(viewer: Viewer): void {
    if (viewer.blocked || !this.#back(viewer)) return viewer.goLive()
    const missed = missedBy(viewer, this.#room.buffer, this.#room.flushed)
    if (missed) return this.#send(viewer, missed)
    viewer.waitForHistory()
    this.#replays.ask()
  }

  /** Once a second: heartbeats for those that wait; those that waited too long for history join without it. */
  tick(): void {
    const now = this.#clock.now()
    for (const viewer of this.#room.waiting) {
      const { state } = viewer
      if (state.kind === 'replaying' && state.blockedSince === undefined && now - state.since >= PATIENCE_MS) this.#giveUp(viewer)
      else viewer.heartbeat(now)
    }
    this.#pieces.forget()
  }

  /** A comment was deleted: what it was encoded in is not sent again. */
  erase(): void {
    this.#pieces.forget()
  }

  /** Sends what the viewer missed up to L, and `ready` where it has not had it. */
  #send(viewer: Viewer, missed: readonly StreamEvent[]): void {
    viewer.goLive()
    const { videoId, flushed, total, entries } = this.#room
    const { encoding } = viewer.outlet
    let rest = missed
    for (let end = pieceEnd(rest, this.#pieceBytes); end < rest.length; end = pieceEnd(rest, this.#pieceBytes)) {
      viewer.write(this.#pieces.encode(encoding, rest.slice(0, end)), rest[end - 1]!.id)
      // What is left, and what has come by then, follows when the socket drains.
      if (viewer.state !== LIVE) return
      rest = rest.slice(end)
    }
    const last = rest.length === 0 ? NOTHING : this.#pieces.encode(encoding, rest)
    if (!viewer.ready) {
      viewer.ready = true
      viewer.write(last, flushed, encodeReady(encoding, flushed, readyEvent(flushed, videoId, total, entries.state)))
    } else if (rest.length > 0) viewer.write(last, flushed)
    else viewer.cursor = flushed
  }

  /** History came: it serves all that wait for it, and the buffer keeps it for those who come next. */
  #serve(run: Run): boolean {
    const { buffer, flushed, waiting } = this.#room
    const end = run.events.at(-1)?.id ?? run.base
    // The buffer no longer reaches back to what was read, and comments between them are missing: ask again.
    if (buffer.base > end) return false
    const joined: Run = { base: run.base, events: [...run.events, ...buffer.events.slice(after(buffer.events, end))] }
    buffer.extendBack(run)
    let served = false
    for (const viewer of waiting) {
      if (viewer.state.kind !== 'replaying') continue
      if (viewer.blocked || !this.#back(viewer)) {
        // It catches up once it takes bytes again.
        if (!missedBy(viewer, joined, flushed)) continue
        served = true
        viewer.goLive()
        continue
      }
      const missed = missedBy(viewer, joined, flushed)
      if (!missed) continue
      this.#send(viewer, missed)
      served = true
    }
    return served
  }

  /** Nobody answered in time, the answers fell short of L, or the room ran ahead of them: a gap names what the
   * viewer missed, and it joins at L. */
  #giveUp(viewer: Viewer): void {
    if (!this.#back(viewer)) return viewer.goLive()
    const { flushed } = this.#room
    const { cursor } = viewer
    this.#send(viewer, cursor === undefined || cursor >= flushed ? [] : [streamEvent(flushed, gapEvent(cursor, flushed))])
  }

  /** Brings a viewer from before the room began anew to where it did, with a gap that says so.
   * @returns false if its socket took the last it can for now */
  #back(viewer: Viewer): boolean {
    const { epoch, restartedAt } = this.#room
    const { cursor } = viewer
    if (viewer.epoch === epoch) return true
    viewer.epoch = epoch
    if (cursor === undefined || cursor <= restartedAt) return true
    viewer.write(this.#pieces.encode(viewer.outlet.encoding, [streamEvent(restartedAt, gapEvent(cursor, restartedAt))]), restartedAt)
    return !viewer.blocked
  }
}
