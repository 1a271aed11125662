import type { Buffer } from 'node:buffer'
import { z } from 'zod'
import type { Comment, Draft } from './comment.js'
import { LiveError, isErrorCode, type ErrorCode } from './errors.js'

/** Posts that a gateway sends a dispatcher, or a dispatcher passes on to another: many in one request, each with its own
 * result. JSON both ways. */
export interface PostBatch {
  /** Set by a dispatcher that passed them on: the receiver stores them itself. */
  readonly passedOn: boolean
  readonly posts: readonly TimedDraft[]
}

/** A draft, and how long somebody still waits for its result. */
export interface TimedDraft extends Draft {
  /** Ms from when the request was sent, never a time of day, since hosts' clocks differ; undefined: the sender does not say.
   * After this time the draft must not be stored. */
  readonly leftMs?: number | undefined
}

/** A request has this header if its sender can read the code OUTCOME_UNKNOWN; other senders get STORE_UNAVAILABLE instead. */
export const READS_HEADER = 'x-live-reads'
export const READS_OUTCOME_UNKNOWN = 'outcome-unknown'

/** `created` is false if the key had made the comment before. */
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

/** The results in codes that the sender of the request can read. @param reads its READS_HEADER, '' if absent */
export function asRead(results: readonly PostResult[], reads: string): readonly PostResult[] {
  if (reads === READS_OUTCOME_UNKNOWN) return results
  return results.map(result => ('error' in result && result.error.code === 'OUTCOME_UNKNOWN' ? { error: { ...result.error, code: 'STORE_UNAVAILABLE' } } : result))
}

/** Checks the shape alone; the receiver checks each draft. @throws LiveError BAD_REQUEST */
export const parsePosts = (bytes: Buffer): PostBatch => parse(batch, bytes)

/** @throws LiveError BAD_REQUEST */
export const parseResults = (bytes: Buffer): PostResult[] => parse(results, bytes)

function parse<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  try {
    return schema.parse(JSON.parse(bytes.toString()))
  } catch (cause) {
    throw new LiveError('BAD_REQUEST', 'the body does not have the shape that this route expects', { cause })
  }
}
