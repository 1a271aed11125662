import { LiveError } from '../node/errors.js'
import type { CommentId } from './id.js'

/** 1–64 of `A–Z a–z 0–9 _ -`. */
export type VideoId = string

/** One accepted comment, as stored and as delivered. */
export interface Comment {
  /** Unique and ascending within its video, in the order of commit. */
  readonly id: CommentId
  readonly videoId: VideoId
  /** 1–64 characters, `anonymous` where the poster gave none. */
  readonly authorId: string
  /** 1–1,000 code points, trimmed, no control characters but newline and tab. */
  readonly content: string
  /** The accepting dispatcher's clock, Unix milliseconds. */
  readonly createdAt: number
}

/** What a poster says; the store makes it a comment. */
export interface Draft {
  readonly videoId: VideoId
  readonly authorId: string
  readonly content: string
  /** Idempotency key, 1–128 visible ASCII, unique for (video, author). */
  readonly key: string
}

export const MAX_CONTENT = 1000
export const MAX_AUTHOR = 64
export const ANONYMOUS = 'anonymous'

const VIDEO_ID = /^[A-Za-z0-9_-]{1,64}$/
const KEY = /^[\x21-\x7e]{1,128}$/
// Everything Unicode calls a control (Cc) but newline and tab, and lone surrogates, which UTF-8 cannot carry.
const FORBIDDEN = /[^\P{Cc}\n\t]|\p{Cs}/u

export function isVideoId(text: string): boolean {
  return VIDEO_ID.test(text)
}

/** @throws LiveError BAD_VIDEO_ID */
export function checkVideoId(text: string): VideoId {
  if (!isVideoId(text)) throw new LiveError('BAD_VIDEO_ID', 'videoId must be 1 to 64 of A-Z a-z 0-9 _ -')
  return text
}

/** @throws LiveError BAD_IDEMPOTENCY_KEY */
export function checkKey(text: string): string {
  if (!KEY.test(text)) throw new LiveError('BAD_IDEMPOTENCY_KEY', 'Idempotency-Key must be 1 to 128 visible ASCII characters')
  return text
}

/** Content and author of a post's body, trimmed and checked.
 * @throws LiveError BAD_COMMENT, the message naming the field and the rule */
export function checkBody(body: unknown): { content: string; authorId: string } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw bad('the body must be a JSON object')
  const { content, authorId } = body as Record<string, unknown>
  return { content: checkContent(content), authorId: checkAuthor(authorId) }
}

function checkContent(value: unknown): string {
  if (value === undefined) throw bad('content is missing')
  if (typeof value !== 'string') throw bad('content must be a string')
  const content = value.trim()
  if (content === '') throw bad('content must not be empty')
  if (codePoints(content) > MAX_CONTENT) throw bad(`content must be at most ${MAX_CONTENT} characters`)
  if (FORBIDDEN.test(content)) throw bad('content must not hold control characters but newline and tab')
  return content
}

function checkAuthor(value: unknown): string {
  if (value === undefined) return ANONYMOUS
  if (typeof value !== 'string') throw bad('authorId must be a string')
  const authorId = value.trim()
  if (authorId === '' || codePoints(authorId) > MAX_AUTHOR) throw bad(`authorId must be 1 to ${MAX_AUTHOR} characters`)
  if (FORBIDDEN.test(authorId) || /[\n\t]/.test(authorId)) throw bad('authorId must not hold control characters')
  return authorId
}

function bad(message: string): LiveError {
  return new LiveError('BAD_COMMENT', message)
}

function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

/** The comment as the public API answers it: the id a decimal string. */
export function toPublic(comment: Comment): Record<string, unknown> {
  return { id: String(comment.id), videoId: comment.videoId, authorId: comment.authorId, content: comment.content, createdAt: comment.createdAt }
}

/** The comment as its SSE event's data, and on every wire between the parts: one line of JSON, made once
 * where it is stored and passed on as it is. */
export function toEventJson(comment: Comment): string {
  return JSON.stringify({ id: String(comment.id), authorId: comment.authorId, content: comment.content, createdAt: comment.createdAt })
}
