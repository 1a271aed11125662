import type { VideoId } from '../protocol/comment.js'
import type { Cursor } from '../protocol/id.js'
import { MAX_REPLAY } from '../protocol/limits.js'
import type { RoomAnswer, SyncRequest, WireComment } from '../protocol/wire.js'
import { CatchUp, type CatchUpDeps } from './catch-up.js'
import { Chain } from './chain.js'
import { Entries } from './entries.js'
import { Flushes, type FlushesDeps } from './flushes.js'
import { ReplayBuffer, type ReplayBudget } from './replay-buffer.js'
import { LIVE, Viewer, type Outlet, type Start, type ViewerHost } from './viewer.js'

const BUFFER_BYTES = 256 * 1024

export interface RoomDeps extends CatchUpDeps, FlushesDeps {
  readonly budget: ReplayBudget
  /** Viewers of all rooms whose sockets take nothing. */
  readonly blocked: Set<Viewer>
  /** The store no longer has what the room had from its new place on. */
  readonly restarted: (videoId: VideoId, from: Cursor, to: Cursor) => void
  /** The room wants a sync now (rule 7). */
  readonly needsSync: (room: Room) => void
}

/** A video's viewers on this edge, and its comments in order: who is here, and when each may join (rules 7 and 9). */
export class Room {
  readonly videoId: VideoId
  readonly chain: Chain
  readonly buffer: ReplayBuffer
  readonly entries: Entries
  /** Everyone here, live or waiting. */
  readonly viewers = new Set<Viewer>()
  /** Those of them that are not live. */
  readonly waiting = new Set<Viewer>()
  /** How many people these viewers are. */
  weight = 0
  /** How often the room has begun anew below where it stood, and where it did so last. */
  epoch = 0
  restartedAt: Cursor = 0
  /** Viewers of the video on other edges, as of the last sync. */
  others = 0
  /** Since when nobody is here, monotonic ms. */
  emptySince: number | undefined
  /** The instance of the dispatcher that owns the video, as this edge sees it. */
  ownerInstance: string | undefined
  /** The newest sync. */
  #asked: SyncRequest | undefined
  readonly #deps: RoomDeps
  readonly #host: ViewerHost
  readonly #catchUp: CatchUp
  readonly #flushes: Flushes

  constructor(videoId: VideoId, deps: RoomDeps) {
    this.videoId = videoId
    this.#deps = deps
    this.#host = { videoId, clock: deps.clock, waiting: this.waiting, blocked: deps.blocked }
    this.buffer = new ReplayBuffer(0, { maxEvents: MAX_REPLAY, maxBytes: BUFFER_BYTES }, deps.budget)
    this.chain = new Chain(videoId, {
      opened: at => {
        if (this.buffer.last !== at) this.buffer.restart(at)
      },
      appended: comment => this.#append(comment),
      restarted: (from, to) => {
        this.epoch++
        this.restartedAt = to
        this.buffer.restart(to)
        this.#flushes.moveTo(to)
        deps.restarted(videoId, from, to)
      },
    })
    this.entries = new Entries(videoId, (target, without) => {
      this.chain.erase(target)
      this.buffer.erase(without)
      this.#flushes.erase(without)
      this.#catchUp.erase()
    })
    this.#catchUp = new CatchUp(this, deps)
    this.#flushes = new Flushes(this, this.#catchUp, deps)
  }

  /** L of rule 8. */
  get flushed(): Cursor {
    return this.#flushes.last
  }

  /** Viewers of the video, here and on other edges. */
  get total(): number {
    return this.others + this.weight
  }

