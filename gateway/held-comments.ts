import type { VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { parseDecisionResult, parseHeld, printDecision, type DecisionRequest, type DecisionResult, type HeldComment, type HeldId } from '../protocol/held.js'
import type { MemberNode } from '../protocol/nodes.js'
import { Declined, mayBeDone, refusal, toError } from './acts.js'
import { isOfThisDispatcher, type PosterOptions } from './post-comment.js'

const OVERALL_MS = 8_000
const TRY_MS = 3_000
const READ_OVERALL_MS = 6_000
const READ_TRY_MS = 2_000
const JSON_BODY = { 'content-type': 'application/json' }

/** Comments that wait for a moderator: read from, and decided at, their video's owner or the next in hash order. A decision names its
 * comment, so that it is made once, whoever hears of it. */
export class HeldComments {
  readonly #options: PosterOptions

  constructor(options: PosterOptions) {
    this.#options = options
  }

  /** The oldest first. @throws LiveError UNAVAILABLE, UPGRADE_UNFINISHED */
  async list(videoId: VideoId): Promise<HeldComment[]> {
    const { client, clock, failover, owners } = this.#options
    const attempt = async (node: MemberNode, timeoutMs: number) => parseHeld(await client.call(node.internalUrl, { method: 'GET', path: `/internal/held/${videoId}`, timeoutMs }))
    try {
      return await failover.ask(owners(videoId), attempt, { deadline: clock.now() + READ_OVERALL_MS, tryMs: READ_TRY_MS, hedged: true })
    } catch (error) {
      throw refusal(error)
    }
  }

  /** @param lostMs how long the request waited for this process to run: that comes off the time it has
   * @throws LiveError what a dispatcher said; UNAVAILABLE: it was not done; OUTCOME_UNKNOWN: it may have been, and the same decision,
   * sent again, finds out */
  async decide(videoId: VideoId, id: HeldId, request: Omit<DecisionRequest, 'leftMs'>, lostMs: number): Promise<Exclude<DecisionResult, { error: unknown }>> {
    const { clock, failover, owners } = this.#options
    let isUnknown = false
    const attempt = async (node: MemberNode, timeoutMs: number): Promise<DecisionResult> => {
      try {
        return await this.#ask(node, `/internal/held/${videoId}/${id}`, { ...request, leftMs: Math.round(timeoutMs) }, timeoutMs)
      } catch (error) {
        isUnknown ||= mayBeDone(error)
        throw error
      }
    }
    let result: DecisionResult
    try {
      result = await failover.ask(owners(videoId), attempt, { deadline: clock.now() + OVERALL_MS - lostMs, tryMs: TRY_MS })
    } catch (cause) {
      if (isUnknown || mayBeDone(cause)) throw new LiveError('OUTCOME_UNKNOWN', 'it may have been decided: the same decision, sent again, reveals it', { cause })
      throw refusal(cause)
    }
    if ('error' in result) throw toError(result)
    return result
  }

  /** @throws PeerError where there was no answer; Declined where another dispatcher may do what this one cannot */
  async #ask(node: MemberNode, path: string, request: DecisionRequest, timeoutMs: number): Promise<DecisionResult> {
    const result = parseDecisionResult(await this.#options.client.call(node.internalUrl, { path, body: printDecision(request), headers: JSON_BODY, timeoutMs }))
    if ('error' in result && isOfThisDispatcher(result)) throw new Declined(toError(result))
    return result
  }
}
