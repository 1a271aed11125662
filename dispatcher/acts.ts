import { parseActResult, printActRequest, type ActRequest, type ActResult } from '../protocol/acts.js'
import { ANONYMOUS, type VideoId } from '../protocol/comment.js'
import { checkOrder, type ActOrder, type Settings } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import type { CommentId } from '../protocol/id.js'
import { DEFAULT_LEFT_MS } from '../protocol/limits.js'
import type { MemberNode } from '../protocol/nodes.js'
import type { PostResult } from '../protocol/posts.js'
import type { TimedPost } from './accept.js'
import type { DispatcherMetrics } from './metrics.js'
import type { Owners } from './owners.js'
import { passOn, type PassOnDeps } from './pass-on.js'
import type { Send } from './pipe.js'
import { StoreUnavailableError, unlessUnavailable, type Place, type Store } from './store/store.js'

/** What an audit log says of an act. It never quotes a comment. */
export interface AuditRecord {
  readonly actor: string
  readonly asModerator: boolean
  readonly videoId: VideoId
  readonly type: ActOrder['act']['type'] | 'approved' | 'refused'
  /** The act's own id, or that of the comment which an approval has made; none of a refusal. */
  readonly entryId?: string
  /** The held comment that was approved or refused. */
  readonly heldId?: string
  /** The comment that it is about. */
  readonly target?: string
  /** Who is banned, and until when, Unix ms. */
  readonly authorId?: string
  readonly until?: number
  /** All settings from then on. */
  readonly settings?: Settings
}

export interface ActsDeps extends PassOnDeps {
  readonly owners: Owners
  readonly store: Store
  readonly send: Send
  readonly metrics: DispatcherMetrics
  /** Whether every dispatcher and edge in view knows acts. */
  readonly isUpgraded: () => boolean
  /** Stores here. Never rejects. */
  readonly accept: (posts: readonly TimedPost[]) => Promise<PostResult[]>
  /** An act was done before. Whoever did it may not have come so far as to tell anyone. */
  readonly repeated: (act: Place) => void
  readonly audit: (record: AuditRecord) => void
}

/** An author's comments that one call has deleted. */
export interface ErasedAuthor {
  readonly erased: number
  /** Where to go on; null when it is done. */
  readonly after: string | null
}

/** For each comment of an author who is erased, and how many go in one call. */
const ERASE_MS = 3_000
const ERASED_AT_ONCE = 100

/** Carries acts out: an act gets its place in the chain first, then the content of a deleted comment leaves the store, and only then
 * is the act answered. It goes to its video's owner as a post does, and its key makes it harmless if two dispatchers do it. After a
 * crash between the two steps nobody reads the content, and the next reader of the video's state takes the second step. */
export class Acts {
  readonly #deps: ActsDeps

  constructor(deps: ActsDeps) {
    this.#deps = deps
  }

  /** @param lostMs what it waited before it was read */
  act({ passedOn, order, leftMs = DEFAULT_LEFT_MS }: ActRequest, lostMs: number): Promise<ActResult> {
    const { owners, clock, isUpgraded } = this.#deps
    return orRefusal(() => {
      const checked = checkOrder(order)
      if (!isUpgraded()) throw new LiveError('UPGRADE_UNFINISHED', 'a dispatcher or an edge of a former version is still there: try again once all are upgraded')
      const deadline = clock.now() - lostMs + leftMs
      const owner = passedOn ? undefined : owners.otherOwner(checked.videoId)
      return owner ? this.#passOn(owner, checked, deadline) : this.#here(checked, deadline)
    })
  }

  /** Deletes some of an author's comments, in whatever videos they are, and at the start all that are held. @param after of the call before
   * @throws LiveError, what kept it from going on: it is to be repeated */
  async eraseAuthor(authorId: string, actorId: string, after = ''): Promise<ErasedAuthor> {
    // First, so that nobody approves one behind the search.
    let erased = after === '' ? await this.#deps.store.eraseHeld(authorId) : 0
    const found = await this.#deps.store.commentsBy(authorId, after === '' ? undefined : after)
    const places = found.places.slice(0, ERASED_AT_ONCE)
    for (const { videoId, id } of places) {
      const result = await this.act({ passedOn: false, order: { videoId, key: `erase-${id}`, actorId, asModerator: true, act: { type: 'deleted', target: id } }, leftMs: ERASE_MS }, 0)
      if ('error' in result && result.error.code !== 'COMMENT_NOT_FOUND') throw new LiveError(result.error.code, result.error.message)
      erased++
    }
    // What is deleted is not found again.
    return { erased, after: places.length < found.places.length ? after : (found.after ?? null) }
  }

