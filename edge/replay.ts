import type { VideoId } from '../protocol/comment.js'
import { streamEvent, type StreamEvent } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import { MAX_REPLAY } from '../protocol/limits.js'
import { commentEvent, gapEvent } from '../protocol/sse.js'
import type { ReplayRequest, RoomAnswer } from '../protocol/wire.js'
import type { Clock } from '../runtime/clock.js'
import { after, type Run } from './replay-buffer.js'
import type { Viewer } from './viewer.js'

/** How long history may fall short before a viewer joins without it. */
const PATIENCE_MS = 10_000
const PAUSE_MS = 250

/** What a viewer has to be sent to hold all up to `until`, or undefined where the run does not reach back far enough. */
export function missedBy(viewer: Viewer, run: Run, until: Cursor): StreamEvent[] | undefined {
  const { base, events } = run
  const end = after(events, until)
  const { cursor } = viewer
  if (cursor === undefined) {
    if (end < viewer.recent && base > 0) return undefined
    return events.slice(Math.max(0, end - viewer.recent), end)
  }
  if (cursor >= until) return []
  if (cursor < base && end < MAX_REPLAY) return undefined
  const start = Math.max(after(events, cursor), end - MAX_REPLAY)
  const missed = events.slice(start, end)
  const reachesTo = start > 0 ? events[start - 1]!.id : base
  return reachesTo > cursor ? [streamEvent(reachesTo, gapEvent(cursor, reachesTo)), ...missed] : missed
}

export interface ReplayingRoom {
  /** L: the room's last flush. */
  readonly until: () => Cursor
  readonly serve: (run: Run) => void
  readonly giveUp: (viewer: Viewer) => void
}

/** Viewers of one room that wait for history: one question at a time serves all of them. */
export class Replays {
  readonly viewers = new Set<Viewer>()
  readonly #videoId: VideoId
  readonly #clock: Clock
  readonly #read: (request: ReplayRequest) => Promise<RoomAnswer>
  readonly #room: ReplayingRoom
  #asking = false

  constructor(videoId: VideoId, clock: Clock, read: (request: ReplayRequest) => Promise<RoomAnswer>, room: ReplayingRoom) {
    this.#videoId = videoId
    this.#clock = clock
    this.#read = read
    this.#room = room
  }

  add(viewer: Viewer): void {
    viewer.replayingSince ??= this.#clock.now()
    this.viewers.add(viewer)
    this.#ask()
  }

  delete(viewer: Viewer): void {
    this.viewers.delete(viewer)
  }

  /** Once a second: whoever has waited too long joins without history, whether nobody answered, the answers fell
   * short of L, or the room ran ahead of them. */
  tick(): void {
    const now = this.#clock.now()
    for (const viewer of this.viewers) {
      if (viewer.blockedSince !== undefined || now - viewer.replayingSince! < PATIENCE_MS) continue
      this.viewers.delete(viewer)
      this.#room.giveUp(viewer)
    }
  }

  /** Asks for what the one furthest back is missing, unless a question is already out. */
  #ask(): void {
    if (this.#asking || this.viewers.size === 0) return
    this.#asking = true
    const request = this.#request(this.#room.until())
    this.#read(request).then(
      answer => this.#answered(request, answer),
      () => this.#pause(),
    )
  }

  #request(until: Cursor): ReplayRequest {
    let lowest: Cursor | undefined
    let recent = 0
    for (const { cursor, recent: wanted } of this.viewers) {
      if (cursor === undefined) recent = Math.max(recent, wanted)
      else if (lowest === undefined || cursor < lowest) lowest = cursor
    }
    const videoId = this.#videoId
    return lowest === undefined ? { videoId, after: 0, until, limit: recent } : { videoId, after: lowest, until, limit: MAX_REPLAY }
  }

  #answered(request: ReplayRequest, { comments, more }: RoomAnswer): void {
    const first = comments[0]
    if (comments.at(-1)?.id !== request.until) return this.#pause()
    const waiting = this.viewers.size
    this.#room.serve({
      base: more ? first!.id - 1 : request.after,
      events: comments.map(({ id, json }) => streamEvent(id, commentEvent(id, json))),
    })
    if (this.viewers.size === waiting) return this.#pause()
    this.#asking = false
    this.#ask()
  }

  /** Nobody answered, what was read ends below L, or it served nobody: asking on at once would not help. */
  #pause(): void {
    this.#clock.after(PAUSE_MS, () => {
      this.#asking = false
      this.#ask()
    })
  }
}
