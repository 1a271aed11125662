import type { VideoId } from '../protocol/comment.js'

/** About 10 MB. */
const MAX_ENTRIES = 50_000

/** When authors last posted where slow mode is on, as this dispatcher knows it: some of these posts are not in the store yet, and
 * those that other dispatchers accepted are missing. */
export class LastPosts {
  /** Unix ms, the oldest first. */
  readonly #at = new Map<string, number>()

  /** Unix ms; undefined where nothing is noted. */
  at(videoId: VideoId, authorId: string): number | undefined {
    return this.#at.get(placeOf(videoId, authorId))
  }

  /** @param nowMs Unix ms */
  note(videoId: VideoId, authorId: string, nowMs: number): void {
    const place = placeOf(videoId, authorId)
    this.#at.delete(place)
    this.#at.set(place, nowMs)
    if (this.#at.size > MAX_ENTRIES) this.#at.delete(this.#at.keys().next().value!)
  }

  /** The post made no comment. */
  forget(videoId: VideoId, authorId: string): void {
    this.#at.delete(placeOf(videoId, authorId))
  }
}

function placeOf(videoId: VideoId, authorId: string): string {
  return `${videoId} ${authorId}`
}