  /** Who wrote a comment. @throws LiveError COMMENT_NOT_FOUND, for a deleted one too; StoreUnavailableError */
  async authorOf({ videoId, id }: Place): Promise<string> {
    const [found] = await this.#deps.store.page(videoId, { after: id - 1, until: id, newestFirst: false, limit: 1 })
    if (!found || found.act || found.deletedBy !== undefined) throw notFound()
    return found.comment.authorId
  }

  /** Takes the content of a deleted comment from the store, in place of the dispatcher that deleted it. */
  async finish(videoId: VideoId, target: CommentId): Promise<void> {
    await this.#deps.store.erase(videoId, target).catch(unlessUnavailable)
  }

  async #passOn(owner: MemberNode, order: ActOrder, deadline: number): Promise<ActResult> {
    const [result] = await passOn<ActResult>(this.#deps, owner, {
      count: 1,
      deadline,
      there: async (peer, timeoutMs) => [await this.#send(peer, order, Math.min(deadline - this.#deps.clock.now(), timeoutMs), timeoutMs)],
      here: async () => [await orRefusal(() => this.#here(order, deadline))],
    })
    return result!
  }

  async #send(owner: MemberNode, order: ActOrder, leftMs: number, timeoutMs: number): Promise<ActResult> {
    const body = printActRequest({ passedOn: true, order, leftMs: Math.max(0, Math.round(leftMs)) })
    return parseActResult(await this.#deps.send(owner, '/internal/acts', body, timeoutMs))
  }

  /** @throws LiveError */
  async #here(order: ActOrder, deadline: number): Promise<ActResult> {
    const { store, accept } = this.#deps
    const { videoId, key, actorId, act } = order
    await this.#checkPermission(order)
    const [result] = await accept([{ videoId, authorId: actorId, content: '', key, act, deadline }])
    if (!result) throw new Error('a post without a result')
    if ('held' in result) throw new Error('an act is not held')
    if ('error' in result) return { error: { code: result.error.code, message: result.error.message } }
    if (result.created) this.#note(order, result.comment.id)
    else this.#deps.repeated({ videoId, id: result.comment.id })
    if (act.type === 'deleted') {
      try {
        await store.erase(videoId, act.target)
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error
        throw new LiveError('OUTCOME_UNKNOWN', 'the comment is deleted, and its text may still be on the disk: the same key finishes it', { cause: error })
      }
    }
    return { entryId: result.comment.id, created: result.created }
  }

  /** Moderators may do anything. An author may delete comments of its own, and do that again. @throws LiveError */
  async #checkPermission({ videoId, key, actorId, asModerator, act }: ActOrder): Promise<void> {
    if (asModerator) return
    if (act.type !== 'deleted' || actorId === ANONYMOUS) throw new LiveError('FORBIDDEN', 'only a moderator may do that')
    const isDone = () => this.#deps.store.madeBy({ videoId, authorId: actorId, content: '', key, act })
    if (await isDone()) return
    try {
      if ((await this.authorOf({ videoId, id: act.target })) !== actorId) throw new LiveError('FORBIDDEN', 'only a moderator, or its author, may delete a comment')
    } catch (error) {
      // Another dispatcher that was asked too may have done it between the two looks.
      if (!(error instanceof LiveError) || error.code !== 'COMMENT_NOT_FOUND' || !(await isDone())) throw error
    }
  }

  #note({ videoId, actorId, asModerator, act }: ActOrder, id: CommentId): void {
    const { metrics, audit } = this.#deps
    metrics.acts.inc({ type: act.type })
    audit({
      actor: actorId,
      asModerator,
      videoId,
      type: act.type,
      entryId: String(id),
      ...('target' in act && act.target !== undefined ? { target: String(act.target) } : {}),
      ...(act.type === 'author-banned' ? { authorId: act.authorId, until: act.until } : {}),
      ...(act.type === 'settings' ? { settings: act.settings } : {}),
    })
  }
}

/** An error that is an answer is a result. */
async function orRefusal(act: () => Promise<ActResult>): Promise<ActResult> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof LiveError)) throw error
    return { error: { code: error.code, message: error.message } }
  }
}

function notFound(): LiveError {
  return new LiveError('COMMENT_NOT_FOUND', 'there is no such comment')
}
