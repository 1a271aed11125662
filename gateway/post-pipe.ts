import { Buffer } from 'node:buffer'
import type { Draft } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { BATCH_BYTES } from '../protocol/limits.js'
import { parseResults, printPosts, type PostResult } from '../protocol/posts.js'
import type { InternalClient } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'

const MAX_POSTS = 256
/** Posts that may wait for their turn; beyond it a post is refused at once. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024
const IN_FLIGHT = 2
/** Until a batch is answered: then its posts are tried elsewhere under their keys. */
const TRY_MS = 2_000

interface Waiting {
  readonly draft: Draft
  readonly bytes: number
  readonly resolve: (result: PostResult) => void
  readonly reject: (error: unknown) => void
}

/** Posts on their way to one dispatcher, many in one request: a post to an idle pipe goes at once, what comes
 * while two batches are under way gathers for the next. */
export class PostPipe {
  readonly #client: InternalClient
  readonly #url: string
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #inFlight = 0

  constructor(client: InternalClient, url: string) {
    this.#client = client
    this.#url = url
  }

  get idle(): boolean {
    return this.#inFlight === 0 && this.#waiting.length === 0
  }

  /** The dispatcher's answer to this post. @throws PeerError when the batch failed; LiveError OVERLOADED */
  send(draft: Draft): Promise<PostResult> {
    const bytes = Buffer.byteLength(draft.content) + 256
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(new LiveError('OVERLOADED', 'too many posts are waiting', { headers: { 'retry-after': '1' } }))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ draft, bytes, resolve, reject })
      this.#waitingBytes += bytes
      if (this.#inFlight < IN_FLIGHT) void this.#flush()
    })
  }

  async #flush(): Promise<void> {
    const batch = this.#take()
    this.#inFlight++
    try {
      const body = printPosts({ passedOn: false, posts: batch.map(({ draft }) => draft) })
      const answer = await this.#client.call(this.#url, { path: '/internal/posts', body, headers: { 'content-type': 'application/json' }, timeoutMs: TRY_MS })
      const results = parseResults(answer)
      if (results.length !== batch.length) throw new LiveError('BAD_REQUEST', 'the dispatcher answered other posts than it was sent')
      batch.forEach(({ resolve }, i) => resolve(results[i]!))
    } catch (error) {
      const failed = error instanceof PeerError ? error : new PeerError('status', 'an answer that cannot be read', { cause: error })
      for (const { reject } of batch) reject(failed)
    }
    this.#inFlight--
    if (this.#waiting.length > 0) void this.#flush()
  }

  #take(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const each of this.#waiting) {
      if (count === MAX_POSTS || (count > 0 && bytes + each.bytes > BATCH_BYTES)) break
      bytes += each.bytes
      count++
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }
}
