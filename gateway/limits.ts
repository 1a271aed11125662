import { LiveError } from '../protocol/errors.js'
import { sleep, type Clock } from '../runtime/clock.js'
import type { Client } from '../runtime/http/client-address.js'
import type { Reply } from '../runtime/http/reply.js'
import { Buckets, ClientBuckets } from '../runtime/limits/buckets.js'
import { Budget } from '../runtime/limits/budget.js'
import { holdsFor, type Limit } from '../runtime/limits/limit.js'
import type { Refusals } from '../runtime/limits/refusals.js'
import { Shares } from '../runtime/limits/shares.js'
import { StreamLimit, type Counted } from '../runtime/limits/streams.js'

/** Pages of history that are read at a time: enough to keep a dispatcher busy. The rest waits here, where clients take turns,
 * and not at the dispatcher, where it would look slow and be hedged. */
const READS_AT_ONCE = 4
const READS_IN_LINE = 256
const READ_WAIT_MS = 2_000
/** What all clients' pages may take together, and one client's before its next ones are refused. */
const READ_BYTES_PER_SECOND = 64 * 1024 * 1024
const READ_ALLOWANCE = 8 * 1024 * 1024
/** Refused reads of one client that are answered at once. Beyond it a client asks again in spite of them: it has its answer
 * when its Retry-After would be over, or thousands of refusals a second would take what posts need. */
const REFUSED_AT_ONCE = { perSecond: 20, burst: 100 }
const RETRY_AFTER_MS = 1_000
/** A connection that brings more videos counts as several streams: each video is a viewer to an edge. */
export const VIDEOS_OF_A_STREAM = 5

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
  readonly buckets: ClientBuckets
  constructor(limit: Limit) {
    this.limit = limit
    this.buckets = new ClientBuckets({ perSecond: limit.most || 1, burst: Math.max(1, limit.most * 2) })
  }
}

/** What one author and one address may do here. Each gateway counts for itself. An author counts only where the
 * identity is known: anyone may give a name. */
export class Limits {
  readonly #clock: Clock
  readonly #refusals: Refusals
  readonly #posts: { readonly address: PostLimit; readonly author: PostLimit }
  readonly #streams: { readonly address: StreamLimit; readonly author: StreamLimit }
  readonly #reads: Budget
  readonly #readBytes: Shares
  readonly #refusedReads = new Buckets(REFUSED_AT_ONCE)

  constructor({ clock, refusals, postsPerAuthor, postsPerAddress, streamsPerAuthor, streamsPerAddress }: LimitsOptions) {
    this.#clock = clock
    this.#refusals = refusals
    this.#posts = { address: new PostLimit(postsPerAddress), author: new PostLimit(postsPerAuthor) }
    this.#streams = { address: new StreamLimit('address', streamsPerAddress, refusals), author: new StreamLimit('author', streamsPerAuthor, refusals) }
    this.#reads = new Budget({ clock, atOnce: READS_AT_ONCE, inLine: READS_IN_LINE, waitMs: READ_WAIT_MS, code: 'OVERLOADED', refused: () => refusals.count('reads') })
    this.#readBytes = new Shares({ clock, bytesPerSecond: READ_BYTES_PER_SECOND, allowance: READ_ALLOWANCE })
  }

  /** Takes a post into account that comes from `client`, before anything of it is looked at.
   * @throws LiveError RATE_LIMITED */
  post(client: Client): void {
    this.#take('address', client.keys, client)
  }

  /** Takes into account whose post it is. @param author one whose identity is known
   * @throws LiveError RATE_LIMITED */
  postBy(author: string, client: Client): void {
    this.#take('author', [author], client)
  }

  /** Takes a stream into account. @param author one whose identity is known @param videos that it brings
   * @returns what is to be told once when it has ended; undefined where nothing is counted. @throws LiveError RATE_LIMITED */
  stream(client: Client, author: string | undefined, videos = 1): Counted | undefined {
    const weight = Math.ceil(videos / VIDEOS_OF_A_STREAM)
    const ofAddress = this.#streams.address.open(client.keys, client, weight)
    if (author === undefined) return ofAddress
    try {
      const ofAuthor = this.#streams.author.open([author], client, weight)
      return ofAddress && ofAuthor ? { ended: () => (ofAddress.ended(), ofAuthor.ended()) } : (ofAddress ?? ofAuthor)
    } catch (error) {
      ofAddress?.ended()
      throw error
    }
  }

  /** Pages that are read now, and those in line. */
  get reads(): { readonly running: number; readonly waiting: number } {
    return this.#reads
  }

  /** Reads a page of history when it is the client's turn. This is about what the gateway can do, and holds for clients on
   * this machine too. @param wanted whether the client still waits @throws LiveError OVERLOADED, and what `read` throws */
  async read(client: Client, read: () => Promise<Reply>, wanted: () => boolean): Promise<Reply> {
    const network = client.keys.at(-1)!
    try {
      const waitMs = this.#readBytes.waitMs(network)
      if (waitMs > 0) {
        this.#refusals.count('read_bytes')
        throw new LiveError('OVERLOADED', 'this address reads more than its share: try again in a moment', { headers: { 'retry-after': String(Math.ceil(waitMs / 1000)) } })
      }
      const reply = await this.#reads.run(client.keys, read, wanted)
      this.#readBytes.charge(network, reply.body?.length ?? 0)
      return reply
    } catch (error) {
      const isRefusal = error instanceof LiveError && error.code === 'OVERLOADED'
      if (isRefusal && this.#refusedReads.take(network, this.#clock.now()) > 0) await sleep(this.#clock, RETRY_AFTER_MS)
      throw error
    }
  }

  #take(by: 'address' | 'author', keys: readonly string[], client: Client): void {
    const { limit, buckets } = this.#posts[by]
    if (!holdsFor(limit, client)) return
    const waitMs = buckets.take(keys, this.#clock.now())
    if (waitMs > 0) throw this.#refuse(`posts_per_${by}`, `at most ${limit.most} posts a second are taken from one ${by}`, Math.ceil(waitMs / 1000))
  }

  #refuse(kind: string, message: string, seconds: number): LiveError {
    this.#refusals.count(kind)
    return new LiveError('RATE_LIMITED', message, { headers: { 'retry-after': String(seconds) } })
  }
}
