import { z } from 'zod'
import type { Draft } from '../protocol/comment.js'
import { checkReason } from '../protocol/held.js'
import type { Clock } from '../runtime/clock.js'
import type { DispatcherMetrics } from './metrics.js'

/** What becomes of a post before it is stored. `unavailable`: the review could not be asked, and posts are refused then. */
export type Verdict = { readonly kind: 'publish' | 'hold' | 'unavailable' } | { readonly kind: 'refuse'; readonly reason?: string | undefined }

/** A post that is to have its verdict by its deadline, monotonic ms. */
export interface Reviewed extends Draft {
  readonly deadline: number
  /** A token named the author. */
  readonly signedIn?: boolean | undefined
}

/** What becomes of posts that the review has not answered. */
export type OnFailure = 'publish' | 'hold' | 'refuse'

export interface ReviewDeps {
  /** Sends a body, and reads the answer's. Rejects where there is none in time. */
  readonly ask: (body: string, timeoutMs: number) => Promise<string>
  readonly clock: Clock
  readonly metrics: DispatcherMetrics
  /** The longest that a post waits for its verdict, ms. */
  readonly timeoutMs: number
  readonly onFailure: OnFailure
  /** Called when calls begin to fail, with the reason, and when they succeed again. */
  readonly onTrouble: (reason: string | undefined) => void
}

/** Posts in one call, and calls under way. */
const MAX_BATCH = 100
const IN_FLIGHT = 4
const WITHOUT_ANSWER = { publish: 'publish', hold: 'hold', refuse: 'unavailable' } as const

interface Waiting {
  readonly post: Reviewed
  /** Undefined: there is no answer. */
  readonly settle: (verdict: Verdict | undefined) => void
  isSettled: boolean
}

/** Asks the site's review of posts in batches: the first after a pause goes at once, and what comes while several calls are under way
 * gathers for the next. Each post has its verdict in time, whatever the review does; what waits is bounded by the accept queue. */
export class Review {
  readonly #deps: ReviewDeps
  #waiting: Waiting[] = []
  #inFlight = 0
  #isDue = false
  #isTroubled = false

  constructor(deps: ReviewDeps) {
    this.#deps = deps
  }

  /** Never rejects. At the post's deadline at the latest. */
  verdict(post: Reviewed): Promise<Verdict> {
    const { clock, metrics, timeoutMs, onFailure } = this.#deps
    const since = clock.now()
    return new Promise(resolve => {
      const settle = (verdict: Verdict | undefined): void => {
        if (waiting.isSettled) return
        waiting.isSettled = true
        cancel()
        metrics.reviewSeconds.observe((clock.now() - since) / 1_000)
        metrics.reviews.inc({ verdict: verdict?.kind ?? 'none' })
        resolve(verdict ?? { kind: WITHOUT_ANSWER[onFailure] })
      }
      const waiting: Waiting = { post, settle, isSettled: false }
      const cancel = clock.after(Math.max(0, Math.min(timeoutMs, post.deadline - since)), () => settle(undefined))
      this.#waiting.push(waiting)
      this.#schedule()
    })
  }

  /** What one request brought goes together. */
  #schedule(): void {
    if (this.#isDue || this.#inFlight >= IN_FLIGHT) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      while (this.#inFlight < IN_FLIGHT && this.#waiting.length > 0) void this.#askNext()
    })
  }

  async #askNext(): Promise<void> {
    const batch = this.#waiting.splice(0, MAX_BATCH).filter(({ isSettled }) => !isSettled)
    if (batch.length === 0) return
    this.#inFlight++
    try {
      const answer = await this.#deps.ask(printComments(batch.map(({ post }) => post)), this.#deps.timeoutMs)
      const verdicts = parseVerdicts(answer, batch.length)
      batch.forEach(({ settle }, i) => settle(verdicts[i]))
      this.#tell(verdicts.includes(undefined) ? 'it gave an answer that is none' : undefined)
    } catch (error) {
      for (const { settle } of batch) settle(undefined)
      this.#tell(error instanceof Error ? error.message : String(error))
    }
    this.#inFlight--
    if (this.#waiting.length > 0) this.#schedule()
  }

  #tell(reason: string | undefined): void {
    const isTroubled = reason !== undefined
    if (isTroubled !== this.#isTroubled) this.#deps.onTrouble(reason)
    this.#isTroubled = isTroubled
  }
}

const answers = z.object({ verdicts: z.array(z.unknown()) })
const answer = z.object({ verdict: z.enum(['publish', 'hold', 'refuse']), reason: z.unknown().optional() })

/** The body of a call: what a reviewer needs to know, and no key. */
export function printComments(posts: readonly Reviewed[]): string {
  return JSON.stringify({ comments: posts.map(({ videoId, authorId, authorName, content, signedIn = false }) => ({ videoId, authorId, authorName, content, signedIn })) })
}

/** One verdict for each comment, in order; undefined for what is none. @throws Error where the whole answer cannot be read */
export function parseVerdicts(text: string, count: number): (Verdict | undefined)[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('its answer is not JSON') // without a cause: it quotes the text
  }
  const { data } = answers.safeParse(value)
  if (!data) throw new Error('its answer has no verdicts')
  if (data.verdicts.length !== count) throw new Error(`it was asked of ${count} comments, and gave ${data.verdicts.length} verdicts`)
  return data.verdicts.map(each => {
    const { data: read } = answer.safeParse(each)
    if (read?.verdict !== 'refuse') return read && { kind: read.verdict }
    return { kind: 'refuse', reason: reasonOf(read.reason) }
  })
}

/** One that cannot be shown to a poster is left out. */
function reasonOf(value: unknown): string | undefined {
  try {
    return value === undefined ? undefined : checkReason(value)
  } catch {
    return undefined
  }
}
