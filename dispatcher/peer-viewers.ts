import type { VideoId } from '../protocol/comment.js'
import type { Clock } from '../runtime/clock.js'
import { SYNC_HOLDS_MS } from './synced.js'

type Counts = Map<VideoId, Map<string, number>>

/** The viewers that other clusters have of videos at home here, as their syncs say. Kept in two generations, so that what is not said
 * again is forgotten within 10 s. */
export class PeerViewers {
  readonly #clock: Clock
  #young: Counts = new Map()
  #old: Counts = new Map()
  #turnedAt: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#turnedAt = clock.now()
  }

  /** @param peer who says it @param viewers of those of the videos that it has viewers of */
  saw(peer: string, videoIds: Iterable<VideoId>, viewers: ReadonlyMap<VideoId, number>): void {
    this.#turn()
    for (const videoId of videoIds) {
      const counts = this.#young.get(videoId) ?? new Map<string, number>()
      this.#young.set(videoId, counts.set(peer, viewers.get(videoId) ?? 0))
    }
  }

  /** In all clusters that have said it lately, but for one. */
  of(videoId: VideoId, except: string | undefined): number {
    this.#turn()
    let sum = 0
    for (const [peer, viewers] of new Map([...(this.#old.get(videoId) ?? []), ...(this.#young.get(videoId) ?? [])])) if (peer !== except) sum += viewers
    return sum
  }

  #turn(): void {
    const now = this.#clock.now()
    if (now - this.#turnedAt < SYNC_HOLDS_MS) return
    // Where nothing came for so long, all of it is old.
    this.#old = now - this.#turnedAt < 2 * SYNC_HOLDS_MS ? this.#young : new Map<VideoId, Map<string, number>>()
    this.#young = new Map()
    this.#turnedAt = now
  }
}
