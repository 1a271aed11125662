import type { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { checkAuthoredBody, checkBody, toPublic, type VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import type { DispatcherNode, MemberNode } from '../protocol/nodes.js'
import type { PostError, PostResult } from '../protocol/posts.js'
import type { Homes } from '../registry/homes.js'
import type { Bearer } from '../runtime/auth/token.js'
import { sleep, type Clock } from '../runtime/clock.js'
import { json, type Reply } from '../runtime/http/reply.js'
import type { Caller } from '../runtime/peers/client.js'
import type { Failover } from '../runtime/peers/failover.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import type { Traces } from '../runtime/traces/traces.js'
import { parseBody } from './json-request.js'
import { PostPipe, type PostDraft, type Tried } from './post-pipe.js'

/** A poster is answered within this time. */
const OVERALL_MS = 8_000
/** One try at one dispatcher. Longer than a dispatcher passes a post on, which is longer than its store tries. */
const TRY_MS = 3_000
const ROUND_PAUSE_MS = 200

export interface PosterOptions {
  readonly client: Caller
  /** A video's dispatchers, the owner first. */
  readonly owners: (videoId: VideoId) => readonly DispatcherNode[]
  readonly failover: Failover
  /** Which cluster is a video's home, where there are several. */
  readonly homes?: Pick<Homes, 'elsewhere'> | undefined
  readonly clock: Clock
  readonly traces?: Traces | undefined
}

type Refusal = Extract<PostResult, { error: unknown }>

/** Posts to the video's owner and, where that fails or takes long, to the next in hash order, under one idempotency key:
 * however many dispatchers have seen the post, one comment comes of it. */
export class Poster {
  readonly #options: PosterOptions
  /** By dispatcher and home. */
  readonly #pipes = new Map<string, PostPipe>()
  /** Posts that have not been answered yet. */
  inFlight = 0

  constructor(options: PosterOptions) {
    this.#options = options
  }

  /** 201 and the comment, or 202 where it is held for a moderator. @param key the client's; made here where it gave none
   * @param by.author whom a token says it is by; without, the body does
   * @param by.lostMs how long it waited for this process to run before it was read: that comes off the time it has
   * @throws LiveError BAD_COMMENT, what a dispatcher said; UNAVAILABLE: it was not stored and will not be; OUTCOME_UNKNOWN:
   * the comment may have been stored, and a retry with the key in the error's details reveals it */
  async post(videoId: VideoId, key: string | undefined, body: Promise<Buffer>, { author, lostMs = 0 }: { author?: Pick<Bearer, 'authorId' | 'authorName' | 'isModerator'> | undefined; lostMs?: number } = {}): Promise<Reply> {
    const { clock, traces } = this.#options
    const since = clock.now() - lostMs
    this.inFlight++
    try {
      const said = parseBody(await body, 'BAD_COMMENT')
      const draft: PostDraft = { videoId, ...(author ? { ...authorOf(author), ...checkAuthoredBody(said) } : checkBody(said)), key: key ?? randomUUID() }
      if (lostMs >= OVERALL_MS) throw new LiveError('UNAVAILABLE', 'this gateway stood still, and the post was read too late')
      const result = await this.#store(draft, OVERALL_MS - lostMs)
      if ('error' in result) throw toError(result, draft.key)
      if ('held' in result) return json({ held: true, idempotencyKey: draft.key }, 202)
      traces?.post(result.comment, since)
      return json(toPublic(result.comment), 201)
    } finally {
      this.inFlight--
    }
  }

  /** A post that another cluster passes home. @param leftMs how long it waits there */
  async pass(draft: PostDraft, leftMs: number): Promise<PostResult> {
    this.inFlight++
    try {
      return leftMs > 0 ? await this.#store(draft, Math.min(OVERALL_MS, leftMs)) : unavailable
    } finally {
      this.inFlight--
    }
  }

  /** In rounds, each of which asks every dispatcher once. */
  async #store(draft: PostDraft, leftMs: number): Promise<PostResult> {
    const { clock, failover, owners } = this.#options
    const deadline = clock.now() + leftMs
    const post = new Post(draft)
    for (;;) {
      const { declined } = post
      try {
        const result = await failover.ask(owners(draft.videoId), (node, timeoutMs) => this.#try(node, post, timeoutMs), { deadline, tryMs: TRY_MS, hedged: true })
        return 'error' in result && !isSaidByAll(result) ? await post.beaten(result, clock, deadline) : result
      } catch (error) {
        if (!(error instanceof PeerError || error instanceof Declined)) throw error
      }
      // Every dispatcher that could be reached has said that it cannot store: waiting would not help.
      if (post.declined !== declined || clock.now() >= deadline - ROUND_PAUSE_MS || owners(draft.videoId).length === 0) return post.refusal()
      await sleep(clock, ROUND_PAUSE_MS)
    }
  }

  /** @throws PeerError where there was no answer; Declined where another dispatcher may do what this one cannot */
  #try(node: MemberNode, post: Post, timeoutMs: number): Promise<PostResult> {
    const isTwin = post.tries > 0
    post.begun()
    return this.#pipe(node, post.draft.videoId)
      .send(post, this.#options.clock.now() + timeoutMs, isTwin)
      .then(
        result => {
          if ('error' in result && isOfThisDispatcher(result)) throw post.failed(new Declined(result))
          post.answered(result)
          return result
        },
        (cause: unknown) => {
          if (!(cause instanceof LiveError)) throw post.failed(cause)
          // Its pipe here is full, which says nothing of the dispatcher.
          post.declined = { error: { code: cause.code, message: cause.message } }
          throw post.failed(new PeerError('local', cause.message, { cause }))
        },
      )
  }

  /** One for each home: a batch is answered once all its posts are, and those of another cluster wait for its answer. In one pipe they
   * would hold up posts of our own videos, and two clusters would wait for each other. */
  #pipe(node: MemberNode, videoId: VideoId): PostPipe {
    const key = `${node.internalUrl} ${this.#options.homes?.elsewhere(videoId)?.name ?? ''}`
    let pipe = this.#pipes.get(key)
    if (pipe) return pipe
    for (const [other, each] of this.#pipes) if (each.idle) this.#pipes.delete(other)
    this.#pipes.set(key, (pipe = new PostPipe(this.#options.client, this.#options.clock, node.internalUrl)))
    return pipe
  }
}

/** What is known of one post, over all its tries. */
class Post implements Tried {
  readonly draft: PostDraft
  tries = 0
  /** Or held. */
  stored = false
  /** What a dispatcher said that cannot store it now. */
  declined: Refusal | undefined
  /** Some dispatcher may have stored it, or may yet. */
  #unknown = false
  #running = 0
  #result: PostResult | undefined
  readonly #waiting: (() => void)[] = []

  constructor(draft: PostDraft) {
    this.draft = draft
  }

  begun(): void {
    this.tries++
    this.#running++
  }

  answered(result: PostResult): void {
    if (!('error' in result)) {
      this.stored = true
      this.#result = result
    }
    this.#ended()
  }

  /** @returns the error */
  failed<T>(error: T): T {
    if (error instanceof Declined) {
      this.declined = error.refusal
      if (error.refusal.error.code === 'OUTCOME_UNKNOWN') this.#unknown = true
    } else if (error instanceof PeerError && error.sent) this.#unknown = true
    this.#ended()
    return error
  }

  /** A comment that is stored or held beats any refusal: what a dispatcher takes for a repetition may be this post's own twin. A twin
   * that waits in a batch with posts that have more time may take longer than this one has.
   * @param deadline monotonic ms */
  async beaten(refusal: Refusal, clock: Clock, deadline: number): Promise<PostResult> {
    if (this.#running > 0 && !this.#result) await this.#twins(clock, deadline)
    return this.#result ?? (this.#unknown || this.#running > 0 ? unknown : refusal)
  }

  /** Until one has stored it, all have ended, or the deadline has come. */
  async #twins(clock: Clock, deadline: number): Promise<void> {
    let isOver = false
    const cancel = clock.after(Math.max(0, deadline - clock.now()), () => {
      isOver = true
      this.#wake()
    })
    while (this.#running > 0 && !this.#result && !isOver) await new Promise<void>(resolve => this.#waiting.push(resolve))
    cancel()
  }

  /** 503 says that it was not stored and never will be. */
  refusal(): PostResult {
    return this.#result ?? (this.#unknown || this.#running > 0 ? unknown : (this.declined ?? unavailable))
  }

  #ended(): void {
    this.#running--
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** A dispatcher cannot store a post, and another may. */
class Declined extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.error.message)
  }
}

/** What a post says of an author whom a token names. */
function authorOf({ authorId, authorName, isModerator }: Pick<Bearer, 'authorId' | 'authorName' | 'isModerator'>) {
  return { authorId, authorName, signedIn: true, exempt: isModerator }
}

const unavailable: Refusal = { error: { code: 'UNAVAILABLE', message: 'no dispatcher is available' } }
const unknown: Refusal = { error: { code: 'OUTCOME_UNKNOWN', message: 'the comment may have been stored: a retry with the same Idempotency-Key reveals the outcome' } }

const OF_THIS_DISPATCHER: ReadonlySet<string> = new Set(['STORE_UNAVAILABLE', 'UNAVAILABLE', 'HOME_UNAVAILABLE', 'NOT_READY', 'INTERNAL', 'OUTCOME_UNKNOWN', 'REVIEW_UNAVAILABLE'])

/** Whether another dispatcher may do what this one cannot. */
export function isOfThisDispatcher({ error }: { readonly error: Pick<PostError, 'code'> }): boolean {
  return OF_THIS_DISPATCHER.has(error.code)
}

/** What rests on what is stored, acts included, as far as that one dispatcher knows it; on what a review said; or on what it has to do. */
const OF_ONE: ReadonlySet<string> = new Set(['DUPLICATE_COMMENT', 'SLOW_MODE', 'BANNED', 'COMMENTS_CLOSED', 'SIGN_IN_REQUIRED', 'OVERLOADED', 'REVIEW_REFUSED', 'UPGRADE_UNFINISHED'])

/** What each dispatcher would say, whatever another one has stored. */
function isSaidByAll({ error }: Refusal): boolean {
  return !OF_ONE.has(error.code)
}

function toError({ error: { code, message, retryAfterSeconds } }: Refusal, key: string): LiveError {
  const retryAfter = code === 'OVERLOADED' || code === 'REVIEW_UNAVAILABLE' ? 1 : retryAfterSeconds
  return new LiveError(code, message, {
    ...(retryAfter === undefined ? {} : { headers: { 'retry-after': String(Math.max(1, Math.ceil(retryAfter))) } }),
    ...(code === 'SIGN_IN_REQUIRED' ? { headers: { 'www-authenticate': 'Bearer realm="live-comments"' } } : {}),
    ...(code === 'OUTCOME_UNKNOWN' ? { details: { idempotencyKey: key } } : {}),
  })
}
