import type { Buffer } from 'node:buffer'
import { z } from 'zod'
import type { Comment, Draft } from './comment.js'
import { LiveError, isErrorCode, type ErrorCode } from './errors.js'

/** Posts that a gateway sends a dispatcher, or a dispatcher passes on to another: many in one request, each with its own
 * result. JSON both ways. */
export interface PostBatch {
  /** Set by a dispatcher that passed them on: the receiver stores them itself. */
  readonly passedOn: boolean
  /** The sender can read that a post is held, and the codes of one that a review or the video's state refuses; other senders get
   * the errors of `asRead` instead. */
  readonly entries?: boolean | undefined
  readonly posts: readonly TimedDraft[]
}

/** A draft, and how long somebody still waits for its result. */
export interface TimedDraft extends Draft {
  /** Ms from when the request was sent, never a time of day, since hosts' clocks differ; undefined: the sender does not say.
   * After this time the draft must not be stored. */
  readonly leftMs?: number | undefined
  /** A moderator's: bans and the video's settings do not hold for it. */
  readonly exempt?: boolean | undefined
  /** A token named the author. */
  readonly signedIn?: boolean | undefined
}

/** What the sender of a request can read beside what every version can, separated by commas. */
export const READS_HEADER = 'x-live-reads'
/** Of posts: the code OUTCOME_UNKNOWN; other senders get STORE_UNAVAILABLE instead. A dispatcher of the former version reads
 * it only where nothing else is listed. */
export const READS_OUTCOME_UNKNOWN = 'outcome-unknown'
/** Of syncs: `T` lines. */
export const READS_ENTRIES = 'entries'

/** Why there is no comment. */
export interface PostError {
  readonly code: ErrorCode
  readonly message: string
  /** With SLOW_MODE: how long the author has to wait. */
  readonly retryAfterSeconds?: number | undefined
}

/** `created` is false if the key had made the comment before. `held`: the comment waits for a moderator. */
export type PostResult = { readonly comment: Comment; readonly created: boolean } | { readonly held: true } | { readonly error: PostError }

const draft = z.object({ videoId: z.string(), authorId: z.string(), authorName: z.string().optional(), content: z.string(), key: z.string(), leftMs: z.number().min(0).optional(), exempt: z.boolean().optional(), signedIn: z.boolean().optional() })
const batch = z.object({ passedOn: z.boolean(), entries: z.boolean().optional(), posts: z.array(draft) })
const comment = z.object({ id: z.int().positive(), videoId: z.string(), authorId: z.string(), authorName: z.string().optional(), by: z.literal('moderator').optional().catch(undefined), content: z.string(), createdAt: z.number() })
const results = z.array(
  z.union([
    z.object({ comment, created: z.boolean() }),
    z.object({ held: z.literal(true) }),
    z.object({ error: z.object({ code: z.string().refine(isErrorCode), message: z.string(), retryAfterSeconds: z.number().optional() }) }),
  ]),
)

export const printPosts = (posts: PostBatch): string => JSON.stringify(posts)
export const printResults = (results: readonly PostResult[]): string => JSON.stringify(results)

const BEFORE_OUTCOME_UNKNOWN: Readonly<Partial<Record<ErrorCode, ErrorCode>>> = { OUTCOME_UNKNOWN: 'STORE_UNAVAILABLE' }
const BEFORE_ENTRIES: Readonly<Partial<Record<ErrorCode, ErrorCode>>> = {
  BANNED: 'FORBIDDEN',
  COMMENTS_CLOSED: 'FORBIDDEN',
  SIGN_IN_REQUIRED: 'UNAUTHORIZED',
  SLOW_MODE: 'RATE_LIMITED',
  REVIEW_REFUSED: 'FORBIDDEN',
  REVIEW_UNAVAILABLE: 'UNAVAILABLE',
  UPGRADE_UNFINISHED: 'UNAVAILABLE',
}
const HELD_BEFORE_ENTRIES: PostResult = { error: { code: 'FORBIDDEN', message: 'the comment is held for review: it appears once a moderator has approved it' } }

/** Whether a READS_HEADER lists it. @param reads '' if absent */
export function isRead(reads: string, what: string): boolean {
  return reads.split(',').some(each => each.trim() === what)
}

/** The results in codes that the sender of the request can read. @param reads its READS_HEADER, '' if absent
 * @param entries as in its PostBatch */
export function asRead(results: readonly PostResult[], reads: string, entries = false): readonly PostResult[] {
  const instead = { ...(isRead(reads, READS_OUTCOME_UNKNOWN) ? {} : BEFORE_OUTCOME_UNKNOWN), ...(entries ? {} : BEFORE_ENTRIES) }
  const codes = new Map(Object.entries(instead))
  if (codes.size === 0) return results
  return results.map(result => {
    if ('held' in result) return entries ? result : HELD_BEFORE_ENTRIES
    const code = 'error' in result ? codes.get(result.error.code) : undefined
    return 'error' in result && code !== undefined ? { error: { code, message: result.error.message } } : result
  })
}

/** Checks the shape alone; the receiver checks each draft. @throws LiveError BAD_REQUEST */
export const parsePosts = (bytes: Buffer): PostBatch => parse(batch, bytes)

/** @throws LiveError BAD_REQUEST */
export const parseResults = (bytes: Buffer): PostResult[] => parse(results, bytes)

/** The body of an internal call. @throws LiveError BAD_REQUEST */
export function parse<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  try {
    return schema.parse(JSON.parse(bytes.toString()))
  } catch (cause) {
    throw new LiveError('BAD_REQUEST', 'the body does not have the shape that this route expects', { cause })
  }
}
