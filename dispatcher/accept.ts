import { checkAuthor, checkBody, checkKey, checkVideoId, type Comment, type Draft, type VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import type { PostError, PostResult } from '../protocol/posts.js'
import type { Clock } from '../runtime/clock.js'
import type { Traces } from '../runtime/traces/traces.js'
import { LastPosts } from './last-posts.js'
import type { DispatcherMetrics } from './metrics.js'
import { forbidden, slowModeMs, tooSoon } from './permission.js'
import type { KnownState } from './recent-comments.js'
import type { Verdict } from './review.js'
import type { Rules } from './rules.js'
import { heldIdOf, outcomeOfHeld } from './store/held-draft.js'
import { StoreUnavailableError, type Outcome, type Store, type Stored, type Timed } from './store/store.js'

export interface AcceptDeps {
  readonly store: Store
  readonly clock: Clock
  /** What the site lets its viewers say. */
  readonly rules: Rules
  readonly metrics: DispatcherMetrics
  /** Where comments are traced. */
  readonly traces?: Traces | undefined
  /** What the site's review says of a post, at its deadline at the latest; it never rejects. Without, every post is published. */
  readonly review?: ((post: TimedPost) => Promise<Verdict>) | undefined
  /** Whether every dispatcher in view looks for a key among held comments, too. */
  readonly mayHold: () => boolean
  /** What the acts of these videos have come to; one that cannot be read is absent. Rejects with StoreUnavailableError. */
  readonly states: (videoIds: readonly VideoId[]) => ReadonlyMap<VideoId, KnownState> | Promise<ReadonlyMap<VideoId, KnownState>>
  /** A new entry, after its acknowledgement. @param asOf monotonic ms when its commit was asked for */
  readonly stored: (stored: Stored, asOf: number) => void
  /** A comment is held, perhaps since before. */
  readonly held: (videoId: VideoId) => void
  /** A key made this entry before. */
  readonly repeated: (comment: Comment) => void
  /** Something may have been stored in this video. */
  readonly doubtful: (videoId: VideoId) => void
  readonly onBug: (error: unknown) => void
  /** Most bytes of posts that wait for a commit or are in one. */
  readonly maxQueueBytes: number
}

/** About 20 ms of SQLite: no post waits long behind a group that is not its own. */
const MAX_GROUP = 500
const POST_OVERHEAD_BYTES = 200
/** The one lane there is where the store does one append at a time. */
const ALL_VIDEOS = ''

export type Refusal = Pick<PostError, 'code' | 'message' | 'retryAfterSeconds'>
type Judged = Waiting | undefined

const UPGRADE_UNFINISHED: Refusal = { code: 'UPGRADE_UNFINISHED', message: 'the comment must be held, and a dispatcher or an edge of a former version is still there: try again once all are upgraded' }
export const TOO_LATE: Refusal = { code: 'UNAVAILABLE', message: 'the post came too late to be stored in time' }

/** A draft that must be in the store by its deadline, monotonic ms, or never. */
export interface TimedPost extends Timed {
  readonly deadline: number
  /** A moderator's: the state of its video does not hold for it. */
  readonly exempt?: boolean | undefined
  /** A token named the author. */
  readonly signedIn?: boolean | undefined
}

/** Posts that share commits: a video's, or all, by what the store does at a time. */
interface Lane {
  readonly name: string
  queue: Waiting[]
}

interface Waiting {
  readonly draft: TimedPost
  readonly bytes: number
  /** When it came, monotonic ms. */
  readonly since: number
  readonly answer: (result: PostResult) => void
}

/** Posts on their way into the store. Rule 1: store first, all that arrived while the last commit ran in the
 * next one; then acknowledge; then forward. A crash before forwarding costs liveness (sync repairs it), never
 * the comment. Where the store writes several videos at a time, none waits for another's commit. All that waits is
 * bounded: beyond that a post is refused at once. */
export class Accept {
  readonly #deps: AcceptDeps
  readonly #lastPosts = new LastPosts()
  readonly #commitsAtOnce: number
  /** Those with posts that wait or are being committed. */
  readonly #lanes = new Map<string, Lane>()
  /** Those with posts and no commit, in turn. */
  readonly #ready: Lane[] = []
  #committing = 0
  #bytes = 0
  #whenIdle: (() => void)[] = []

  constructor(deps: AcceptDeps) {
    this.#deps = deps
    this.#commitsAtOnce = deps.store.atOnce?.appends ?? 1
  }

  /** Bytes of posts that wait or are being committed. */
  get bytes(): number {
    return this.#bytes
  }

  /** Each post's result, in order: an error is a result. An act is a post that no rule and no state refuses; its result's comment
   * is its entry, without author and content. */
  accept(drafts: readonly TimedPost[]): Promise<PostResult[]> {
    const results = drafts.map(draft => this.#enqueue(draft))
    this.#commitReady()
    return Promise.all(results)
  }

  /** Resolves when nothing is queued any more. */
  async idle(): Promise<void> {
    if (this.#lanes.size > 0) await new Promise<void>(resolve => this.#whenIdle.push(resolve))
  }

  #enqueue(unchecked: TimedPost): Promise<PostResult> {
    const { maxQueueBytes, rules } = this.#deps
    let draft: TimedPost
    try {
      draft = check(unchecked)
    } catch (error) {
      if (error instanceof LiveError) return Promise.resolve(this.#refuse(error))
      throw error
    }
    const bytes = POST_OVERHEAD_BYTES + 2 * draft.content.length
    if (this.#bytes + bytes > maxQueueBytes) {
      return Promise.resolve(this.#refuse(new LiveError('OVERLOADED', 'too many posts are waiting to be stored: try again in a moment')))
    }
    this.#bytes += bytes
    const broken = draft.act || draft.review === 'approve' ? undefined : rules.broken(draft)
    if (broken) return this.#refuseUnlessMade(draft, broken).finally(() => (this.#bytes -= bytes))
    const { review } = this.#deps
    if (review && !draft.act && !draft.exempt) return this.#review(draft, bytes, review)
    return this.#queue(draft, bytes)
  }

  #queue(draft: TimedPost, bytes: number): Promise<PostResult> {
    const { clock, metrics } = this.#deps
    metrics.accepted.inc()
    return new Promise(resolve => this.#laneOf(draft.videoId).queue.push({ draft, bytes, since: clock.now(), answer: resolve }))
  }

  /** Before anything of it is stored. What was said of its key before holds: the store looks whether it is held already. */
  async #review(draft: TimedPost, bytes: number, review: NonNullable<AcceptDeps['review']>): Promise<PostResult> {
    const verdict = await review(draft)
    const refusal = verdict.kind === 'hold' && !this.#deps.mayHold() ? UPGRADE_UNFINISHED : refusalIn(verdict)
    if (refusal) {
      this.#deps.rules.release(draft)
      return this.#refuseUnlessMade(draft, refusal).finally(() => (this.#bytes -= bytes))
    }
    const result = this.#queue({ ...draft, review: verdict.kind === 'hold' ? 'hold' : 'publish' }, bytes)
    // Those of the same answer share a commit.
    queueMicrotask(() => this.#commitReady())
    return result
  }

  /** A post that comes again under its key is answered as before, whatever the rules, or the memory of another dispatcher,
   * have become meanwhile. */
  async #refuseUnlessMade(draft: Draft, broken: Refusal): Promise<PostResult> {
    const { store, review } = this.#deps
    try {
      const comment = await store.madeBy(draft)
      const held = comment || !review ? undefined : outcomeOfHeld(draft, await store.held(draft.videoId, heldIdOf(draft)))
      if (held?.kind === 'held') return this.#held()
      if (!comment) return this.#refuse(held ? refusalOf(held) : broken)
      this.#deps.metrics.posts.inc({ code: 'repeated' })
      this.#deps.repeated(comment)
      return { comment, created: false }
    } catch (error) {
      return this.#refuse(this.#told(error))
    }
  }

  #held(): PostResult {
    this.#deps.metrics.posts.inc({ code: 'held' })
    return { held: true }
  }

  #laneOf(videoId: VideoId): Lane {
    const name = this.#commitsAtOnce === 1 ? ALL_VIDEOS : videoId
    let lane = this.#lanes.get(name)
    if (!lane) {
      lane = { name, queue: [] }
      this.#lanes.set(name, lane)
      this.#ready.push(lane)
    }
    return lane
  }

  #commitReady(): void {
    while (this.#committing < this.#commitsAtOnce && this.#ready.length > 0) void this.#commitNext(this.#ready.shift()!)
  }

  /** One commit, then the lane waits for its next turn. */
  async #commitNext(lane: Lane): Promise<void> {
    this.#committing++
    const group = lane.queue.splice(0, MAX_GROUP).filter(waiting => !this.#isLate(waiting))
    const allowed = this.#allowed(lane, group)
    await this.#commit(lane, allowed instanceof Promise ? await allowed : allowed)
    this.#committing--
    if (lane.queue.length > 0) this.#ready.push(lane)
    else this.#lanes.delete(lane.name)
    this.#commitReady()
    if (this.#lanes.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /** Nobody waits for it any more: it is refused before it can be stored. */
  #isLate(waiting: Waiting): boolean {
    const { deadline } = waiting.draft
    if (deadline === undefined || this.#deps.clock.now() < deadline) return false
    this.#failOne(waiting, TOO_LATE)
    return true
  }

  /** Those that the state of their videos allows; the others are answered. At once where memory knows all that it takes. */
  #allowed(lane: Lane, group: readonly Waiting[]): readonly Waiting[] | Promise<readonly Waiting[]> {
    const videoIds = group.filter(({ draft }) => !draft.act).map(({ draft }) => draft.videoId)
    if (videoIds.length === 0) return group
    const states = this.#deps.states(videoIds)
    if (!(states instanceof Promise)) return this.#judge(group, states)
    return states.then(
      read => this.#judge(group, read),
      (error: unknown) => {
        this.#fail(lane, group, error)
        return []
      },
    )
  }

  #judge(group: readonly Waiting[], states: ReadonlyMap<VideoId, KnownState>): readonly Waiting[] | Promise<readonly Waiting[]> {
    const judged = group.map(waiting => this.#judgeOne(waiting, states.get(waiting.draft.videoId)))
    const allowed = (each: readonly Judged[]) => each.filter(waiting => waiting !== undefined)
    return judged.some(each => each instanceof Promise) ? Promise.all(judged.map(async each => each)).then(allowed) : allowed(judged as readonly Judged[])
  }

  #judgeOne(waiting: Waiting, state: KnownState | undefined): Judged | Promise<Judged> {
    const { draft } = waiting
    if (draft.act) return waiting
    if (!state) return void this.#failOne(waiting, new StoreUnavailableError('this video cannot be read'))
    const refusal = forbidden(draft, state, this.#deps.clock.wall())
    if (refusal) return void this.#refuseLate(waiting, refusal)
    const slowMs = slowModeMs(draft, state)
    return slowMs === 0 ? waiting : this.#judgeSlow(waiting, slowMs)
  }

  /** Another dispatcher may have stored the author's last comment: only the store can say that it is long enough ago. */
  async #judgeSlow(waiting: Waiting, slowMs: number): Promise<Judged> {
    const { draft } = waiting
    const { videoId, authorId } = draft
    const { clock, store } = this.#deps
    const leftMs = (lastAt: number | undefined) => (lastAt ?? -Infinity) + slowMs - clock.wall()
    const noted = this.#lastPosts.at(videoId, authorId)
    if (leftMs(noted) > 0) return void this.#refuseLate(waiting, tooSoon(leftMs(noted)))
    this.#lastPosts.note(videoId, authorId, clock.wall())
    try {
      const storedAt = await store.lastPostedAt(videoId, authorId)
      if (leftMs(storedAt) <= 0) return waiting
      this.#lastPosts.note(videoId, authorId, storedAt!)
      return void this.#refuseLate(waiting, tooSoon(leftMs(storedAt)))
    } catch (error) {
      return void this.#failOne(waiting, this.#told(error))
    }
  }

  /** The state of its video refuses a post that has waited, unless its key has made a comment before. */
  #refuseLate({ draft, bytes, answer }: Waiting, refusal: Refusal): void {
    this.#deps.rules.release(draft)
    void this.#refuseUnlessMade(draft, refusal).then(result => {
      this.#bytes -= bytes
      answer(result)
    })
  }

  async #commit(lane: Lane, group: readonly Waiting[]): Promise<void> {
    if (group.length === 0) return
    const { store, clock, metrics, traces } = this.#deps
    const startedAt = clock.now()
    metrics.groupComments.observe(group.length)
    let outcomes: Outcome[]
    try {
      outcomes = await store.append(group.map(({ draft }) => draft), clock.wall())
    } catch (error) {
      return this.#fail(lane, group, error)
    }
    metrics.commitSeconds.observe((clock.now() - startedAt) / 1000)
    group.forEach((waiting, i) => this.#answer(waiting, outcomes[i]!))
    if (traces) group.forEach(({ since }, i) => traceStored(traces, outcomes[i]!, since, group.length))
    for (const outcome of outcomes) {
      if (outcome.kind === 'created') this.#deps.stored(outcome, startedAt)
      else if (outcome.kind === 'repeated') this.#deps.repeated(outcome.comment)
    }
    this.#doubt(group.filter((_, i) => outcomes[i]!.kind === 'unknown'))
    if (lane.name !== ALL_VIDEOS && outcomes.every(({ kind }) => kind === 'unknown' || kind === 'failed')) this.#failBehind(lane)
  }

  #doubt(group: readonly Waiting[]): void {
    for (const videoId of new Set(group.map(({ draft }) => draft.videoId))) this.#deps.doubtful(videoId)
  }

  #answer(waiting: Waiting, outcome: Outcome): void {
    if (outcome.kind === 'held') {
      this.#bytes -= waiting.bytes
      this.#deps.held(waiting.draft.videoId)
      return waiting.answer(this.#held())
    }
    if (outcome.kind !== 'created' && outcome.kind !== 'repeated') return this.#failOne(waiting, refusalOf(outcome))
    const { metrics } = this.#deps
    this.#bytes -= waiting.bytes
    if (!waiting.draft.act) {
      metrics.posts.inc({ code: outcome.kind })
      if (outcome.kind === 'created') metrics.stored.inc()
    }
    waiting.answer({ comment: outcome.comment, created: outcome.kind === 'created' })
  }

  /** What waited behind it in its lane is refused with it: a store that could not commit for its whole deadline would keep each of
   * the next groups as long. None of it is acknowledged or forwarded; a retry with its key reveals whether the group
   * itself was stored all the same. */
  #fail(lane: Lane, group: readonly Waiting[], error: unknown): void {
    const answer = this.#told(error)
    for (const waiting of group) this.#failOne(waiting, answer)
    this.#failBehind(lane, error instanceof StoreUnavailableError ? undefined : answer)
    if (answer.code === 'OUTCOME_UNKNOWN') this.#doubt(group)
  }

  #failBehind(lane: Lane, answer: Refusal = new StoreUnavailableError('the posts before this one could not be stored')): void {
    for (const waiting of lane.queue.splice(0)) this.#failOne(waiting, answer)
  }

  #failOne({ draft, bytes, answer }: Waiting, error: Refusal): void {
    this.#bytes -= bytes
    if (!draft.act) {
      this.#deps.rules.release(draft)
      this.#lastPosts.forget(draft.videoId, draft.authorId)
    }
    answer(this.#refuse(error))
  }

  /** What a poster is told of the store's failure. */
  #told(error: unknown): LiveError {
    if (error instanceof StoreUnavailableError) return error.unknown ? new LiveError('OUTCOME_UNKNOWN', error.message, { cause: error }) : error
    this.#deps.onBug(error)
    return new LiveError('INTERNAL', 'something is wrong on our side')
  }

  #refuse({ code, message, retryAfterSeconds }: Refusal): PostResult {
    this.#deps.metrics.posts.inc({ code })
    return { error: { code, message, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) } }
  }
}

