import { Buffer } from 'node:buffer'
import type { Comment, VideoId } from '../protocol/comment.js'
import { erased, readEntry, stateAfter, type Act, type VideoState } from '../protocol/entry.js'
import type { CommentId, Cursor } from '../protocol/id.js'
import type { WireComment } from '../protocol/wire.js'
import type { StoredState } from './store/store.js'

export const MAX_RECENT_COMMENTS = 1_000
export const MAX_RECENT_BYTES = 256 * 1024

/** What a video's acts have come to, as a dispatcher knows it. */
export interface KnownState extends VideoState {
  /** Until when an author may not post, Unix ms. */
  readonly bans: ReadonlyMap<string, number>
}

/** A video's newest entries, mostly comments: a run without holes (rule 3). It holds every entry with floor < id ≤ head, and
 * only what the store has committed; a comment that was deleted is a tombstone as soon as the act has come. Pure; times are the
 * caller's monotonic ms. */
export class RecentComments {
  readonly videoId: VideoId
  /** The id stored just before the oldest comment here; nothing is known of what lies at or below it. */
  floor: Cursor
  head: Cursor
  /** At this time nothing above `head` was stored (rule 5): −∞ when that is not known of any. */
  comparedAt = -Infinity
  /** What all acts up to `head` have come to; undefined where that is not known. */
  state: KnownState | undefined
  /** The highest id that another dispatcher says is stored, and when we heard of it. */
  #heard: Cursor = 0
  #heardAt = -Infinity
  /** Of the comments' JSON. */
  bytes = 0
  #comments: WireComment[] = []

  /** Empty, at a head known from the store. */
  constructor(videoId: VideoId, head: Cursor) {
    this.videoId = videoId
    this.floor = head
    this.head = head
  }

  get size(): number {
    return this.#comments.length
  }

  /** The highest id above the head that another dispatcher has named; undefined: there is none. */
  get heard(): Cursor | undefined {
    return this.#heard > this.head ? this.#heard : undefined
  }

  get newest(): WireComment | undefined {
    return this.#comments.at(-1)
  }

  /** Rule 3: a comment whose `prev` is the head extends the run; any other above it begins the run anew. */
  take(comment: WireComment): void {
    if (comment.id <= this.head) return
    if (comment.prev !== this.head) this.#clear(comment.prev)
    this.#comments.push(comment)
    this.head = comment.id
    this.bytes += Buffer.byteLength(comment.json)
    const entry = readEntry(this.videoId, comment.json)
    if (entry.kind === 'act') this.#acted(entry.act, entry.pinned)
    while (this.#comments.length > MAX_RECENT_COMMENTS || (this.bytes > MAX_RECENT_BYTES && this.#comments.length > 1)) {
      const oldest = this.#comments.shift()!
      this.bytes -= Buffer.byteLength(oldest.json)
      this.floor = oldest.id
    }
  }

  /** The store was asked at time `at` and its newest id was `head`. A run that fell behind begins anew, empty. A comparison
   * that was asked for before we heard of a higher id, and does not show it, does not count: it is older than that id. */
  compared(head: Cursor, at: number): void {
    if (head > this.head) {
      this.#clear(head)
      this.head = head
    }
    if (head >= this.#heard || at > this.#heardAt) this.comparedAt = Math.max(this.comparedAt, at)
  }

  /** What the store says of the acts up to its head. */
  learn(state: StoredState): void {
    if (this.state || !this.reaches(state.head)) return
    const { settings, pinned, bans } = state
    this.state = { settings, pinned, bans }
    for (const { json } of this.between(state.head, this.head)) {
      const entry = readEntry(this.videoId, json)
      if (entry.kind === 'act') this.state = knownAfter(this.state, entry.act, entry.pinned)
    }
  }

  /** Another dispatcher says at time `at` that this id is stored. Above our head it voids every comparison so far: only the
   * store can tell now. */
  hint(id: Cursor, at: number): void {
    if (id <= this.head) return
    this.#heard = Math.max(this.#heard, id)
    this.#heardAt = at
    this.comparedAt = -Infinity
  }

  /** Whether everything after `cursor` up to the head is here. Of an id above the head nothing is (rule 4). */
  reaches(cursor: Cursor): boolean {
    return cursor >= this.floor && cursor <= this.head
  }

  /** What is here with after < id ≤ until, ascending. */
  between(after: Cursor, until: Cursor): WireComment[] {
    return this.#comments.slice(this.#indexAbove(after), this.#indexAbove(until))
  }

  #acted(act: Act, pinned: Comment | undefined): void {
    if (this.state) this.state = knownAfter(this.state, act, pinned)
    if (act.type === 'deleted') this.#erase(act.target)
  }

  /** Drops the text of a deleted comment, wherever it is shown. */
  #erase(target: CommentId): void {
    for (let i = this.#indexAbove(target - 1); i < this.#comments.length; i++) {
      const comment = this.#comments[i]!
      const json = erased(this.videoId, comment.id, comment.json, target)
      if (json === undefined) continue
      this.bytes += Buffer.byteLength(json) - Buffer.byteLength(comment.json)
      this.#comments[i] = { ...comment, json }
    }
  }

  #clear(floor: Cursor): void {
    this.state = undefined
    this.#comments = []
    this.bytes = 0
    this.floor = floor
  }

  /** Index of the first comment with an id above `cursor`. */
  #indexAbove(cursor: Cursor): number {
    let low = 0
    let high = this.#comments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#comments[middle]!.id > cursor) high = middle
      else low = middle + 1
    }
    return low
  }
}

function knownAfter(state: KnownState, act: Act, pinned: Comment | undefined): KnownState {
  const bans = act.type === 'author-banned' ? new Map(state.bans).set(act.authorId, act.until) : state.bans
  return { ...stateAfter(state, act, pinned), bans }
}
