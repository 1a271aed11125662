import type { Comment, VideoId } from '../../../protocol/comment.js'
import { MAX_CURSOR, type CommentId, type Cursor } from '../../../protocol/id.js'
import { inParallel } from '../../../runtime/in-parallel.js'
import { blank, type Found, type Place, type Range, type Stored, type StoredState } from '../store.js'
import { bucketOf, newestId } from './bucket.js'
import { CallError } from './call-error.js'
import { actsIn, readBucket, type ChainDeps } from './chain.js'
import type { Limits } from './limits.js'
import { storedOf } from './statements.js'
import { NO_ACTS, type VideoActs } from './video-state.js'

/** Videos whose last bucket is remembered: most have but one. */
const MAX_REMEMBERED = 100_000
/** The newest entries of a video, among which an author's last comment is looked for. */
const LAST_POSTS = 1_000
/** Entries, and partitions, that one call looks at in search of an author's comments. */
const SEARCHED_ENTRIES = 1_000
const SEARCHED_PARTITIONS = 32
/** Below the token of every partition. */
const FIRST_PLACE = '-9223372036854775808'

export interface ReaderDeps extends ChainDeps {
  readonly limits: Limits
}

/** Reads by a majority of the replicas, which every acknowledged write has reached. */
export class Reader {
  readonly #deps: ReaderDeps
  /** The last bucket that was seen. */
  readonly #lastBuckets = new Map<VideoId, Cursor>()

  constructor(deps: ReaderDeps) {
    this.#deps = deps
  }

  /** From bucket to bucket: each but the last is sealed, so what follows was not there when it was read, or is in the next.
   * @throws CallError */
  async page(videoId: VideoId, { after, until, newestFirst, limit }: Range): Promise<Stored[]> {
    const { cql, statements, limits } = this.#deps
    const deadline = performance.now() + limits.pageMs
    const left = () => Math.max(1, deadline - performance.now())
    const all = await this.#buckets(videoId, left())
    const buckets = bucketsBetween(all, after, until)
    const page: Stored[] = []
    for (const bucket of newestFirst ? buckets : buckets.toReversed()) {
      const found = await cql.read(statements.page(videoId, bucket, after, until, newestFirst, limit - page.length), left())
      page.push(...found.map(row => storedOf(videoId, row)))
      if (page.length >= limit) break
    }
    // What is deleted in the last bucket is gone with the act itself. Afterwards: an act that came meanwhile counts.
    const { unerased } = buckets.some(bucket => bucket !== all[0]) ? await actsIn(this.#deps, videoId, all, left()) : NO_ACTS
    return Promise.all(page.map(stored => this.#shown(masked(stored, unerased), left())))
  }

  /** The entry of that id, a deleted comment as a tombstone. @throws CallError */
  async entry(videoId: VideoId, id: CommentId): Promise<Stored | undefined> {
    const [stored] = await this.page(videoId, { after: id - 1, until: id, newestFirst: false, limit: 1 })
    return stored
  }

  /** What the acts of each video have come to; one that could not be read in time is absent. @throws CallError where none could */
  state(videoIds: readonly VideoId[], nowMs: number): Promise<Map<VideoId, StoredState>> {
    return this.#each(videoIds, (videoId, timeoutMs) => this.#state(videoId, nowMs, timeoutMs))
  }

  /** When the author's newest comment among the video's newest entries was made, Unix ms. @throws CallError */
  async lastPostedAt(videoId: VideoId, authorId: string): Promise<number | undefined> {
    const newest = await this.page(videoId, { after: 0, until: MAX_CURSOR, newestFirst: true, limit: LAST_POSTS })
    return newest.find(({ comment }) => comment.authorId === authorId)?.comment.createdAt
  }

  /** From partition to partition. @throws CallError */
  async commentsBy(authorId: string, after: string | undefined): Promise<Found> {
    const { cql, statements, limits } = this.#deps
    const deadline = performance.now() + limits.pageMs
    const left = () => Math.max(1, deadline - performance.now())
    const [place = FIRST_PLACE, ...within] = after?.split(' ') ?? []
    let at = { place, videoId: within[0], bucket: Number(within[1]), until: Number(within[2]) }
    const places: Place[] = []
    for (let i = 0; i < SEARCHED_PARTITIONS; i++) {
      if (at.videoId === undefined) {
        const [next] = (await cql.read(statements.nextPartition(at.place), left())) as readonly { video_id: string; bucket: number; place: string }[]
        if (!next) return { places, after: undefined }
        at = { place: next.place, videoId: next.video_id, bucket: next.bucket, until: MAX_CURSOR }
      }
      const { videoId, bucket, until } = at as { videoId: string; bucket: Cursor; until: Cursor }
      const rows = (await cql.read(statements.page(videoId, bucket, 0, until, true, SEARCHED_ENTRIES), left())).map(row => storedOf(videoId, row))
      places.push(...rows.filter(({ comment }) => comment.authorId === authorId).map(({ comment: { id } }) => ({ videoId, id })))
      const oldest = rows.at(-1)
      at = { place: at.place, videoId: undefined, bucket: 0, until: 0 }
      if (oldest && rows.length === SEARCHED_ENTRIES) return { places, after: `${at.place} ${videoId} ${bucket} ${oldest.comment.id - 1}` }
    }
    return { places, after: at.place }
  }

  /** A video that could not be read in time is absent. @throws CallError where none could */
  lastIds(videoIds: readonly VideoId[]): Promise<Map<VideoId, Cursor>> {
    return this.#each(videoIds, (videoId, timeoutMs) => this.#lastId(videoId, timeoutMs))
  }

  async #each<T>(videoIds: readonly VideoId[], read: (videoId: VideoId, timeoutMs: number) => Promise<T>): Promise<Map<VideoId, T>> {
    const deadline = performance.now() + this.#deps.limits.lastIdsMs
    const found = new Map<VideoId, T>()
    let failed: CallError | undefined
    await inParallel(videoIds, async videoId => {
      const left = deadline - performance.now()
      if (left <= 0) return
      try {
        found.set(videoId, await read(videoId, left))
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        failed = error
      }
    })
    if (found.size === 0 && videoIds.length > 0) throw failed ?? new CallError('no answer in time', false)
    return found
  }

  /** The newest first. @throws CallError */
  async #buckets(videoId: VideoId, timeoutMs: number): Promise<Cursor[]> {
    const rows = await this.#deps.cql.read(this.#deps.statements.buckets(videoId), timeoutMs)
    return [...rows.map(row => row['bucket'] as Cursor), 0]
  }

  /** With the comment that it pins, as far as that is still there. @throws CallError */
  async #shown(stored: Stored, timeoutMs: number): Promise<Stored> {
    if (stored.act?.type !== 'pinned' || stored.act.target === undefined) return stored
    const pinned = await this.#commentAt(stored.comment.videoId, stored.act.target, timeoutMs)
    return pinned ? { ...stored, pinned } : stored
  }