function traceStored(traces: Traces, outcome: Outcome, since: number, together: number): void {
  if (outcome.kind === 'created') traces.store(outcome.comment, since, together)
}

/** Why a review lets nothing be stored. */
function refusalIn(verdict: Verdict): Refusal | undefined {
  if (verdict.kind === 'refuse') return refused(verdict.reason)
  return verdict.kind === 'unavailable' ? new LiveError('REVIEW_UNAVAILABLE', 'comments cannot be reviewed now: try again in a moment') : undefined
}

function refused(reason = 'the comment was refused by review'): Refusal {
  return new LiveError('REVIEW_REFUSED', reason)
}

function refusalOf(outcome: Exclude<Outcome, { comment: Comment } | { kind: 'held' }>): Refusal {
  switch (outcome.kind) {
    case 'reused':
      return new LiveError('KEY_REUSED', 'this Idempotency-Key was used with other content')
    case 'missing':
      return new LiveError('COMMENT_NOT_FOUND', 'there is no such comment')
    case 'refused':
      return refused(outcome.reason)
    case 'expired':
      return TOO_LATE
    case 'failed':
      return new StoreUnavailableError(`this video cannot be written: ${outcome.reason}`)
    case 'unknown':
      return new LiveError('OUTCOME_UNKNOWN', `the comment may have been stored: ${outcome.reason}`)
  }
}

/** @throws LiveError BAD_… */
function check(post: TimedPost): TimedPost {
  const { videoId, authorId, authorName, content, key, deadline, act, exempt, signedIn } = post
  if (act || post.review === 'approve') return post // checked with its order, or when it was held
  const name = authorName === undefined ? {} : { authorName: checkAuthor(authorName, 'authorName') }
  return { videoId: checkVideoId(videoId), ...checkBody({ authorId, content }), ...name, ...(exempt && { by: 'moderator' as const }), key: checkKey(key), deadline, exempt, signedIn }
}
