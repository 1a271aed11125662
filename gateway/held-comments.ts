import type { VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { parseDecisionResult, parseHeld, printDecision, type DecisionRequest, type DecisionResult, type HeldComment, type HeldId } from '../protocol/held.js'
import { OwnerCalls, toError } from './owner-calls.js'
import type { PosterOptions } from './post-comment.js'

/** Comments that wait for a moderator. A decision names its comment, so that it is made once, whoever hears of it. */
export class HeldComments {
  readonly #calls: OwnerCalls

  constructor(options: PosterOptions) {
    this.#calls = new OwnerCalls(options)
  }

  /** The oldest first. @throws LiveError UNAVAILABLE, UPGRADE_UNFINISHED */
  list(videoId: VideoId): Promise<HeldComment[]> {
    return this.#calls.read(videoId, `/internal/held/${videoId}`, parseHeld)
  }

  /** @param lostMs how long the request waited for this process to run: that comes off the time it has
   * @throws LiveError what a dispatcher said; UNAVAILABLE: it was not done; OUTCOME_UNKNOWN: it may have been, and a retry of the same
   * decision reveals whether it was */
  async decide(videoId: VideoId, id: HeldId, request: Omit<DecisionRequest, 'leftMs'>, lostMs: number): Promise<Exclude<DecisionResult, { error: unknown }>> {
    const result = await this.#calls.change(
      videoId,
      {
        path: `/internal/held/${videoId}/${id}`,
        body: leftMs => printDecision({ ...request, leftMs }),
        parse: parseDecisionResult,
        settle: result => result,
        unknown: cause => new LiveError('OUTCOME_UNKNOWN', 'it may have been decided: the same decision, sent again, reveals it', { cause }),
      },
      lostMs,
    )
    if ('error' in result) throw toError(result)
    return result
  }
}
