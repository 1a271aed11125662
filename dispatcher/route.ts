import type { Draft } from '../protocol/comment.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import { parseResults, printPosts, type PostBatch, type PostResult } from '../protocol/posts.js'
import type { View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import type { DispatcherMetrics } from './metrics.js'
import type { Owners } from './owners.js'
import type { Send } from './pipe.js'
import { keyOf } from './synced.js'

export interface RouteDeps {
  readonly owners: Owners
  readonly view: View
  readonly clock: Clock
  readonly send: Send
  readonly metrics: DispatcherMetrics
  /** Stores here. */
  readonly accept: (drafts: readonly Draft[]) => Promise<PostResult[]>
}

const PASS_ON_TIMEOUT_MS = 2_000
/** An owner that could not be reached is left alone for this long; then one batch tries it. */
const ASIDE_MS = 2_000

/** Passes on the posts of a video that another dispatcher owns to that owner, marked. A dispatcher that receives a marked
 * post, or cannot reach the owner, stores it itself. The posts' keys make it harmless if both store it. */
export class Route {
  readonly #deps: RouteDeps
  /** Owners set aside: until when, monotonic ms. */
  readonly #aside = new Map<string, number>()

  constructor(deps: RouteDeps) {
    this.#deps = deps
  }

  /** Each post's result, in order. */
  async posts({ passedOn, posts }: PostBatch): Promise<PostResult[]> {
    const here: number[] = []
    const elsewhere = new Map<DispatcherNode, number[]>()
    posts.forEach((post, i) => {
      const owner = passedOn ? undefined : this.#deps.owners.otherOwner(post.videoId)
      if (!owner) here.push(i)
      else if (elsewhere.has(owner)) elsewhere.get(owner)!.push(i)
      else elsewhere.set(owner, [i])
    })
    const results: PostResult[] = []
    const handle = async (indexes: readonly number[], work: (drafts: Draft[]) => Promise<PostResult[]>): Promise<void> => {
      const answers = await work(indexes.map(i => posts[i]!))
      indexes.forEach((index, i) => (results[index] = answers[i]!))
    }
    await Promise.all([
      ...(here.length > 0 ? [handle(here, this.#deps.accept)] : []),
      ...Array.from(elsewhere, ([owner, indexes]) => handle(indexes, drafts => this.#passOn(owner, drafts))),
    ])
    return results
  }

  async #passOn(owner: DispatcherNode, drafts: readonly Draft[]): Promise<PostResult[]> {
    const { send, view, clock, metrics, accept } = this.#deps
    const key = keyOf(owner)
    const until = this.#aside.get(key)
    if (until !== undefined) {
      if (clock.now() < until) return accept(drafts)
      this.#aside.set(key, clock.now() + ASIDE_MS) // this batch tries it, the next ones wait for what it finds
    }
    try {
      const results = parseResults(await send(owner, '/internal/posts', printPosts({ passedOn: true, posts: drafts }), PASS_ON_TIMEOUT_MS))
      if (results.length !== drafts.length) throw new PeerError('wire', `${drafts.length} posts, ${results.length} results`)
      this.#aside.delete(key)
      metrics.passedOn.inc(drafts.length)
      return results
    } catch (error) {
      this.#setAside(key)
      if (error instanceof PeerError && error.failure === 'refused') view.refused(owner.id, owner.instance)
      return accept(drafts)
    }
  }

  #setAside(key: string): void {
    const now = this.#deps.clock.now()
    for (const [old, until] of this.#aside) if (until < now - ASIDE_MS) this.#aside.delete(old)
    this.#aside.set(key, now + ASIDE_MS)
  }
}
