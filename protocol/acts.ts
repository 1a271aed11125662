import type { Buffer } from 'node:buffer'
import { z } from 'zod'
import { actFields, checkAct, type ActOrder } from './entry.js'
import { isErrorCode, type ErrorCode } from './errors.js'
import type { CommentId } from './id.js'
import { parse } from './posts.js'

/** An act that a gateway or an operator asks a dispatcher for, or that a dispatcher passes on to the video's owner. JSON both
 * ways; the act's own fields stand beside the order's. */
export interface ActRequest {
  /** Set by a dispatcher that passed it on: the receiver does it itself. */
  readonly passedOn: boolean
  readonly order: ActOrder
  /** How long somebody still waits, ms from when the request was sent; undefined: the sender does not say. Afterwards the act
   * must not be done. */
  readonly leftMs?: number | undefined
}

/** `created` is false if it had been done before: under this key, or since the comment was deleted already. */
export type ActResult = { readonly entryId: CommentId; readonly created: boolean } | { readonly error: { readonly code: ErrorCode; readonly message: string } }

const request = z.object({
  passedOn: z.boolean(),
  act: z.looseObject({ videoId: z.string(), key: z.string(), actorId: z.string(), asModerator: z.boolean().optional() }),
  leftMs: z.number().min(0).optional(),
})
const result = z.union([
  z.object({ entryId: z.int().positive(), created: z.boolean() }),
  z.object({ error: z.object({ code: z.string().refine(isErrorCode), message: z.string() }) }),
])

export function printActRequest({ passedOn, order, leftMs }: ActRequest): string {
  const { act, videoId, key, actorId, asModerator } = order
  return JSON.stringify({ passedOn, act: { videoId, key, actorId, asModerator, ...actFields(act) }, leftMs })
}

export const printActResult = (result: ActResult): string => JSON.stringify(result)

/** Checks the shape and the act; the receiver checks who, where and the key. @throws LiveError BAD_REQUEST, BAD_ACT */
export function parseActRequest(bytes: Buffer): ActRequest {
  const { passedOn, act: order, leftMs } = parse(request, bytes)
  const { videoId, key, actorId, asModerator = false, ...act } = order
  return { passedOn, order: { videoId, key, actorId, asModerator, act: checkAct(act) }, leftMs }
}

/** @throws LiveError BAD_REQUEST */
export const parseActResult = (bytes: Buffer): ActResult => parse(result, bytes)
