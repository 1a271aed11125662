import type { VideoId } from '../protocol/comment.js'
import type { Clock } from '../runtime/clock.js'

/** A video that appears or leaves is announced this soon, with all else that changed by then. */
const SET_MS = 20
const SET_INTERVAL_MS = 50
/** The interval stretches as the list grows: a write of 200 KB costs ZooKeeper 5–30 times one of 10 KB. */
const BYTES_PER_MS = 200
const MAX_INTERVAL_MS = 1_000
const COUNT_INTERVAL_MS = 1_000
/** Counts that move less than this wait until they rest. */
const COUNT_MOVED = 0.05
/** All edges together announce about this often, as every gateway and dispatcher reads every announcement: an edge has its share
 * of them, saves some up while nothing changes, and waits longest where there are 1,000 edges. A sync makes an edge a holder for
 * 5 s, whatever the registry shows (rule 7), so that no comment waits for the wait's end. */
const ALL_PER_SECOND = 250
const SAVED = 3
const MAX_SHARE_MS = 4_000

/** How long an edge waits between two announcements at least, as its share of all. */
export function shareMs(edges: number): number {
  return Math.min(MAX_SHARE_MS, (1000 * edges) / ALL_PER_SECOND)
}

export interface HoldingsDeps {
  readonly clock: Clock
  /** The videos held now, with their viewers (at least one each). */
  readonly read: () => ReadonlyMap<VideoId, number>
  /** Announces them. @returns the size of what was written */
  readonly write: (videos: ReadonlyMap<VideoId, number>) => number
  /** How many edges there are, this one included; 1 by default. */
  readonly edges?: (() => number) | undefined
}

/** Decides when this edge tells the registry what it holds. */
export class HoldingsAnnouncements {
  /** Size of the last one, bytes. */
  bytes = 0
  readonly #deps: HoldingsDeps
  #announced: ReadonlyMap<VideoId, number> = new Map()
  #writtenAt = -Infinity
  /** When all that may be saved up is there, if nothing is written until then. */
  #savedAt = -Infinity
  #dueAt = Infinity
  /** Videos whose counts moved too little to be told at once, and when they last moved; the longest at rest first. */
  readonly #moved = new Map<VideoId, number>()
  #watchingRest = false
  #stopped = false
  #cancel: (() => void) | undefined

  constructor(deps: HoldingsDeps) {
    this.#deps = deps
  }

  changed(videoId: VideoId, viewers: number): void {
    const now = this.#deps.clock.now()
    const told = this.#announced.get(videoId) ?? 0
    this.#moved.delete(videoId)
    if (told > 0 !== viewers > 0) this.#due(Math.max(now + SET_MS, this.#writtenAt + this.#setIntervalMs, this.#shareAt))
    else if (Math.abs(viewers - told) >= Math.max(1, told * COUNT_MOVED)) this.#due(Math.max(now + SET_MS, this.#writtenAt + COUNT_INTERVAL_MS, this.#shareAt))
    else if (viewers !== told) {
      this.#moved.set(videoId, now)
      this.#watchRest()
    }
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  get #setIntervalMs(): number {
    return Math.min(MAX_INTERVAL_MS, SET_INTERVAL_MS + this.bytes / BYTES_PER_MS)
  }

  get #shareMs(): number {
    return shareMs(this.#deps.edges?.() ?? 1)
  }

  /** From when on this edge may announce again. */
  get #shareAt(): number {
    return this.#savedAt - (SAVED - 1) * this.#shareMs
  }

  /** Each count is announced once it has been at rest for a while, however the others move. */
  #watchRest(): void {
    const [since] = this.#moved.values()
    if (since === undefined || this.#watchingRest) return
    this.#watchingRest = true
    const restedAt = since + COUNT_INTERVAL_MS
    this.#deps.clock.after(restedAt - this.#deps.clock.now(), () => {
      this.#watchingRest = false
      if (this.#moved.values().next().value === since) this.#due(Math.max(restedAt, this.#shareAt))
      else this.#watchRest()
    })
  }

  #due(at: number): void {
    if (at >= this.#dueAt) return
    this.#dueAt = at
    this.#cancel?.()
    this.#cancel = this.#deps.clock.after(at - this.#deps.clock.now(), () => this.#write())
  }

  #write(): void {
    this.#cancel?.()
    this.#dueAt = Infinity
    if (this.#stopped) return
    this.#moved.clear()
    this.#writtenAt = this.#deps.clock.now()
    this.#savedAt = Math.max(this.#savedAt, this.#writtenAt) + this.#shareMs
    this.#announced = this.#deps.read()
    this.bytes = this.#deps.write(this.#announced)
  }
}
