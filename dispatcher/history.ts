import type { VideoId } from '../protocol/comment.js'
import { readEntry } from '../protocol/entry.js'
import { MAX_CURSOR, type Cursor } from '../protocol/id.js'
import type { WireComment } from '../protocol/wire.js'
import type { Clock } from '../runtime/clock.js'
import type { Budget } from '../runtime/limits/budget.js'
import type { DispatcherMetrics } from './metrics.js'
import type { RecentComments } from './recent-comments.js'
import type { RecentVideos } from './recent-videos.js'
import { toWire, type Range, type Store } from './store/store.js'

export interface HistoryQuery {
  readonly cursor: Cursor | undefined
  readonly direction: 'before' | 'after'
  readonly pageSize: number
}

/** As the public API answers it. */
export interface HistoryPage {
  readonly comments: readonly Record<string, unknown>[]
  /** A decimal string, null at the end. */
  readonly nextCursor: string | null
}

export interface HistoryDeps {
  readonly recentVideos: RecentVideos
  readonly store: Store
  /** Bounds reads of the store. */
  readonly reads: Budget
  readonly clock: Clock
  readonly metrics: DispatcherMetrics
  /** Whether nothing has been stored above it: an act would change what lies below its head. */
  readonly isCurrent: (recent: RecentComments) => Promise<boolean>
}

/** Rule 5: a page that reaches the newest comment comes from memory only if compared with the store so lately. */
const NEWEST_COMPARED_MS = 1_000
/** Whose turn it is at the store: pages'. */
const PAGES = ['pages']

/** Pages of what was said: `before` newest first, `after` oldest first. They have comments, and tombstones of those that were
 * deleted, and no acts. A page that reaches the newest comment needs a comparison of its own; any other from memory needs what
 * rule 5 asks for, since an act may have changed it. */
export class History {
  readonly #deps: HistoryDeps

  constructor(deps: HistoryDeps) {
    this.#deps = deps
  }

  /** @param wanted whether anyone still waits for it @throws StoreUnavailableError; LiveError RATE_LIMITED */
  async page(videoId: VideoId, query: HistoryQuery, wanted?: () => boolean): Promise<HistoryPage> {
    const { recentVideos, metrics, reads } = this.#deps
    const recent = recentVideos.get(videoId)
    const isHere = recent && this.#fromMemory(recent, query) && (await this.#deps.isCurrent(recent))
    const here = isHere ? this.#fromMemory(recent, query) : undefined
    metrics.historyPages.inc({ from: here ? 'memory' : 'store' })
    const found = here ?? (await reads.run(PAGES, () => this.#fromStore(videoId, query), wanted))
    const comments = found.slice(0, query.pageSize)
    const nextCursor = found.length > query.pageSize ? String(comments.at(-1)!.id) : null
    return { comments: comments.map(toPublicFromWire), nextCursor }
  }

  /** One more than a page where there is more, or undefined where the store must be asked. */
  #fromMemory(recent: RecentComments, { cursor, direction, pageSize }: HistoryQuery): readonly WireComment[] | undefined {
    if (cursor !== undefined && cursor > recent.head) return undefined // rule 4
    if (direction === 'before') {
      if (cursor === undefined && !this.#isCompared(recent)) return undefined
      const older = recent.between(0, cursor === undefined ? recent.head : cursor - 1).filter(isShown)
      return older.length > pageSize || recent.floor === 0 ? older.slice(-pageSize - 1).reverse() : undefined
    }
    if (!recent.reaches(cursor ?? 0)) return undefined
    const newer = recent.between(cursor ?? 0, recent.head).filter(isShown)
    return newer.length > pageSize || this.#isCompared(recent) ? newer.slice(0, pageSize + 1) : undefined
  }

  async #fromStore(videoId: VideoId, { cursor, direction, pageSize }: HistoryQuery): Promise<WireComment[]> {
    const { store, recentVideos, clock } = this.#deps
    const asOf = clock.now()
    const limit = pageSize + 1
    let range: Range =
      direction === 'before'
        ? { after: 0, until: cursor === undefined ? MAX_CURSOR : cursor - 1, newestFirst: true, limit }
        : { after: cursor ?? 0, until: MAX_CURSOR, newestFirst: false, limit }
    let rows = (await store.page(videoId, range)).map(toWire)
    if (direction === 'before' && cursor === undefined) {
      for (const comment of rows.toReversed()) recentVideos.take(comment)
      recentVideos.compared(videoId, rows[0]?.id ?? 0, asOf)
    }
    const shown = rows.filter(isShown)
    // Acts among them have taken places.
    while (shown.length < limit && rows.length === limit) {
      const last = rows.at(-1)!.id
      range = { ...range, ...(range.newestFirst ? { until: last - 1 } : { after: last }) }
      rows = (await store.page(videoId, range)).map(toWire)
      shown.push(...rows.filter(isShown))
    }
    return shown
  }

  #isCompared(recent: RecentComments): boolean {
    return this.#deps.clock.now() - recent.comparedAt <= NEWEST_COMPARED_MS
  }
}

/** Whether it is a comment, deleted or not. */
export function isShown({ videoId, json }: WireComment): boolean {
  const { kind } = readEntry(videoId, json)
  return kind === 'comment' || kind === 'tombstone'
}

/** The public comment of an event's JSON. */
export function toPublicFromWire({ videoId, json }: WireComment): Record<string, unknown> {
  const { id, ...said } = JSON.parse(json) as Record<string, unknown>
  return { id, videoId, ...said }
}
