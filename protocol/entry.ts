import { z } from 'zod'
import { checkAuthor, checkKey, checkVideoId, toEventJson, ANONYMOUS, type Comment, type VideoId } from './comment.js'
import { LiveError } from './errors.js'
import { MAX_CURSOR, parseCursor, type CommentId } from './id.js'

/** A video's order holds entries: comments, and acts upon them. Both have an id and a `prev`, and are stored, batched,
 * synced, replayed and flushed by the same rules. */

/** What a moderator, or a comment's author, has done. */
export type Act =
  | { readonly type: 'deleted'; readonly target: CommentId }
  /** @property target undefined: nothing is pinned any more */
  | { readonly type: 'pinned'; readonly target: CommentId | undefined }
  /** All settings as they are from now on, not only what has changed. */
  | { readonly type: 'settings'; readonly settings: Settings }
  /** Kept from viewers. @property until Unix ms; 0 lifts the ban */
  | { readonly type: 'author-banned'; readonly authorId: string; readonly until: number }

export type ActType = Act['type']

/** What a video demands of those who post to it; moderators are exempt. */
export interface Settings {
  /** The least time between two comments of an author, 0–3,600; 0: none. */
  readonly slowModeSeconds: number
  /** Nobody may post. */
  readonly closed: boolean
  /** Only an author whom a token names may post. */
  readonly signedInOnly: boolean
}

/** What `ready` shows of a video beside its comments. */
export interface VideoState {
  readonly settings: Settings
  readonly pinned: Comment | undefined
}

/** Somebody's order to act, as it comes to a dispatcher. */
export interface ActOrder {
  readonly videoId: VideoId
  /** Idempotency key, 1–128 visible ASCII, unique for (video, actor). */
  readonly key: string
  /** Whom the audit log names. */
  readonly actorId: string
  /** A moderator may do anything; anybody else may delete comments of their own. */
  readonly asModerator: boolean
  readonly act: Act
}

export const MAX_SLOW_MODE_SECONDS = 3_600
export const DEFAULT_SETTINGS: Settings = { slowModeSeconds: 0, closed: false, signedInOnly: false }
export const DEFAULT_STATE: VideoState = { settings: DEFAULT_SETTINGS, pinned: undefined }

const TARGET_RULE = 'must be the id of a comment, in decimal'
const SLOW_MODE_RULE = `must be a whole number from 0 to ${MAX_SLOW_MODE_SECONDS}`
const BOOLEAN_RULE = 'must be true or false'
const UNTIL_RULE = 'must be a time in Unix milliseconds, or 0'

const target = z
  .string(TARGET_RULE)
  .refine(text => (parseCursor(text) ?? 0) > 0, TARGET_RULE)
  .transform(Number)
const settingsSchema = z.object({ slowModeSeconds: z.int(SLOW_MODE_RULE).min(0, SLOW_MODE_RULE).max(MAX_SLOW_MODE_SECONDS, SLOW_MODE_RULE), closed: z.boolean(BOOLEAN_RULE), signedInOnly: z.boolean(BOOLEAN_RULE) }, 'must be an object')
const actSchema = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('deleted'), target }),
    z.object({ type: z.literal('pinned'), target: target.nullable().transform(id => id ?? undefined) }),
    z.object({ type: z.literal('settings'), settings: settingsSchema }),
    z.object({ type: z.literal('author-banned'), authorId: z.string('must be a string'), until: z.int(UNTIL_RULE).min(0, UNTIL_RULE).max(MAX_CURSOR, UNTIL_RULE) }),
  ],
  'must be deleted, pinned, settings or author-banned',
)
const commentSchema = z.object({ id: target, authorId: z.string(), authorName: z.string().optional(), by: z.literal('moderator').optional().catch(undefined), content: z.string(), createdAt: z.number() })
const pinSchema = z.object({ comment: commentSchema.nullish() })
const stateSchema = z.object({ settings: settingsSchema.optional(), pinned: commentSchema.optional() })
const tombstoneSchema = z.object({ deleted: z.literal(true) })

/** An act from outside. @throws LiveError BAD_ACT, naming the field and the rule */
export function checkAct(value: unknown): Act {
  const result = actSchema.safeParse(value)
  if (!result.success) {
    const { path, message } = result.error.issues[0]!
    throw badAct(path.length === 0 ? 'the act must be a JSON object' : `${path.join('.')} ${message}`)
  }
  const act = result.data
  return act.type === 'author-banned' ? { ...act, authorId: checkNamed(act.authorId, 'authorId') } : act
}

/** @throws LiveError BAD_ACT, BAD_VIDEO_ID, BAD_IDEMPOTENCY_KEY */
export function checkOrder({ videoId, key, actorId, asModerator, act }: ActOrder): ActOrder {
  const order = { videoId: checkVideoId(videoId), key: checkKey(key), actorId: checkNamed(actorId, 'actorId'), asModerator, act }
  if (act.type !== 'author-banned') return order
  if (act.authorId === order.actorId) throw badAct('authorId must not be the moderator\'s own')
  if (act.authorId === ANONYMOUS) throw badAct(`authorId must not be ${ANONYMOUS}, which is nobody: let only signed-in viewers post`)
  return order
}

