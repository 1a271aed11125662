import { checkKey, type VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { errorMessage, heldMessage, MessageError, parsePostMessage, postedMessage, type PostMessage } from '../protocol/message.js'
import type { Bearer } from '../runtime/auth/token.js'
import type { Client } from '../runtime/http/client-address.js'
import type { Reply } from '../runtime/http/reply.js'
import { countedPost, type CountedPostDeps } from './counted.js'
import type { Gateway } from './gateway.js'
import { MAX_BODY_BYTES } from './json-request.js'
import type { Limits } from './limits.js'

/** Posts of one WebSocket that are not answered yet. */
const MOST_IN_FLIGHT = 16

export interface SocketPostsOptions extends CountedPostDeps {
  readonly gateway: Pick<Gateway, 'clock' | 'pauses' | 'poster'>
  readonly limits: Pick<Limits, 'post' | 'postBy'>
}

/** Who posts by a WebSocket. */
export interface SocketPoster {
  /** Those of the connection, at least one. */
  readonly videos: readonly VideoId[]
  /** Each post names its video. */
  readonly isSeveral: boolean
  readonly client: Client
  /** Whom its token names now; undefined where anyone may post under any name.
   * @throws LiveError UNAUTHORIZED, FORBIDDEN */
  readonly author: (videoId: VideoId) => Promise<Bearer | undefined>
}

/** The answer to a client's message. */
export interface SocketAnswer {
  readonly message: string
  /** Whether nothing was stored of it, or that is not known. */
  readonly refuses: boolean
}

/** Posts that come by WebSockets: under the same rules, limits and counters as those over HTTP. */
export class SocketPosts {
  readonly #options: SocketPostsOptions

  constructor(options: SocketPostsOptions) {
    this.#options = options
  }

  /** @param inFlight posts of the same WebSocket that are not answered yet */
  async answer(bytes: Buffer, poster: SocketPoster, inFlight: number): Promise<SocketAnswer> {
    const since = this.#options.gateway.clock.now()
    let ref: PostMessage['ref']
    try {
      // Before anything of it is looked at, as over HTTP; and before the bytes are gone.
      this.#options.limits.post(poster.client)
      if (bytes.length > MAX_BODY_BYTES) throw new LiveError('BODY_TOO_LARGE', `a message must be at most ${MAX_BODY_BYTES} bytes`)
      const message = parsePostMessage(bytes.toString(), poster.isSeveral ? poster.videos : undefined)
      ref = message.ref
      if (inFlight >= MOST_IN_FLIGHT) throw new LiveError('OVERLOADED', `at most ${MOST_IN_FLIGHT} posts may wait for their answers on one connection`, { headers: { 'retry-after': '1' } })
      const { status, body } = await countedPost(this.#options, since, this.#post(message, poster))
      return { message: status === 202 ? heldMessage(ref, body as string) : postedMessage(ref, body as string), refuses: false }
    } catch (error) {
      if (error instanceof MessageError) return { message: errorMessage(error.ref, error.cause), refuses: true }
      if (error instanceof LiveError) return { message: errorMessage(ref, error), refuses: true }
      throw error // a bug, which ends the process as any other
    }
  }

  async #post({ videoId: named, body, key }: PostMessage, { videos, client, author: authorOf }: SocketPoster): Promise<Reply> {
    const { gateway, limits } = this.#options
    const videoId = named ?? videos[0]!
    const lostMs = gateway.pauses.lostMs()
    const checkedKey = key === undefined ? undefined : checkKey(key)
    const author = await authorOf(videoId)
    if (author) limits.postBy(author.authorId, client)
    return gateway.poster.post(videoId, checkedKey, Promise.resolve(body), { author, lostMs })
  }
}
