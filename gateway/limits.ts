import { LiveError } from '../protocol/errors.js'
import type { Clock } from '../runtime/clock.js'
import type { Client } from '../runtime/http/client-address.js'
import { Buckets } from '../runtime/limits/buckets.js'
import { holdsFor, type Limit } from '../runtime/limits/limit.js'
import type { Refusals } from '../runtime/limits/refusals.js'
import { StreamLimit, type Counted } from '../runtime/limits/streams.js'

export interface LimitsOptions {
  readonly clock: Clock
  readonly refusals: Refusals
  /** Posts a second; twice as many at once. */
  readonly postsPerAuthor: Limit
  readonly postsPerAddress: Limit
  /** Open at a time. */
  readonly streamsPerAuthor: Limit
  readonly streamsPerAddress: Limit
}

/** One limit on posts. */
class PostLimit {
  readonly limit: Limit
  readonly buckets: Buckets
  constructor(limit: Limit) {
    this.limit = limit
    this.buckets = new Buckets({ perSecond: limit.most || 1, burst: Math.max(1, limit.most * 2) })
  }
}

/** What one author and one address may do here. Each gateway counts for itself. An author counts only where the
 * identity is known: anyone may give a name. */
export class Limits {
  readonly #clock: Clock
  readonly #refusals: Refusals
  readonly #posts: { readonly address: PostLimit; readonly author: PostLimit }
  readonly #streams: { readonly address: StreamLimit; readonly author: StreamLimit }

  constructor({ clock, refusals, postsPerAuthor, postsPerAddress, streamsPerAuthor, streamsPerAddress }: LimitsOptions) {
    this.#clock = clock
    this.#refusals = refusals
    this.#posts = { address: new PostLimit(postsPerAddress), author: new PostLimit(postsPerAuthor) }
    this.#streams = { address: new StreamLimit('address', streamsPerAddress, refusals), author: new StreamLimit('author', streamsPerAuthor, refusals) }
  }

  /** Takes a post into account that comes from `client`, before anything of it is looked at.
   * @throws LiveError RATE_LIMITED */
  post(client: Client): void {
    this.#take('address', client.key, client)
  }

  /** Takes into account whose post it is. @param author one whose identity is known
   * @throws LiveError RATE_LIMITED */
  postBy(author: string, client: Client): void {
    this.#take('author', author, client)
  }

  /** Takes a stream into account. @param author one whose identity is known
   * @returns what is to be told once when it has ended; undefined where nothing is counted. @throws LiveError RATE_LIMITED */
  stream(client: Client, author: string | undefined): Counted | undefined {
    const ofAddress = this.#streams.address.open(client.key, client)
    if (author === undefined) return ofAddress
    try {
      const ofAuthor = this.#streams.author.open(author, client)
      return ofAddress && ofAuthor ? { ended: () => (ofAddress.ended(), ofAuthor.ended()) } : (ofAddress ?? ofAuthor)
    } catch (error) {
      ofAddress?.ended()
      throw error
    }
  }

  #take(by: 'address' | 'author', key: string, client: Client): void {
    const { limit, buckets } = this.#posts[by]
    if (!holdsFor(limit, client)) return
    const waitMs = buckets.take(key, this.#clock.now())
    if (waitMs > 0) throw this.#refuse(`posts_per_${by}`, `at most ${limit.most} posts a second are taken from one ${by}`, Math.ceil(waitMs / 1000))
  }

  #refuse(kind: string, message: string, seconds: number): LiveError {
    this.#refusals.count(kind)
    return new LiveError('RATE_LIMITED', message, { headers: { 'retry-after': String(seconds) } })
  }
}