  async #commentAt(videoId: VideoId, id: CommentId, timeoutMs: number): Promise<Comment | undefined> {
    const { cql, statements } = this.#deps
    const all = await this.#buckets(videoId, timeoutMs)
    const [bucket] = bucketsBetween(all, id - 1, id)
    const [row] = bucket === undefined ? [] : await cql.read(statements.comment(videoId, bucket, id), timeoutMs)
    if (!row) return undefined
    const { unerased } = bucket === all[0] ? NO_ACTS : await actsIn(this.#deps, videoId, all, timeoutMs)
    const { comment, act, deletedBy } = masked(storedOf(videoId, row), unerased)
    return act || deletedBy !== undefined ? undefined : comment
  }

  async #state(videoId: VideoId, nowMs: number, timeoutMs: number): Promise<StoredState> {
    const [newest = 0, ...older] = await this.#buckets(videoId, timeoutMs)
    const last = await readBucket(this.#deps, videoId, newest, timeoutMs)
    const { settings, pinned, bans, unerased } = last.acts ?? (await actsIn(this.#deps, videoId, older, timeoutMs))
    return {
      settings,
      pinned: pinned === undefined ? undefined : await this.#commentAt(videoId, pinned, timeoutMs),
      head: Math.min(MAX_CURSOR, newestId(last)),
      bans: new Map(Object.entries(bans).filter(([, until]) => until > nowMs)),
      unerased: Object.keys(unerased).map(Number),
    }
  }

  async #lastId(videoId: VideoId, timeoutMs: number): Promise<Cursor> {
    const { cql, statements } = this.#deps
    let last = this.#lastBuckets.get(videoId)
    if (last === undefined) {
      const [row] = await cql.read(statements.buckets(videoId), timeoutMs)
      last = (row?.['bucket'] as Cursor | undefined) ?? 0
    }
    for (;;) {
      const [row] = await cql.read(statements.bucket(videoId, last), timeoutMs)
      const bucket = bucketOf(last, row)
      if (bucket.next === undefined) {
        this.#remember(videoId, last)
        return Math.min(MAX_CURSOR, newestId(bucket))
      }
      last = bucket.next
    }
  }

  #remember(videoId: VideoId, bucket: Cursor): void {
    this.#lastBuckets.delete(videoId)
    this.#lastBuckets.set(videoId, bucket)
    if (this.#lastBuckets.size > MAX_REMEMBERED) this.#lastBuckets.delete(this.#lastBuckets.keys().next().value!)
  }
}

/** Those that may hold an id of (after, until], the newest first. @param buckets all of a video's, the newest first */
export function bucketsBetween(buckets: readonly Cursor[], after: Cursor, until: Cursor): Cursor[] {
  const first = buckets.findIndex(bucket => bucket < until)
  if (first < 0) return []
  const last = buckets.findIndex(bucket => bucket <= after)
  return buckets.slice(first, last < 0 ? undefined : last + 1)
}

function masked(stored: Stored, unerased: VideoActs['unerased']): Stored {
  const deletedBy = unerased[stored.comment.id]
  return deletedBy === undefined || stored.deletedBy !== undefined ? stored : { comment: blank(stored.comment), prev: stored.prev, deletedBy }
}
