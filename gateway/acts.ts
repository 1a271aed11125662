import { parseActResult, printActRequest, type ActResult } from '../protocol/acts.js'
import type { VideoId } from '../protocol/comment.js'
import { parseState, type ActOrder, type VideoState } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import type { CommentId } from '../protocol/id.js'
import type { MemberNode } from '../protocol/nodes.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { isOfThisDispatcher, type PosterOptions } from './post-comment.js'

/** A caller is answered within this time, and each try takes less: the same as for a post. */
const OVERALL_MS = 8_000
const TRY_MS = 3_000
const READ_OVERALL_MS = 6_000
const READ_TRY_MS = 2_000
const JSON_BODY = { 'content-type': 'application/json' }

/** Passes acts upon a video's comments on to its owner or, where that fails, to the next in hash order, under one idempotency key:
 * however many dispatchers have seen an act, it is done once. */
export class Acts {
  readonly #options: PosterOptions

  constructor(options: PosterOptions) {
    this.#options = options
  }

  /** @param lostMs how long the request waited for this process to run: that comes off the time it has
   * @returns the act's id, once it is on disk
   * @throws LiveError what a dispatcher said; UNAVAILABLE: it was not done; OUTCOME_UNKNOWN: it may have been, and a retry with the
   * key in the error's details reveals it */
  async perform(order: ActOrder, lostMs: number): Promise<CommentId> {
    const { clock, failover, owners } = this.#options
    let isUnknown = false
    const attempt = async (node: MemberNode, timeoutMs: number, first: boolean): Promise<ActResult> => {
      try {
        return await this.#ask(node, order, timeoutMs, !first)
      } catch (error) {
        isUnknown ||= mayBeDone(error)
        throw error
      }
    }
    try {
      const result = await failover.ask(owners(order.videoId), attempt, { deadline: clock.now() + OVERALL_MS - lostMs, tryMs: TRY_MS })
      if ('error' in result) throw toError(result)
      return result.entryId
    } catch (cause) {
      if (isUnknown || mayBeDone(cause)) {
        throw new LiveError('OUTCOME_UNKNOWN', 'it may have been done: a retry with the same Idempotency-Key reveals the outcome', { cause, details: { idempotencyKey: order.key } })
      }
      throw refusal(cause)
    }
  }

  /** How a video is set, and which comment is pinned. @throws LiveError UNAVAILABLE, UPGRADE_UNFINISHED */
  async state(videoId: VideoId): Promise<VideoState> {
    const { client, clock, failover, owners } = this.#options
    const attempt = async (node: MemberNode, timeoutMs: number): Promise<VideoState> => {
      const state = parseState(videoId, (await client.call(node.internalUrl, { method: 'GET', path: `/internal/state/${videoId}`, timeoutMs })).toString())
      if (!state) throw new PeerError('status', 'an answer that cannot be read')
      return state
    }
    try {
      return await failover.ask(owners(videoId), attempt, { deadline: clock.now() + READ_OVERALL_MS, tryMs: READ_TRY_MS, hedged: true })
    } catch (error) {
      throw refusal(error)
    }
  }

  /** @throws PeerError where there was no answer; Declined where another dispatcher may do what this one cannot */
  async #ask(node: MemberNode, order: ActOrder, timeoutMs: number, passedOn: boolean): Promise<ActResult> {
    const answer = await this.#options.client.call(node.internalUrl, { path: '/internal/acts', body: printActRequest({ passedOn, order, leftMs: Math.round(timeoutMs) }), headers: JSON_BODY, timeoutMs })
    const result = parseActResult(answer)
    if ('error' in result && isOfThisDispatcher(result)) throw new Declined(toError(result))
    return result
  }
}

/** A dispatcher's refusal that the next one may not repeat. */
export class Declined extends Error {
  constructor(readonly error: LiveError) {
    super(error.message)
  }
}

/** Whether the dispatcher whose answer this is, or whose answer is missing, may have done it. */
export function mayBeDone(error: unknown): boolean {
  if (error instanceof Declined) return error.error.code === 'OUTCOME_UNKNOWN'
  return error instanceof PeerError && error.sent && (error.status ?? 500) >= 500
}

/** Why nothing was done. */
export function refusal(error: unknown): unknown {
  if (error instanceof Declined) return error.error
  if (!(error instanceof PeerError)) return error
  if (error.status === 404) return new LiveError('UPGRADE_UNFINISHED', 'a dispatcher is of the former version, which knows no moderation', { cause: error })
  return new LiveError('UNAVAILABLE', 'no dispatcher is available', { cause: error })
}

export function toError({ error: { code, message } }: Extract<ActResult, { error: unknown }>): LiveError {
  return new LiveError(code, message, code === 'OVERLOADED' ? { headers: { 'retry-after': '1' } } : undefined)
}
