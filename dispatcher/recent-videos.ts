import type { VideoId } from '../protocol/comment.js'
import type { Cursor } from '../protocol/id.js'
import type { Hint, WireComment } from '../protocol/wire.js'
import { RecentComments } from './recent-comments.js'
import type { StoredState } from './store/store.js'

/** About what a video and a comment cost in memory besides the JSON. */
const VIDEO_OVERHEAD_BYTES = 400
const COMMENT_OVERHEAD_BYTES = 120

/** Recent comments of the videos most recently asked for or stored, under one byte budget. A video that is dropped costs
 * a read of the store, never a comment. */
export class RecentVideos {
  /** Least recently used first. */
  readonly #recentVideos = new Map<VideoId, RecentComments>()
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get(videoId: VideoId): RecentComments | undefined {
    const recent = this.#recentVideos.get(videoId)
    if (recent) {
      this.#recentVideos.delete(videoId)
      this.#recentVideos.set(videoId, recent)
    }
    return recent
  }

  /** A stored comment, from wherever. */
  take(comment: WireComment): RecentComments {
    return this.#change(comment.videoId, comment.prev, recent => recent.take(comment))
  }

  /** The store was asked at time `at` and said `head`. */
  compared(videoId: VideoId, head: Cursor, at: number): RecentComments {
    return this.#change(videoId, head, recent => recent.compared(head, at))
  }

  /** The store was asked at time `at` what the video's acts have come to. */
  learn(videoId: VideoId, state: StoredState, at: number): void {
    this.compared(videoId, state.head, at).learn(state)
  }

  /** Another dispatcher says at time `at` that this id is stored. Kept of any video: a comparison may be on its way. */
  hint({ videoId, id }: Hint, at: number): void {
    this.#change(videoId, 0, recent => recent.hint(id, at))
  }

  /** Something may have been stored that is not known here: only the store can tell now. */
  doubt(videoId: VideoId): void {
    const recent = this.#recentVideos.get(videoId)
    if (recent) recent.comparedAt = -Infinity
  }

  /** What is known of it is void: the store has gone back behind it. */
  forget(videoId: VideoId): void {
    const recent = this.#recentVideos.get(videoId)
    if (!recent) return
    this.#bytes -= costOf(recent)
    this.#recentVideos.delete(videoId)
  }

  /** In no order, and not counted as use. */
  all(): Iterable<RecentComments> {
    return this.#recentVideos.values()
  }

  #change(videoId: VideoId, head: Cursor, change: (recent: RecentComments) => void): RecentComments {
    let recent = this.get(videoId)
    if (recent) this.#bytes -= costOf(recent)
    else {
      recent = new RecentComments(videoId, head)
      this.#recentVideos.set(videoId, recent)
    }
    change(recent)
    this.#bytes += costOf(recent)
    for (const oldest of this.#recentVideos.values()) {
      if (this.#bytes <= this.#maxBytes || oldest === recent) break
      this.#recentVideos.delete(oldest.videoId)
      this.#bytes -= costOf(oldest)
    }
    return recent
  }
}

function costOf(recent: RecentComments): number {
  return VIDEO_OVERHEAD_BYTES + recent.bytes + recent.size * COMMENT_OVERHEAD_BYTES
}
