import { LiveError } from './errors.js'
import type { CommentId } from './id.js'
import { brokenRule } from './readable.js'

/** 1–64 of `A–Z a–z 0–9 _ -`. */
export type VideoId = string

/** One accepted comment, as stored and as delivered. */
export interface Comment {
  /** Unique and ascending within its video, in the order of commit. */
  readonly id: CommentId
  readonly videoId: VideoId
  /** 1–64 characters, `anonymous` where the poster gave none. */
  readonly authorId: string
  /** Shown instead of authorId, 1–64 characters; only if the poster's token gave one. */
  readonly authorName?: string | undefined
  /** As whom the author wrote it; a viewer's comment has none. What a moderator wrote reaches those too who asked for fewer comments. */
  readonly by?: 'moderator' | undefined
  /** 1–1,000 code points, trimmed, no control characters but newline and tab, readable. */
  readonly content: string
  /** The accepting dispatcher's clock, Unix milliseconds. */
  readonly createdAt: number
}

/** A post that the store has not made a comment yet. */
export interface Draft {
  readonly videoId: VideoId
  readonly authorId: string
  readonly authorName?: string | undefined
  readonly content: string
  /** Idempotency key, 1–128 visible ASCII, unique for (video, author). */
  readonly key: string
}

export const MAX_CONTENT = 1000
export const MAX_AUTHOR = 64
export const ANONYMOUS = 'anonymous'

const VIDEO_ID = /^[A-Za-z0-9_-]{1,64}$/
const KEY = /^[\x21-\x7e]{1,128}$/
// Every Unicode control character (Cc) but newline and tab, and lone surrogates, which UTF-8 cannot carry.
const FORBIDDEN = /[^\P{Cc}\n\t]|\p{Cs}/u
/** A name has one line. */
const MANY_LINES = /[\n\t\u2028\u2029]/

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
 * @throws LiveError BAD_COMMENT, naming the field and the rule */
export function checkBody(body: unknown): { content: string; authorId: string } {
  const { content, authorId } = fieldsOf(body)
  return { content: checkContent(content), authorId: authorId === undefined ? ANONYMOUS : checkAuthor(authorId, 'authorId') }
}

/** The content of a post whose author a token names. @throws LiveError BAD_COMMENT, also for an authorId in the body */
export function checkAuthoredBody(body: unknown): { content: string } {
  const { content, authorId } = fieldsOf(body)
  if (authorId !== undefined) throw bad('authorId must not be given: the token says who the author is')
  return { content: checkContent(content) }
}

/** An author's id or name, trimmed. @param field the name used in the message
 * @throws LiveError BAD_COMMENT */
export function checkAuthor(value: unknown, field: string): string {
  if (typeof value !== 'string') throw bad(`${field} must be a string`)
  const text = value.trim()
  if (text === '' || isLonger(text, MAX_AUTHOR)) throw bad(`${field} must be 1 to ${MAX_AUTHOR} characters`)
  if (FORBIDDEN.test(text) || MANY_LINES.test(text)) throw bad(`${field} must not hold control characters`)
  return readable(text, field)
}

function fieldsOf(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw bad('the body must be a JSON object')
  return body as Record<string, unknown>
}

function checkContent(value: unknown): string {
  if (value === undefined) throw bad('content is missing')
  if (typeof value !== 'string') throw bad('content must be a string')
  const content = value.trim()
  if (content === '') throw bad('content must not be empty')
  if (isLonger(content, MAX_CONTENT)) throw bad(`content must be at most ${MAX_CONTENT} characters`)
  if (FORBIDDEN.test(content)) throw bad('content must not hold control characters but newline and tab')
  return readable(content, 'content')
}

/** @throws LiveError BAD_COMMENT, naming the field and the rule */
function readable(text: string, field: string): string {
  const rule = brokenRule(text)
  if (rule !== undefined) throw bad(`${field} ${rule}`)
  return text
}

function bad(message: string): LiveError {
  return new LiveError('BAD_COMMENT', message)
}

/** Whether it has more than `most` code points. */
function isLonger(text: string, most: number): boolean {
  if (text.length <= most) return false
  let count = 0
  for (const _ of text) count++
  return count > most
}

/** The comment in the public API's form: the id is a decimal string. */
export function toPublic({ id, videoId, authorId, authorName, by, content, createdAt }: Comment): Record<string, unknown> {
  return { id: String(id), videoId, authorId, ...(authorName === undefined ? {} : { authorName }), ...(by && { by }), content, createdAt }
}

/** The comment as data of its SSE event and on every wire between the parts: one line of JSON, made once
 * where the comment is stored and copied from then on. */
export function toEventJson({ id, authorId, authorName, by, content, createdAt }: Comment): string {
  return JSON.stringify({ id: String(id), authorId, authorName, by, content, createdAt })
}
