import type { VideoId } from '../protocol/comment.js'
import type { Clock } from '../runtime/clock.js'
import type { Log } from '../runtime/log.js'

const SILENT_MS = 60_000
const MAX_VIDEOS = 1_000

/** Logs which videos the store cannot read or write, each once a minute: people go on trying. */
export class DamageLog {
  readonly #log: Log
  readonly #clock: Clock
  /** Monotonic ms, by video and reason, the oldest first. */
  readonly #saidAt = new Map<string, number>()

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** @param reason a code */
  met(videoId: VideoId, reason: string): void {
    const key = `${videoId} ${reason}`
    const now = this.#clock.now()
    if (now - (this.#saidAt.get(key) ?? -Infinity) < SILENT_MS) return
    this.#saidAt.delete(key)
    this.#saidAt.set(key, now)
    for (const oldest of this.#saidAt.keys()) {
      if (this.#saidAt.size <= MAX_VIDEOS) break
      this.#saidAt.delete(oldest)
    }
    this.#log.error({ videoId, reason, silentMs: SILENT_MS }, 'video_unavailable')
  }
}
