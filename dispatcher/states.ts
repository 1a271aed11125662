import type { VideoId } from '../protocol/comment.js'
import type { CommentId } from '../protocol/id.js'
import type { Clock } from '../runtime/clock.js'
import type { KnownState, RecentComments } from './recent-comments.js'
import type { RecentVideos } from './recent-videos.js'
import type { Store } from './store/store.js'

export interface StatesDeps {
  readonly recentVideos: RecentVideos
  readonly store: Store
  readonly clock: Clock
  /** Rule 5. */
  readonly isCompared: (recent: RecentComments) => boolean
  /** Called for a deleted comment whose content is still in the store: the dispatcher that deleted it has not erased it yet. */
  readonly unerased: (videoId: VideoId, target: CommentId) => void
}

/** The states of videos, from memory where rule 5 allows it, else from the store. A video that cannot be read is absent. */
export class States {
  readonly #deps: StatesDeps

  constructor(deps: StatesDeps) {
    this.#deps = deps
  }

  /** At once where memory knows all. @throws StoreUnavailableError */
  of(videoIds: Iterable<VideoId>): ReadonlyMap<VideoId, KnownState> | Promise<ReadonlyMap<VideoId, KnownState>> {
    const states = new Map<VideoId, KnownState>()
    const rest: VideoId[] = []
    for (const videoId of new Set(videoIds)) {
      const recent = this.#deps.recentVideos.get(videoId)
      if (recent?.state && this.#deps.isCompared(recent)) states.set(videoId, recent.state)
      else rest.push(videoId)
    }
    return rest.length === 0 ? states : this.#read(rest, states)
  }

  async #read(videoIds: readonly VideoId[], states: Map<VideoId, KnownState>): Promise<ReadonlyMap<VideoId, KnownState>> {
    const { recentVideos, store, clock, unerased } = this.#deps
    const asOf = clock.now()
    for (const [videoId, state] of await store.state(videoIds, clock.wall())) {
      recentVideos.learn(videoId, state, asOf)
      for (const target of state.unerased) unerased(videoId, target)
      states.set(videoId, state)
    }
    return states
  }
}
