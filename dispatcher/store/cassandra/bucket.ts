import { timeOfId, type Cursor } from '../../../protocol/id.js'
import type { Row } from './cql.js'
import { parseActs, type VideoActs } from './video-state.js'

/** What a bucket's partition says of the bucket. A bucket is named by the id after which it begins: 0, or the newest id of
 * the bucket before it. */
export interface Bucket {
  readonly after: Cursor
  /** Its newest id, undefined while it is empty. */
  readonly head: Cursor | undefined
  /** Its oldest id. */
  readonly first: Cursor | undefined
  /** About what its comments and keys take, uncompressed. */
  readonly bytes: number
  /** The bucket after it: it is sealed, and takes nothing any more. */
  readonly next: Cursor | undefined
  /** Changes when an attempt is to be kept from coming true later. */
  readonly fence: string | undefined
  /** What all acts up to `head` have come to. Undefined while the bucket is empty, or where the former version began it: then it is
   * as in the bucket before. */
  readonly acts: VideoActs | undefined
}

/** Well below the 100 MB from which on partitions are a burden to Cassandra. */
export const MAX_BUCKET_BYTES = 64 << 20
/** A bucket is read from few files if it was filled within that time. */
export const MAX_BUCKET_MS = 7 * 24 * 60 * 60 * 1000

export function emptyBucket(after: Cursor): Bucket {
  return { after, head: undefined, first: undefined, bytes: 0, next: undefined, fence: undefined, acts: undefined }
}

/** @param row of the bucket's partition; undefined where the partition is not there */
export function bucketOf(after: Cursor, row: Row | undefined): Bucket {
  if (!row) return emptyBucket(after)
  const number = (name: string) => (row[name] as number | null) ?? undefined
  return { after, head: number('head'), first: number('first'), bytes: number('bytes') ?? 0, next: number('next'), fence: (row['fence'] as string | null) ?? undefined, acts: typeof row['acts'] === 'string' ? parseActs(row['acts']) : undefined }
}

/** The newest id of the video, as long as the bucket is its last. */
export function newestId({ after, head }: Bucket): Cursor {
  return head ?? after
}

/** Whether it is to be sealed before the comment with the next id. An empty one never is. Its first comment's id tells its age. */
export function isFull({ head, first, bytes }: Bucket, nextId: Cursor, maxBytes = MAX_BUCKET_BYTES): boolean {
  if (head === undefined) return false
  return bytes >= maxBytes || timeOfId(nextId) - timeOfId(first ?? head) >= MAX_BUCKET_MS
}
