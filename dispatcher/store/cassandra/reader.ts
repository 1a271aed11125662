import type { VideoId } from '../../../protocol/comment.js'
import { MAX_CURSOR, type Cursor } from '../../../protocol/id.js'
import { inParallel } from '../../../runtime/in-parallel.js'
import type { Range, Stored } from '../store.js'
import { bucketOf, newestId } from './bucket.js'
import { CallError } from './call-error.js'
import type { ChainDeps } from './chain.js'
import type { Limits } from './limits.js'
import { storedOf } from './statements.js'

/** Videos whose last bucket is remembered: most have but one. */
const MAX_REMEMBERED = 100_000

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
    const rows = await cql.read(statements.buckets(videoId), left())
    const buckets = bucketsBetween([...rows.map(row => row['bucket'] as Cursor), 0], after, until)
    const page: Stored[] = []
    for (const bucket of newestFirst ? buckets : buckets.toReversed()) {
      const found = await cql.read(statements.page(videoId, bucket, after, until, newestFirst, limit - page.length), left())
      page.push(...found.map(row => storedOf(videoId, row)))
      if (page.length >= limit) break
    }
    return page
  }

  /** A video that could not be read in time is absent. @throws CallError where none could */
  async lastIds(videoIds: readonly VideoId[]): Promise<Map<VideoId, Cursor>> {
    const deadline = performance.now() + this.#deps.limits.lastIdsMs
    const ids = new Map<VideoId, Cursor>()
    let failed: CallError | undefined
    await inParallel(videoIds, async videoId => {
      const left = deadline - performance.now()
      if (left <= 0) return
      try {
        ids.set(videoId, await this.#lastId(videoId, left))
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        failed = error
      }
    })
    if (ids.size === 0 && videoIds.length > 0) throw failed ?? new CallError('no answer in time', false)
    return ids
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