  join(start: Start, outlet: Outlet): Viewer {
    if (this.emptySince !== undefined) {
      // Comments may have passed by while nobody was here: ask first (rule 7).
      this.chain.reopen()
      this.emptySince = undefined
    }
    const viewer = new Viewer(this.#host, start, outlet, this.epoch)
    this.viewers.add(viewer)
    this.weight += viewer.weight
    if (this.chain.open) this.#admit(viewer)
    else this.#deps.needsSync(this)
    return viewer
  }

  /** A viewer for those who have all up to the last flush. */
  follow(outlet: Outlet): Viewer {
    const viewer = Viewer.following(this.#host, outlet, this.flushed, this.epoch)
    this.viewers.add(viewer)
    this.weight += viewer.weight
    return viewer
  }

  weigh(viewer: Viewer, weight: number): void {
    this.weight += weight - viewer.weight
    viewer.weight = weight
  }

  leave(viewer: Viewer): void {
    viewer.leave()
    this.viewers.delete(viewer)
    this.weight -= viewer.weight
    if (this.viewers.size === 0) this.emptySince = this.#deps.clock.now()
  }

  /** A comment that a dispatcher pushed. */
  deliver(comment: WireComment): void {
    const what = this.chain.deliver(comment)
    if (what === 'known') this.#deps.metrics.duplicates.inc()
    if (what === 'aside') this.#deps.needsSync(this)
  }

  /** The video has a comment with this id. */
  hint(id: Cursor): void {
    this.chain.hint(id)
    if (this.chain.behind) this.#deps.needsSync(this)
  }

  /** The question of the next sync. A room that opens for viewers with cursors asks from the lowest: on a quick
   * reconnect the answer is all that they missed, and nobody needs history. */
  syncRequest(): SyncRequest {
    this.#asked = this.chain.request(this.chain.last > 0 ? this.chain.last : this.#lowestOpening())
    return this.#asked
  }

  synced(asked: SyncRequest, answer: RoomAnswer): void {
    const { chain } = this
    this.others = answer.others
    const opens = !chain.open
    // One that knows less than we do does not know the newest acts either.
    const tell = (): void => {
      if (answer.state && answer.head >= chain.last) this.entries.told(answer.state)
    }
    // First, for acts above it that wait aside; and then, since acts below it have come again.
    tell()
    const appended = chain.answer(asked, answer)
    tell()
    if (!chain.open) return this.#deps.needsSync(this)
    if (opens) this.#opened()
    else this.#deps.metrics.repaired.inc(appended)
    if (answer.from === 'store' && !answer.more) this.#refuseForeign(asked, answer.head)
  }

  /** The viewer's socket takes bytes again (rule 10). */
  drained(viewer: Viewer): void {
    viewer.drained()
    if (viewer.state === LIVE) this.#catchUp.advance(viewer)
  }

  /** Once a second. */
  tick(): void {
    this.#flushes.tick()
    this.#catchUp.tick()
  }

  /** Gives the memory back; the room is not used again. */
  drop(): void {
    this.#deps.budget.remove(this.buffer)
  }

  /** After a flush: viewers whose cursor it reached join (rule 9). */
  reached(): void {
    for (const viewer of this.waiting) {
      if (viewer.state.kind === 'ahead' && viewer.cursor! <= this.flushed) this.#catchUp.advance(viewer)
    }
  }

  #append(comment: WireComment): void {
    const event = this.entries.take(comment)
    this.buffer.push(event)
    this.#flushes.add(event)
  }

  #opened(): void {
    // Nobody is live yet: what the opening sync brought is in the buffer, and is everyone's replay.
    this.#flushes.restart(this.chain.last)
    for (const viewer of this.waiting) this.#admit(viewer)
  }

  #admit(viewer: Viewer): void {
    const { cursor } = viewer
    if (cursor !== undefined && cursor > this.flushed) {
      viewer.waitForFlush(this.#asked)
      this.hint(cursor)
      return
    }
    if (cursor === undefined && viewer.recent === 0) viewer.cursor = this.flushed
    this.#catchUp.advance(viewer)
  }

  /** The store's head is below the cursor: it is not one of ours, and the viewer joins at L (rule 9). */
  #refuseForeign(asked: SyncRequest, head: Cursor): void {
    for (const viewer of this.waiting) {
      const { state, cursor } = viewer
      if (state.kind !== 'ahead' || state.asked === asked) continue
      // One that the room has reached meanwhile joins at that flush.
      if (cursor! <= Math.max(head, this.chain.last)) continue
      viewer.cursor = this.flushed
      viewer.epoch = this.epoch
      this.#catchUp.advance(viewer)
    }
  }

  #lowestOpening(): Cursor | undefined {
    let lowest: Cursor | undefined
    for (const { state, cursor } of this.waiting) {
      if (state.kind === 'opening' && cursor !== undefined) lowest = Math.min(lowest ?? cursor, cursor)
    }
    return lowest
  }
}
