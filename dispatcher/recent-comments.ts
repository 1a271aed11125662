import { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import type { Cursor } from '../protocol/id.js'
import type { WireComment } from '../protocol/wire.js'

export const MAX_RECENT_COMMENTS = 1_000
export const MAX_RECENT_BYTES = 256 * 1024

/** A video's newest comments: a run without holes (rule 3). It holds every comment with floor < id ≤ head, and
 * only what the store has committed. Pure; times are the caller's monotonic ms. */
export class RecentComments {
  readonly videoId: VideoId
  /** The id stored just before the oldest comment here; nothing is known of what lies at or below it. */
  floor: Cursor
  head: Cursor
  /** At this time nothing above `head` was stored (rule 5): −∞ when that is not known of any. */
  comparedAt = -Infinity
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

  #clear(floor: Cursor): void {
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
