import { parseActResult, printActRequest } from '../protocol/acts.js'
import type { VideoId } from '../protocol/comment.js'
import { parseState, type ActOrder, type VideoState } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import type { CommentId } from '../protocol/id.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { OwnerCalls, toError } from './owner-calls.js'
import type { PosterOptions } from './post-comment.js'

/** Passes acts upon a video's comments on under one idempotency key: however many dispatchers have seen an act, it is done once. */
export class Acts {
  readonly #calls: OwnerCalls

  constructor(options: PosterOptions) {
    this.#calls = new OwnerCalls(options)
  }

  /** @param lostMs how long the request waited for this process to run: that comes off the time it has
   * @returns the act's id, once it is on disk
   * @throws LiveError what a dispatcher said; UNAVAILABLE: it was not done; OUTCOME_UNKNOWN: it may have been, and a retry with the
   * key in the error's details reveals it */
  perform(order: ActOrder, lostMs: number): Promise<CommentId> {
    return this.#calls.change(
      order.videoId,
      {
        path: '/internal/acts',
        body: (leftMs, isFirst) => printActRequest({ passedOn: !isFirst, order, leftMs }),
        parse: parseActResult,
        settle(result) {
          if ('error' in result) throw toError(result)
          return result.entryId
        },
        unknown: cause => new LiveError('OUTCOME_UNKNOWN', 'it may have been done: a retry with the same Idempotency-Key reveals the outcome', { cause, details: { idempotencyKey: order.key } }),
      },
      lostMs,
    )
  }

  /** How a video is set, and which comment is pinned. @throws LiveError UNAVAILABLE, UPGRADE_UNFINISHED */
  state(videoId: VideoId): Promise<VideoState> {
    return this.#calls.read(videoId, `/internal/state/${videoId}`, answer => {
      const state = parseState(videoId, answer.toString())
      if (!state) throw new PeerError('status', 'an answer that cannot be read')
      return state
    })
  }
}
