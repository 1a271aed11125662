import type { VideoId } from '../protocol/comment.js'
import { streamEvent, type StreamEvent } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import { MAX_REPLAY } from '../protocol/limits.js'
import { gapEvent } from '../protocol/sse.js'
import type { ReplayRequest, RoomAnswer } from '../protocol/wire.js'
import type { Clock } from '../runtime/clock.js'
import { isComment, type Entries } from './entries.js'
import { after, type Run } from './replay-buffer.js'
import type { Viewer } from './viewer.js'

const PAUSE_MS = 250

/** What a viewer has to be sent to have all up to `until`, or undefined where the run does not reach back far enough. */
export function missedBy({ cursor, recent }: Pick<Viewer, 'cursor' | 'recent'>, run: Run, until: Cursor): StreamEvent[] | undefined {
  const { base, events } = run
  const end = after(events, until)
  if (cursor === undefined) {
    const start = startOfNewest(events, end, recent)
    if (start === undefined && base > 0 && end < MAX_REPLAY) return undefined
    return events.slice(start ?? Math.max(0, end - MAX_REPLAY), end)
  }
  if (cursor >= until) return []
  if (cursor < base && end < MAX_REPLAY) return undefined
  const start = Math.max(after(events, cursor), end - MAX_REPLAY)
  const missed = events.slice(start, end)
  const reachesTo = start > 0 ? events[start - 1]!.id : base
  return reachesTo > cursor ? [streamEvent(reachesTo, gapEvent(cursor, reachesTo)), ...missed] : missed
}

/** Where the newest comments begin, `recent` of them: acts among them do not count. Undefined where there are fewer. */
function startOfNewest(events: readonly StreamEvent[], end: number, recent: number): number | undefined {
  let comments = 0
  for (let i = end; i > 0; ) if (isComment(events[--i]!) && ++comments === recent) return i
  return recent === 0 ? end : undefined
}

/** Whom history is asked for. */
export interface ReplayingRoom {
  readonly videoId: VideoId
  /** L: the room's last flush. */
  readonly flushed: Cursor
  /** Viewers that are not live: those that replay are among them. */
  readonly waiting: ReadonlySet<Viewer>
  readonly entries: Pick<Entries, 'replay'>
}

export interface ReplaysDeps {
  readonly clock: Clock
  /** @throws when no dispatcher answers */
  readonly replay: (request: ReplayRequest) => Promise<RoomAnswer>
}

/** The questions to history for one room: one at a time, for all of its viewers that wait for it. */
export class Replays {
  readonly #room: ReplayingRoom
  readonly #deps: ReplaysDeps
  readonly #serve: (run: Run) => boolean
  #asking = false
  /** The newest entries of which a newcomer was to have the comments were acts, too: more of them are needed. */
  #isShort = false

  /** @param serve brings viewers up to L with what was read. @returns whether it served any */
  constructor(room: ReplayingRoom, deps: ReplaysDeps, serve: (run: Run) => boolean) {
    this.#room = room
    this.#deps = deps
    this.#serve = serve
  }

  /** Asks for what the viewer furthest back is missing, unless a question is already out. */
  ask(): void {
    if (this.#asking) return
    const request = this.#request()
    if (!request) return
    this.#asking = true
    this.#deps.replay(request).then(
      answer => this.#answered(request, answer),
      () => this.#pause(),
    )
  }

  /** Undefined where nobody waits for history. */
  #request(): ReplayRequest | undefined {
    const { videoId, flushed: until, waiting } = this.#room
    let lowest: Cursor | undefined
    let newest: number | undefined
    for (const { state, cursor, recent } of waiting) {
      if (state.kind !== 'replaying') continue
      if (cursor === undefined) newest = Math.max(newest ?? 0, recent)
      else lowest = Math.min(lowest ?? cursor, cursor)
    }
    if (lowest !== undefined) return { videoId, after: lowest, until, limit: MAX_REPLAY }
    return newest === undefined ? undefined : { videoId, after: 0, until, limit: this.#isShort ? MAX_REPLAY : newest }
  }

  #answered(request: ReplayRequest, { comments, more }: RoomAnswer): void {
    const [first] = comments
    if (comments.at(-1)?.id !== request.until) return this.#pause()
    const events = this.#room.entries.replay(comments)
    const served = this.#serve({ base: more ? first!.id - 1 : request.after, events })
    this.#isShort = more && request.limit < MAX_REPLAY && events.filter(isComment).length < request.limit
    if (!served && !this.#isShort) return this.#pause()
    this.#asking = false
    this.ask()
  }

  /** Nobody answered, what was read ends below L, or it served nobody: asking on at once would not help. */
  #pause(): void {
    this.#deps.clock.after(PAUSE_MS, () => {
      this.#asking = false
      this.ask()
    })
  }
}
