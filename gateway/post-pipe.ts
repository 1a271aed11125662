import { Buffer } from 'node:buffer'
import { LiveError } from '../protocol/errors.js'
import { BATCH_BYTES } from '../protocol/limits.js'
import { parseResults, printPosts, READS_HEADER, READS_OUTCOME_UNKNOWN, type PostResult, type TimedDraft } from '../protocol/posts.js'
import type { Clock } from '../runtime/clock.js'
import type { Caller } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'

const MAX_POSTS = 256
/** Posts that may wait for their turn; beyond it a post is refused at once. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024
const IN_FLIGHT = 2
/** Batches begin this far apart, so that busy moments share a request, a hand-over between threads and a commit. A post in a quiet
 * moment goes at once. */
const GATHER_MS = 8
const HEADERS = { 'content-type': 'application/json', [READS_HEADER]: READS_OUTCOME_UNKNOWN }

/** A draft, with what a token says of its author. */
export type PostDraft = Omit<TimedDraft, 'leftMs'>

/** A post, over all its tries. */
export interface Tried {
  readonly draft: PostDraft
  /** Whether it has been answered meanwhile: it need not be sent any more. */
  readonly stored: boolean
}

/** One try of a post at one dispatcher. */
interface Waiting {
  readonly post: Tried
  readonly deadline: number
  readonly isTwin: boolean
  readonly bytes: number
  readonly resolve: (result: PostResult) => void
  readonly reject: (error: unknown) => void
}

/** Posts on their way to one dispatcher, many in one request: the first after a pause goes at once, and what comes within
 * milliseconds of it, or while two batches are under way, gathers for the next. */
export class PostPipe {
  readonly #client: Caller
  readonly #clock: Clock
  readonly #url: string
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #inFlight = 0
  /** When the last batch began, monotonic ms. */
  #begunAt = -Infinity
  /** A batch is to begin a little later. */
  #isDue = false

  constructor(client: Caller, clock: Clock, url: string) {
    this.#client = client
    this.#clock = clock
    this.#url = url
  }

  get idle(): boolean {
    return this.#inFlight === 0 && this.#waiting.length === 0
  }

  /** The dispatcher's answer to this post.
   * @param deadline monotonic ms: past it, nothing must be stored
   * @param isTwin another dispatcher may be storing it: this one is to store it too, and not to pass it on to that one
   * @throws PeerError when the batch failed, or its turn did not come in time; LiveError OVERLOADED */
  send(post: Tried, deadline: number, isTwin: boolean): Promise<PostResult> {
    const bytes = Buffer.byteLength(post.draft.content) + 256
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(new LiveError('OVERLOADED', 'too many posts are waiting', { headers: { 'retry-after': '1' } }))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ post, deadline, isTwin, bytes, resolve, reject })
      this.#waitingBytes += bytes
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#inFlight >= IN_FLIGHT || this.#isDue) return
    const wait = this.#begunAt + GATHER_MS - this.#clock.now()
    if (wait <= 0) return void this.#flush()
    this.#isDue = true
    this.#clock.after(wait, () => {
      this.#isDue = false
      void this.#flush()
    })
  }

  async #flush(): Promise<void> {
    const batch = this.#take()
    if (batch.length === 0) return
    this.#inFlight++
    const now = this.#clock.now()
    this.#begunAt = now
    try {
      const posts = batch.map(({ post, deadline }) => ({ ...post.draft, leftMs: Math.round(deadline - now) }))
      const timeoutMs = Math.max(...posts.map(({ leftMs }) => leftMs))
      const answer = await this.#client.call(this.#url, { path: '/internal/posts', body: printPosts({ passedOn: batch[0]!.isTwin, entries: true, posts }), headers: HEADERS, timeoutMs })
      const results = parseResults(answer)
      if (results.length !== batch.length) throw new LiveError('BAD_REQUEST', 'the dispatcher answered other posts than it was sent')
      batch.forEach(({ resolve }, i) => resolve(results[i]!))
    } catch (error) {
      const failed = error instanceof PeerError ? error : new PeerError('status', 'an answer that cannot be read', { cause: error })
      for (const { reject } of batch) reject(failed)
    }
    this.#inFlight--
    if (this.#waiting.length > 0) this.#schedule()
  }

  /** The next batch: all of it twins, or none. What nobody waits for any more is left out. */
  #take(): Waiting[] {
    const now = this.#clock.now()
    const batch: Waiting[] = []
    let bytes = 0
    let seen = 0
    for (const each of this.#waiting) {
      const late = each.deadline - now < 1
      if (!late && !each.post.stored) {
        if (batch.length === MAX_POSTS || (batch.length > 0 && (bytes + each.bytes > BATCH_BYTES || each.isTwin !== batch[0]!.isTwin))) break
        batch.push(each)
        bytes += each.bytes
      } else each.reject(new PeerError('timeout', 'its turn did not come in time', { sent: false }))
      this.#waitingBytes -= each.bytes
      seen++
    }
    this.#waiting.splice(0, seen)
    return batch
  }
}
