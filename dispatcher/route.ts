import { DEFAULT_LEFT_MS } from '../protocol/limits.js'
import type { DispatcherNode, MemberNode } from '../protocol/nodes.js'
import { parseResults, printPosts, READS_HEADER, READS_OUTCOME_UNKNOWN, type PostBatch, type PostResult } from '../protocol/posts.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import type { TimedPost } from './accept.js'
import type { DispatcherMetrics } from './metrics.js'
import type { Owners } from './owners.js'
import { passOn, type PassOnDeps } from './pass-on.js'
import type { Send } from './pipe.js'

export interface RouteDeps extends PassOnDeps {
  readonly owners: Owners
  readonly send: Send
  readonly metrics: DispatcherMetrics
  /** Stores here. Never rejects. */
  readonly accept: (posts: readonly TimedPost[]) => Promise<PostResult[]>
}

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

  #passOn(owner: DispatcherNode, posts: readonly TimedPost[]): Promise<PostResult[]> {
    return passOn(this.#deps, owner, {
      count: posts.length,
      deadline: Math.max(...posts.map(post => post.deadline)),
      there: (peer, timeoutMs) => this.#send(peer, posts, timeoutMs),
      here: () => this.#deps.accept(posts),
    })
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
