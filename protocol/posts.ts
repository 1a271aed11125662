import type { Buffer } from 'node:buffer'
import { z } from 'zod'
import type { Comment, Draft } from './comment.js'
import { LiveError, isErrorCode, type ErrorCode } from './errors.js'

/** Posts on their way from a gateway to a dispatcher, or from one dispatcher to another: many in one request,
 * each answered by itself. JSON both ways. */
export interface PostBatch {
  /** Set by a dispatcher that passed them on: whoever gets them handles them. */
  readonly passedOn: boolean
  readonly posts: readonly TimedDraft[]
}

/** A draft and how long somebody will still wait for what becomes of it. Never a time of day: hosts' clocks differ. */
export interface TimedDraft extends Draft {
  /** Ms, from when the request was sent; undefined: its sender does not say. Past it, nothing must be stored. */
  readonly leftMs?: number | undefined
}

/** A request whose sender reads the code OUTCOME_UNKNOWN has this header; to others it is STORE_UNAVAILABLE. */
export const READS_HEADER = 'x-live-reads'
export const READS_OUTCOME_UNKNOWN = 'outcome-unknown'

/** `created` tells a new comment from one that its key had made before. */
export type PostResult = { readonly comment: Comment; readonly created: boolean } | { readonly error: { readonly code: ErrorCode; readonly message: string } }

const draft = z.object({ videoId: z.string(), authorId: z.string(), authorName: z.string().optional(), content: z.string(), key: z.string(), leftMs: z.number().min(0).optional() })
const batch = z.object({ passedOn: z.boolean(), posts: z.array(draft) })
const comment = z.object({ id: z.int().positive(), videoId: z.string(), authorId: z.string(), authorName: z.string().optional(), content: z.string(), createdAt: z.number() })
const results = z.array(
  z.union([
    z.object({ comment, created: z.boolean() }),
    z.object({ error: z.object({ code: z.string().refine(isErrorCode), message: z.string() }) }),
  ]),
)

export const printPosts = (posts: PostBatch): string => JSON.stringify(posts)
export const printResults = (results: readonly PostResult[]): string => JSON.stringify(results)

/** Results in codes that the sender of the request reads. @param reads its READS_HEADER, '' where it has none */
export function asRead(results: readonly PostResult[], reads: string): readonly PostResult[] {
  if (reads === READS_OUTCOME_UNKNOWN) return results
  return results.map(result => ('error' in result && result.error.code === 'OUTCOME_UNKNOWN' ? { error: { ...result.error, code: 'STORE_UNAVAILABLE' } } : result))
}

/** The shape alone; the receiver checks each draft. @throws LiveError BAD_REQUEST */
export const parsePosts = (bytes: Buffer): PostBatch => parse(batch, bytes)

/** @throws LiveError BAD_REQUEST */
export const parseResults = (bytes: Buffer): PostResult[] => parse(results, bytes)

function parse<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  try {
    return schema.parse(JSON.parse(bytes.toString()))
  } catch (cause) {
    throw new LiveError('BAD_REQUEST', 'the body is not what this route takes', { cause })
  }
}
