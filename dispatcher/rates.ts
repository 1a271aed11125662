import type { VideoId } from '../protocol/comment.js'
import type { Clock } from '../runtime/clock.js'

const WINDOW_MS = 10_000
/** The hot videos are among the first that get a comment. */
const MAX_VIDEOS = 10_000

/** How many comments a second this dispatcher stores of each video, for operators: of the last whole window of 10 s. */
export class Rates {
  readonly #clock: Clock
  #since: number
  #now = new Map<VideoId, number>()
  #last: ReadonlyMap<VideoId, number> = new Map()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.now()
  }

  stored(videoId: VideoId): void {
    this.#turn()
    const count = this.#now.get(videoId)
    if (count !== undefined || this.#now.size < MAX_VIDEOS) this.#now.set(videoId, (count ?? 0) + 1)
  }

  /** The `count` videos with most comments a second. */
  top(count: number): { readonly videoId: VideoId; readonly perSecond: number }[] {
    this.#turn()
    const rows = Array.from(this.#last, ([videoId, stored]) => ({ videoId, perSecond: stored / (WINDOW_MS / 1000) }))
    return rows.sort((a, b) => b.perSecond - a.perSecond || (a.videoId < b.videoId ? -1 : 1)).slice(0, count)
  }

  #turn(): void {
    const now = this.#clock.now()
    const age = now - this.#since
    if (age < WINDOW_MS) return
    this.#last = age < 2 * WINDOW_MS ? this.#now : new Map()
    this.#now = new Map()
    this.#since = now - (age % WINDOW_MS)
  }
}