/** @throws LiveError BAD_ACT */
function checkNamed(value: string, field: string): string {
  try {
    return checkAuthor(value, field)
  } catch (error) {
    throw error instanceof LiveError ? badAct(error.message) : error
  }
}

function badAct(message: string): LiveError {
  return new LiveError('BAD_ACT', message)
}

/** The act in JSON: fields for a larger object, and what a store keeps. Ids are decimal strings, and a `pinned` without a
 * target has null. */
export function actFields(act: Act): Record<string, unknown> {
  switch (act.type) {
    case 'deleted':
      return { type: act.type, target: String(act.target) }
    case 'pinned':
      return { type: act.type, target: act.target === undefined ? null : String(act.target) }
    case 'settings':
      return { type: act.type, settings: act.settings }
    case 'author-banned':
      return { type: act.type, authorId: act.authorId, until: act.until }
  }
}

/** Reads `actFields`; undefined for anything else, such as an act of a later version. */
export function readAct(value: unknown): Act | undefined {
  return actSchema.safeParse(value).data
}

/** The act as a line of JSON on every wire between the parts, where a comment's is `toEventJson`.
 * @param pinned the comment that a `pinned` shows; undefined where there is none, or it was deleted since */
export function toActJson(id: CommentId, act: Act, pinned?: Comment): string {
  const shown = act.type === 'pinned' && act.target !== undefined ? { comment: pinned ? eventOf(pinned) : null } : {}
  return JSON.stringify({ id: String(id), ...actFields(act), ...shown })
}

/** A deleted comment in its old place, as a line of JSON. @param createdAt of the comment, Unix ms */
export function toTombstoneJson(id: CommentId, createdAt: number): string {
  return JSON.stringify({ id: String(id), deleted: true, createdAt })
}

/** What a line of JSON says. `unknown` is an act of a later version: it has a place in the order, and means nothing here. */
export type ReadEntry =
  | { readonly kind: 'comment' | 'tombstone' | 'unknown' }
  /** @property pinned the comment that a `pinned` shows, if any */
  | { readonly kind: 'act'; readonly act: Act; readonly pinned: Comment | undefined }

const COMMENT: ReadEntry = { kind: 'comment' }
/** How `toEventJson` begins. Nearly every entry is a comment: none of those is parsed. */
const COMMENT_START = /^\{"id":"[0-9]{1,16}","authorId":/

/** @param json of a `C` line */
export function readEntry(videoId: VideoId, json: string): ReadEntry {
  if (COMMENT_START.test(json)) return COMMENT
  const value: unknown = JSON.parse(json)
  if (tombstoneSchema.safeParse(value).success) return { kind: 'tombstone' }
  const act = readAct(value)
  if (act) return { kind: 'act', act, pinned: commentOf(videoId, act.type === 'pinned' && act.target !== undefined ? pinSchema.safeParse(value).data?.comment : undefined) }
  return commentSchema.safeParse(value).success ? COMMENT : { kind: 'unknown' }
}

/** An entry's JSON once the comment `target` is deleted: the tombstone of that comment, or a pin that no longer shows it.
 * Undefined where the entry does not hold it. */
export function erased(videoId: VideoId, id: CommentId, json: string, target: CommentId): string | undefined {
  const entry = id < target ? COMMENT : readEntry(videoId, json)
  if (id === target) return entry.kind === 'comment' ? toTombstoneJson(id, (JSON.parse(json) as Comment).createdAt) : undefined
  return entry.kind === 'act' && entry.pinned?.id === target ? toActJson(id, entry.act) : undefined
}

/** The state that follows an act. @param pinned the comment that a `pinned` shows */
export function stateAfter(state: VideoState, act: Act, pinned: Comment | undefined): VideoState {
  switch (act.type) {
    case 'deleted':
      return state.pinned?.id === act.target ? { ...state, pinned: undefined } : state
    case 'pinned':
      return { ...state, pinned }
    case 'settings':
      return { ...state, settings: act.settings }
    case 'author-banned':
      return state
  }
}

/** One line of JSON, `{}` for the default. */
export function printState({ settings, pinned }: VideoState): string {
  return JSON.stringify({ ...(isDefault(settings) ? {} : { settings }), ...(pinned ? { pinned: eventOf(pinned) } : {}) })
}

/** Undefined for what `printState` does not print. */
export function parseState(videoId: VideoId, json: string): VideoState | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return undefined
  }
  const { data } = stateSchema.safeParse(value)
  return data && { settings: data.settings ?? DEFAULT_SETTINGS, pinned: commentOf(videoId, data.pinned) }
}

export function isDefault({ slowModeSeconds, closed, signedInOnly }: Settings): boolean {
  return slowModeSeconds === 0 && !closed && !signedInOnly
}

function eventOf(comment: Comment): unknown {
  return JSON.parse(toEventJson(comment))
}

function commentOf(videoId: VideoId, read: z.infer<typeof commentSchema> | null | undefined): Comment | undefined {
  if (!read) return undefined
  const { authorName, ...rest } = read
  return { ...rest, ...(authorName === undefined ? {} : { authorName }), videoId }
}
