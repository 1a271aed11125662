import type { DispatcherNode, MemberNode } from '../protocol/nodes.js'
import { parseResults, printPosts, READS_HEADER, READS_OUTCOME_UNKNOWN, type PostBatch, type PostResult } from '../protocol/posts.js'
import type { Clock } from '../runtime/clock.js'
import type { Failover } from '../runtime/peers/failover.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { TOO_LATE, type TimedPost } from './accept.js'
import type { DispatcherMetrics } from './metrics.js'
import type { Owners } from './owners.js'
import type { Send } from './pipe.js'

export interface RouteDeps {
  readonly owners: Owners
  readonly failover: Failover
  /** Ourselves, as one of those who can store. */
  readonly self: MemberNode
  readonly clock: Clock
  readonly send: Send
  readonly metrics: DispatcherMetrics
  /** Stores here. Never rejects. */
  readonly accept: (posts: readonly TimedPost[]) => Promise<PostResult[]>
}

/** Longer than a store tries, shorter than a gateway waits. */
const PASS_ON_MS = 1_500
/** What a post without a deadline has: a gateway that sends none tries the next dispatcher after this time. */
const DEFAULT_LEFT_MS = 2_000
const READS = { [READS_HEADER]: READS_OUTCOME_UNKNOWN }

/** Passes on the posts of a video that another dispatcher owns to that owner, marked. A dispatcher that receives marked
 * posts, or whose owner does not answer, stores them itself. The posts' keys make it harmless if both store them. */
export class Route {
  readonly #deps: RouteDeps

  constructor(deps: RouteDeps) {
    this.#deps = deps
  }

  /** Each post's result, in order. @param lostMs what the posts waited before they were read: it comes off the time they have left */
  async posts({ passedOn, posts }: PostBatch, lostMs: number): Promise<PostResult[]> {
    const readAt = this.#deps.clock.now() - lostMs
    const timed = posts.map(({ leftMs = DEFAULT_LEFT_MS, ...draft }): TimedPost => ({ ...draft, deadline: readAt + leftMs }))
    const here: number[] = []
    const elsewhere = new Map<DispatcherNode, number[]>()
    timed.forEach((post, i) => {
      const owner = passedOn ? undefined : this.#deps.owners.otherOwner(post.videoId)
      if (!owner) here.push(i)
      else if (elsewhere.has(owner)) elsewhere.get(owner)!.push(i)
      else elsewhere.set(owner, [i])
    })
    const results: PostResult[] = []
    const handle = async (indexes: readonly number[], work: (posts: TimedPost[]) => Promise<PostResult[]>): Promise<void> => {
      const answers = await work(indexes.map(i => timed[i]!))
      indexes.forEach((index, i) => (results[index] = answers[i]!))
    }
    await Promise.all([
      ...(here.length > 0 ? [handle(here, this.#deps.accept)] : []),
      ...Array.from(elsewhere, ([owner, indexes]) => handle(indexes, posts => this.#passOn(owner, posts))),
    ])
    return results
  }

  /** The owner stores them, or we do where it does not answer. */
  async #passOn(owner: DispatcherNode, posts: readonly TimedPost[]): Promise<PostResult[]> {
    const { failover, self, clock, accept } = this.#deps
    if (failover.isBackedOff(owner)) return accept(posts)
    const deadline = Math.max(...posts.map(post => post.deadline))
    /** The owner has been sent them, and has not said what became of them. */
    let ownerMayStore = false
    /** We store them too, since the owner was slow. */
    let ours: Promise<PostResult[]> | undefined
    const attempt = async (peer: MemberNode, timeoutMs: number): Promise<PostResult[]> => {
      if (peer === self) return (ours = accept(posts))
      ownerMayStore = true
      try {
        const results = await this.#send(peer, posts, timeoutMs)
        ownerMayStore = false
        return results
      } catch (error) {
        if (error instanceof PeerError && !error.sent) ownerMayStore = false
        throw error
      }
    }
    try {
      const results = await failover.ask([owner, self], attempt, { deadline, tryMs: Math.min(PASS_ON_MS, Math.max(0, deadline - clock.now())) })
      if (ownerMayStore) return results.map(orUnknown)
      // The owner's refusal says nothing of what we do ourselves.
      return ours && results.some(result => 'error' in result) ? both(results, await ours) : results
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      return posts.map(() => (ownerMayStore || ours ? unknown : { error: TOO_LATE }))
    }
  }

  async #send(owner: MemberNode, posts: readonly TimedPost[], timeoutMs: number): Promise<PostResult[]> {
    const { clock, send, metrics } = this.#deps
    const now = clock.now()
    const batch: PostBatch = { passedOn: true, entries: true, posts: posts.map(({ deadline, ...draft }) => ({ ...draft, leftMs: Math.max(0, Math.round(Math.min(deadline - now, timeoutMs))) })) }
    const results = parseResults(await send(owner, '/internal/posts', printPosts(batch), timeoutMs, READS))
    if (results.length !== posts.length) throw new PeerError('status', `${posts.length} posts, ${results.length} results`)
    metrics.passedOn.inc(posts.length)
    return results
  }
}

const unknown: PostResult = { error: { code: 'OUTCOME_UNKNOWN', message: 'the owner of the video may have stored it' } }

/** Of two answers to each post: that it was stored, else that it may have been, else the first. */
function both(results: readonly PostResult[], others: readonly PostResult[]): PostResult[] {
  return results.map((result, i) => {
    const other = others[i]!
    return 'error' in result && ('comment' in other || other.error.code === 'OUTCOME_UNKNOWN') ? other : result
  })
}

/** We could not store it, but the owner, which has not answered, may have. */
function orUnknown(result: PostResult): PostResult {
  return 'error' in result && (result.error.code === 'STORE_UNAVAILABLE' || result.error.code === 'UNAVAILABLE' || result.error.code === 'OVERLOADED') ? unknown : result
}
