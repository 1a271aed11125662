import type { Buffer } from 'node:buffer'
import { z } from 'zod'
import type { VideoId } from './comment.js'
import { isErrorCode, LiveError, type ErrorCode } from './errors.js'
import type { CommentId } from './id.js'
import { brokenRule } from './readable.js'

/** Names a held comment within its video: 32 hexadecimal digits, the same for every retry of the post. */
export type HeldId = string

/** A comment that waits for a moderator. It has no place in its video's order before somebody approves it. */
export interface HeldComment {
  readonly id: HeldId
  readonly videoId: VideoId
  readonly authorId: string
  readonly authorName?: string | undefined
  readonly content: string
  /** Clock of the dispatcher that held it, Unix ms. */
  readonly heldAt: number
}

/** What a moderator says of a held comment. */
export type Decision =
  | { readonly kind: 'approve' }
  /** @property reason for the poster, who gets it with the next try of the same key */
  | { readonly kind: 'refuse'; readonly reason?: string | undefined }

/** A decision as it is sent to a dispatcher. It names the comment, so that it is harmless to send it twice. */
export interface DecisionRequest {
  /** Whom the audit log names. */
  readonly actorId: string
  readonly decision: Decision
  /** How long somebody still waits for the answer, ms from when the request was sent; undefined: the sender does not say. */
  readonly leftMs?: number | undefined
}

/** `id` is that of the comment that an approval has made. */
export type DecisionResult = { readonly id: CommentId } | { readonly refused: true } | { readonly error: { readonly code: ErrorCode; readonly message: string } }

/** Held comments in one answer. */
export const MAX_HELD = 200

const MAX_REASON = 200
const HELD_ID = /^[0-9a-f]{32}$/
const CONTROL = /[\p{Cc}\p{Cs}\u2028\u2029]/u
const REASON_RULE = `reason must be 1 to ${MAX_REASON} characters in one line`

/** @throws LiveError BAD_ACT */
export function checkHeldId(text: string): HeldId {
  if (!HELD_ID.test(text)) throw badAct('heldId must be the id of a held comment, 32 hexadecimal digits')
  return text
}

/** `{"decision":"approve"}` or `{"decision":"refuse","reason":"…"}`, the reason optional.
 * @throws LiveError BAD_ACT, naming the field and the rule */
export function checkDecision({ decision, reason, ...others }: Readonly<Record<string, unknown>>): Decision {
  if (Object.keys(others).length > 0) throw badAct('the body must have decision and reason, and nothing else')
  if (decision === 'approve' && reason === undefined) return { kind: 'approve' }
  if (decision === 'approve') throw badAct('reason must not be given with approve')
  if (decision !== 'refuse') throw badAct('decision must be approve or refuse')
  return reason === undefined ? { kind: 'refuse' } : { kind: 'refuse', reason: checkReason(reason) }
}

/** Trimmed. @throws LiveError BAD_ACT */
export function checkReason(value: unknown): string {
  const reason = typeof value === 'string' ? value.trim() : ''
  if (reason === '' || [...reason].length > MAX_REASON || CONTROL.test(reason)) throw badAct(REASON_RULE)
  const rule = brokenRule(reason)
  if (rule !== undefined) throw badAct(`reason ${rule}`)
  return reason
}

function badAct(message: string): LiveError {
  return new LiveError('BAD_ACT', message)
}

const heldComment = z.object({ id: z.string().regex(HELD_ID), videoId: z.string(), authorId: z.string(), authorName: z.string().optional(), content: z.string(), heldAt: z.number() })
const list = z.object({ held: z.array(heldComment) })
const request = z.looseObject({ actorId: z.string(), leftMs: z.number().min(0).optional() })
const result = z.union([
  z.object({ id: z.int().positive() }),
  z.object({ refused: z.literal(true) }),
  z.object({ error: z.object({ code: z.string().refine(isErrorCode), message: z.string() }) }),
])

export const printHeld = (held: readonly HeldComment[]): string => JSON.stringify({ held })

/** @throws LiveError BAD_REQUEST */
export const parseHeld = (bytes: Buffer): HeldComment[] => parse(list, bytes).held

export function printDecision({ actorId, decision: { kind, ...more }, leftMs }: DecisionRequest): string {
  return JSON.stringify({ decision: kind, ...more, actorId, leftMs })
}

/** The receiver checks who decides. @throws LiveError BAD_REQUEST, BAD_ACT */
export function parseDecision(bytes: Buffer): DecisionRequest {
  const { actorId, leftMs, ...decision } = parse(request, bytes)
  return { actorId, decision: checkDecision(decision), leftMs }
}

export const printDecisionResult = (result: DecisionResult): string => JSON.stringify(result)

/** @throws LiveError BAD_REQUEST */
export const parseDecisionResult = (bytes: Buffer): DecisionResult => parse(result, bytes)

function parse<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  try {
    return schema.parse(JSON.parse(bytes.toString()))
  } catch (cause) {
    throw new LiveError('BAD_REQUEST', 'the body does not have the shape that this route expects', { cause })
  }
}
