import type { VideoId } from '../../../protocol/comment.js'
import type { Cursor } from '../../../protocol/id.js'
import { bucketOf, type Bucket } from './bucket.js'
import type { Cql, Row } from './cql.js'
import { KEY_TTL_S } from './schema.js'
import type { Statements } from './statements.js'
import { NO_ACTS, type VideoActs } from './video-state.js'

/** A sealed bucket whose keys still count. */
export interface KeptKeys {
  readonly bucket: Cursor
  /** Monotonic ms: from then on none of its keys does. */
  readonly until: number
}

/** The end of a video's chain of buckets, as it was read. */
export interface Chain {
  /** The one that takes the next comment, unless it is sealed first. */
  readonly last: Bucket
  readonly kept: readonly KeptKeys[]
  /** What the acts before the last bucket have come to, where it does not say itself. */
  readonly before: VideoActs
}

/** What all acts have come to. */
export function actsOf({ last, before }: Chain): VideoActs {
  return last.acts ?? before
}

export interface ChainDeps {
  readonly cql: Cql
  readonly statements: Statements
}

const AT_ONCE = 8

/** A bucket as all conditional writes have left it. @throws CallError */
export async function readBucket({ cql, statements }: ChainDeps, videoId: VideoId, after: Cursor, timeoutMs: number): Promise<Bucket> {
  return (await readDated(cql, statements, videoId, after, timeoutMs)).bucket
}

/** @throws CallError */
export async function readChain(deps: ChainDeps, videoId: VideoId, timeoutMs: number): Promise<Chain> {
  const { cql, statements } = deps
  // Most videos have one bucket: it is not asked for later.
  const [rows, first] = await Promise.all([cql.read(statements.buckets(videoId), timeoutMs), readDated(cql, statements, videoId, 0, timeoutMs)])
  const older = [...rows.map(row => row['bucket'] as Cursor), 0]
  const newest = older.shift()!
  const last = newest === 0 ? first.bucket : await readBucket(deps, videoId, newest, timeoutMs)
  const kept: KeptKeys[] = []
  for (let i = 0; i < older.length; i += AT_ONCE) {
    const sealed = await Promise.all(older.slice(i, i + AT_ONCE).map(async after => (after === 0 ? first : readDated(cql, statements, videoId, after, timeoutMs))))
    const young = sealed.filter(({ keptUntil }) => keptUntil > performance.now())
    kept.push(...young.map(({ bucket, keptUntil }) => ({ bucket: bucket.after, until: keptUntil })))
    if (young.length < sealed.length) break
  }
  return { last, kept, before: last.acts ?? (await actsIn(deps, videoId, older, timeoutMs)) }
}

/** What the acts up to a bucket have come to. @param buckets that one and those before it, the newest first @throws CallError */
export async function actsIn(deps: ChainDeps, videoId: VideoId, buckets: readonly Cursor[], timeoutMs: number): Promise<VideoActs> {
  for (const after of buckets) {
    const { acts } = await readBucket(deps, videoId, after, timeoutMs)
    if (acts) return acts
  }
  return NO_ACTS
}

/** The chain beyond a sealed bucket. The successor is written down before it can take a comment, by whoever comes first.
 * @throws CallError */
export async function advance(deps: ChainDeps, videoId: VideoId, { last, kept, before }: Chain, timeoutMs: number): Promise<Chain> {
  const { cql, statements } = deps
  await cql.write(statements.noteBucket(videoId, last.next!), timeoutMs)
  const now = performance.now()
  return {
    last: await readBucket(deps, videoId, last.next!, timeoutMs),
    kept: [{ bucket: last.after, until: now + 1000 * KEY_TTL_S }, ...kept.filter(({ until }) => until > now)],
    before: last.acts ?? before,
  }
}

async function readDated(cql: Cql, statements: Statements, videoId: VideoId, after: Cursor, timeoutMs: number): Promise<{ bucket: Bucket; keptUntil: number }> {
  const [row] = await cql.read(statements.bucket(videoId, after), timeoutMs, true)
  return { bucket: bucketOf(after, row), keptUntil: performance.now() + 1000 * KEY_TTL_S - sealedAgo(row) }
}

/** By the nodes' clocks, ms. */
function sealedAgo(row: Row | undefined): number {
  const { sealed_at_us, now } = (row ?? {}) as { sealed_at_us?: number | null; now?: number }
  return typeof sealed_at_us === 'number' && now !== undefined ? now - sealed_at_us / 1000 : 0
}
