import type { VideoId } from '../protocol/comment.js'
import { instanceKey, type MemberNode } from '../protocol/nodes.js'
import type { Clock } from '../runtime/clock.js'

/** A sync says "I hold these" for this long: edges sync every room every 2 s. */
export const SYNC_HOLDS_MS = 5_000
const MAX_ENTRIES = 200_000

interface Sighting {
  readonly edge: MemberNode
  readonly at: number
}

type Sightings = Map<VideoId, Map<string, Sighting>>

/** The edges that synced a video in the last seconds: they get its comments even if the view does not show them yet
 * (rule 7). Kept in two generations, so that forgetting costs nothing; bounded. */
export class Synced {
  readonly #clock: Clock
  readonly #maxEntries: number
  #young: Sightings = new Map()
  #old: Sightings = new Map()
  #youngEntries = 0
  #turnedAt: number

  constructor(clock: Clock, maxEntries = MAX_ENTRIES) {
    this.#clock = clock
    this.#maxEntries = maxEntries
    this.#turnedAt = clock.now()
  }

  saw(edge: MemberNode, videoIds: Iterable<VideoId>): void {
    const at = this.#clock.now()
    const key = instanceKey(edge)
    for (const videoId of videoIds) {
      if (at - this.#turnedAt >= SYNC_HOLDS_MS || this.#youngEntries >= this.#maxEntries / 2) this.#turn(at)
      const edges = this.#young.get(videoId) ?? new Map<string, Sighting>()
      this.#young.set(videoId, edges)
      if (!edges.has(key)) this.#youngEntries++
      edges.set(key, { edge, at })
    }
  }

  edgesOf(videoId: VideoId): MemberNode[] {
    const since = this.#clock.now() - SYNC_HOLDS_MS
    const edges = new Map<string, MemberNode>()
    for (const generation of [this.#old, this.#young]) {
      for (const [key, { edge, at }] of generation.get(videoId) ?? []) if (at > since) edges.set(key, edge)
    }
    return [...edges.values()]
  }

  #turn(now: number): void {
    this.#old = this.#young
    this.#young = new Map()
    this.#youngEntries = 0
    this.#turnedAt = now
  }
}
