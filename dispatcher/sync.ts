import { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import { MAX_CURSOR, type Cursor } from '../protocol/id.js'
import { MAX_REPLAY } from '../protocol/limits.js'
import type { ReplayRequest, RoomAnswer, SyncRequest, WireComment } from '../protocol/wire.js'
import type { Clock } from '../runtime/clock.js'
import type { Budget } from '../runtime/limits/budget.js'
import type { DispatcherMetrics } from './metrics.js'
import type { Owners } from './owners.js'
import type { RecentComments } from './recent-comments.js'
import type { RecentVideos } from './recent-videos.js'
import { StoreUnavailableError, toWire, unlessUnavailable, type Range, type Store } from './store/store.js'

export interface SyncDeps {
  readonly recentVideos: RecentVideos
  readonly owners: Owners
  readonly store: Store
  /** Bounds the replays' reads of the store. Syncs are first, and have no bound: their edges ask for few at a time. */
  readonly reads: Budget
  readonly clock: Clock
  readonly metrics: DispatcherMetrics
  /** Viewers of the video on all edges but this one. */
  readonly viewersElsewhere: (videoId: VideoId, edgeId: string | undefined) => number
}

/** Rule 5: how old a comparison with the store may be. */
export const COMPARED_MS = 30_000
export const COMPARED_UNSETTLED_MS = 1_000

const MAX_ROOM_COMMENTS = 500
const MAX_ROOM_BYTES = 256 * 1024
const MAX_ANSWER_BYTES = 1024 * 1024
/** Pages asked of the store at once for one sync. */
const LANES = 16
/** Whose turn it is at the store: replays'. */
const REPLAYS = ['replays']

/** Answers syncs and replays, from memory where rules 4 and 5 allow it and else from the store. A room that
 * needs the store while it is away has no answer, and its edge asks again. */
export class Sync {
  readonly #deps: SyncDeps

  constructor(deps: SyncDeps) {
    this.#deps = deps
  }

  /** In no certain order, without the states of the videos. A room whose video alone cannot be read has none. @param edgeId who asks
   * @throws StoreUnavailableError when the store is away and no room could be answered from memory */
  async sync(edgeId: string, requests: readonly SyncRequest[]): Promise<RoomAnswer[]> {
    const { recentVideos, store, clock, metrics } = this.#deps
    const allowance = new Allowance()
    const answers: RoomAnswer[] = []
    const answer = (request: SyncRequest, from: RoomAnswer['from'], head: Cursor, found: readonly WireComment[], more = false) => {
      const comments = allowance.cut(found)
      metrics.syncRooms.inc({ from })
      metrics.syncComments.inc(comments.length)
      const others = this.#deps.viewersElsewhere(request.videoId, edgeId)
      answers.push({ videoId: request.videoId, head, others, from, more: more || comments.length < found.length, comments })
    }

    const rest: SyncRequest[] = []
    for (const request of requests) {
      const recent = recentVideos.get(request.videoId)
      if (recent && holds(recent, request) && this.isCompared(recent)) answer(request, 'memory', recent.head, after(recent, request))
      else rest.push(request)
    }
    if (rest.length === 0) return answers

    const readStore = async (request: SyncRequest, head: Cursor | undefined, asOf: number): Promise<void> => {
      const { videoId, last } = request
      if (head === undefined) return // it alone cannot be read
      if (last === undefined || last >= head) {
        recentVideos.compared(videoId, head, asOf)
        return answer(request, 'store', head, [])
      }
      // Behind only by what memory has, and memory is now known to be the store's equal.
      const recent = recentVideos.get(videoId)
      if (recent && holds(recent, request) && recent.head >= head) {
        recentVideos.compared(videoId, head, asOf)
        return answer(request, 'memory', recent.head, after(recent, request))
      }
      if (allowance.full) return answer(request, 'store', head, [], true)
      const rows = (await store.page(videoId, { after: last, until: MAX_CURSOR, newestFirst: false, limit: MAX_ROOM_COMMENTS + 1 })).map(toWire)
      for (const comment of rows) recentVideos.take(comment)
      // Cut or not, `head` was the newest at that time: recent comments that this page did not bring there begin anew.
      recentVideos.compared(videoId, head, asOf)
      answer(request, 'store', Math.max(head, rows.at(-1)?.id ?? 0), rows)
    }

    try {
      const asOf = clock.now()
      const heads = await store.lastIds([...new Set(rest.map(({ videoId }) => videoId))])
      for (let i = 0; i < rest.length; i += LANES) {
        await Promise.all(rest.slice(i, i + LANES).map(request => readStore(request, heads.get(request.videoId), asOf).catch(unlessAlone)))
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || answers.length === 0) throw error
    }
    metrics.syncRooms.inc({ from: 'none' }, requests.length - answers.length)
    return answers
  }

  /** The newest `limit` in (after, until], at most MAX_REPLAY. An `until` above the head is read from the store (rule 4). What lies at
   * or below the head changes only by an act, which has an id above it: a comparison reveals that there was none.
   * @param wanted whether anyone still waits for it @throws StoreUnavailableError; LiveError RATE_LIMITED */
  async replay({ videoId, after, until, limit }: ReplayRequest, wanted?: () => boolean): Promise<RoomAnswer> {
    const { recentVideos, metrics, reads } = this.#deps
    const most = Math.min(limit, MAX_REPLAY)
    const others = this.#deps.viewersElsewhere(videoId, undefined)
    const recent = recentVideos.get(videoId)
    const isHere = () => recent !== undefined && until <= recent.head && (after >= recent.floor || recent.between(after, until).length > most)
    if (recent && isHere() && (await this.isCurrent(recent)) && isHere()) {
      const here = recent.between(after, until)
      metrics.syncRooms.inc({ from: 'memory' })
      return { videoId, head: recent.head, others, from: 'memory', more: here.length > most, comments: here.slice(-most) }
    }
    const { rows, head } = await reads.run(REPLAYS, () => this.#replayFromStore(videoId, { after, until, newestFirst: true, limit: most + 1 }), wanted)
    metrics.syncRooms.inc({ from: 'store' })
    return { videoId, head, others, from: 'store', more: rows.length > most, comments: rows.slice(0, most).reverse() }
  }

  async #replayFromStore(videoId: VideoId, range: Range): Promise<{ rows: WireComment[]; head: Cursor }> {
    const { store } = this.#deps
    const lastId = (await store.lastIds([videoId])).get(videoId)
    if (lastId === undefined) throw new StoreUnavailableError('the video cannot be read', { videoId })
    const rows = (await store.page(videoId, range)).map(toWire)
    return { rows, head: Math.max(lastId, rows[0]?.id ?? 0) }
  }

  /** Whether nothing has been stored above it, as far as rule 5 asks for, by a comparison where there was none lately. While the
   * store is away it counts as current. */
  async isCurrent(recent: RecentComments): Promise<boolean> {
    return this.isCompared(recent) || this.#compare(recent)
  }

  async #compare({ videoId }: RecentComments): Promise<boolean> {
    const { store, clock, recentVideos } = this.#deps
    const asOf = clock.now()
    const heads = await store.lastIds([videoId]).catch(unlessUnavailable)
    if (!heads) return true
    const head = heads.get(videoId)
    if (head === undefined || head > (recentVideos.get(videoId)?.head ?? 0)) return false
    recentVideos.compared(videoId, head, asOf)
    return true
  }

  /** Rule 5. */
  isCompared(recent: RecentComments): boolean {
    const age = this.#deps.clock.now() - recent.comparedAt
    return age <= COMPARED_UNSETTLED_MS || (age <= COMPARED_MS && this.#deps.owners.settled(recent.videoId))
  }
}

/** A room whose video alone cannot be read has no answer, and leaves the others theirs. */
function unlessAlone(error: unknown): void {
  if (!(error instanceof StoreUnavailableError) || error.videoId === undefined) throw error
}

/** Rule 4: no id it names is above the head; and memory reaches back to what it has. */
export function holds(recent: RecentComments, { last, want }: SyncRequest): boolean {
  return (want ?? 0) <= recent.head && (last === undefined || recent.reaches(last))
}

export function after(recent: RecentComments, { last }: SyncRequest): WireComment[] {
  return last === undefined ? [] : recent.between(last, recent.head)
}

/** What still fits into one answer: 500 comments or 256 KB a room, 1 MB in all, and a first comment always
 * where the answer is not full. */
export class Allowance {
  #left = MAX_ANSWER_BYTES

  get full(): boolean {
    return this.#left <= 0
  }

  cut(comments: readonly WireComment[]): WireComment[] {
    let bytes = 0
    let count = 0
    for (const { json } of comments) {
      if (count >= MAX_ROOM_COMMENTS || bytes >= MAX_ROOM_BYTES || bytes >= this.#left) break
      bytes += Buffer.byteLength(json)
      count++
    }
    this.#left -= bytes
    return comments.slice(0, count)
  }
}
