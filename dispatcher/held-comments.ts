import { checkAuthor, type VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { MAX_HELD, type DecisionRequest, type DecisionResult, type HeldComment, type HeldId } from '../protocol/held.js'
import { DEFAULT_LEFT_MS } from '../protocol/limits.js'
import type { PostResult } from '../protocol/posts.js'
import type { Clock } from '../runtime/clock.js'
import type { TimedPost } from './accept.js'
import type { AuditRecord } from './acts.js'
import type { DispatcherMetrics } from './metrics.js'
import type { Held, Store } from './store/store.js'

export interface HeldCommentsDeps {
  readonly store: Store
  readonly clock: Clock
  readonly metrics: DispatcherMetrics
  /** Stores here. Never rejects. */
  readonly accept: (posts: readonly TimedPost[]) => Promise<PostResult[]>
  readonly audit: (record: AuditRecord) => void
  /** A comment of the video is not held any more. */
  readonly decided: (videoId: VideoId) => void
}

/** What moderators see of held comments, and decide. An approved comment is the post that it was, under its own key: it goes the way
 * of every post, and whichever dispatcher is asked, and however often, one comment comes of it. */
export class HeldComments {
  readonly #deps: HeldCommentsDeps

  constructor(deps: HeldCommentsDeps) {
    this.#deps = deps
  }

  /** The oldest first. @throws StoreUnavailableError */
  list(videoId: VideoId): Promise<HeldComment[]> {
    return this.#deps.store.heldIn(videoId, MAX_HELD)
  }

  /** The same decision twice is answered as the first time. @param lostMs what the request waited before it was read
   * @throws StoreUnavailableError */
  async decide(videoId: VideoId, heldId: HeldId, { actorId, decision, leftMs = DEFAULT_LEFT_MS }: DecisionRequest, lostMs: number): Promise<DecisionResult> {
    const { store, clock } = this.#deps
    const deadline = clock.now() - lostMs + leftMs
    const actor = checkAuthor(actorId, 'actorId')
    const held = await store.held(videoId, heldId)
    if (!held) return refusal(new LiveError('COMMENT_NOT_FOUND', 'no such comment is held'))
    if (decision.kind === 'approve') return held.decided ? decidedBefore(held, 'approve') : this.#approve(held, actor, deadline)
    if (held.decided) return decidedBefore(held, 'refuse')
    const after = await store.refuseHeld(videoId, heldId, decision.reason, clock.wall())
    const answer = after?.decided ? decidedBefore(after, 'refuse') : refusal(new LiveError('ALREADY_DECIDED', 'another moderator approves it just now'))
    if ('refused' in answer) this.#note({ actor, asModerator: true, videoId, type: 'refused', heldId })
    return answer
  }

  async #approve(held: Held, actor: string, deadline: number): Promise<DecisionResult> {
    const { videoId, authorId, authorName, content, key, id: heldId } = held
    const [result] = await this.#deps.accept([{ videoId, authorId, authorName, content, key, deadline, review: 'approve', exempt: true }])
    if (!result || 'held' in result) throw new Error('an approval without a result')
    if ('error' in result) return refusal(result.error.code === 'REVIEW_REFUSED' ? refusedBefore() : new LiveError(result.error.code, result.error.message))
    const { id } = result.comment
    if (result.created) this.#note({ actor, asModerator: true, videoId, type: 'approved', entryId: String(id), heldId })
    return { id }
  }

  #note(record: AuditRecord): void {
    this.#deps.metrics.acts.inc({ type: record.type })
    this.#deps.audit(record)
    this.#deps.decided(record.videoId)
  }
}

/** @param wanted what is decided now */
function decidedBefore({ decided }: Held, wanted: 'approve' | 'refuse'): DecisionResult {
  if (!decided) throw new Error('nobody has decided')
  if ('approved' in decided) return wanted === 'approve' ? { id: decided.approved } : refusal(new LiveError('ALREADY_DECIDED', 'it was approved before: delete the comment instead'))
  return wanted === 'refuse' ? { refused: true } : refusal(refusedBefore())
}

function refusedBefore(): LiveError {
  return new LiveError('ALREADY_DECIDED', 'it was refused before')
}

function refusal({ code, message }: LiveError): DecisionResult {
  return { error: { code, message } }
}
