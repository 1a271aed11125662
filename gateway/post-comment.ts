import type { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { checkAuthoredBody, checkBody, toPublic, type Draft, type VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import type { PostResult } from '../protocol/posts.js'
import type { Clock } from '../runtime/clock.js'
import { json, type Reply } from '../runtime/http/reply.js'
import type { InternalClient } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import type { Dispatchers } from './dispatchers.js'
import { PostPipe } from './post-pipe.js'

/** The poster is answered within this time. A batch may still be under way then; a retry with the same key reveals its
 * outcome. */
const OVERALL_MS = 8_000
const ROUND_PAUSE_MS = 200

export interface PosterOptions {
  readonly client: InternalClient
  readonly dispatchers: Dispatchers
  readonly clock: Clock
}

/** Posts to the video's owner and, where that fails, to the next in hash order, under one idempotency key: however
 * many dispatchers have seen the post, one comment comes of it. */
export class Poster {
  readonly #options: PosterOptions
  readonly #pipes = new Map<string, PostPipe>()
  /** Posts that have not been answered yet. */
  inFlight = 0

  constructor(options: PosterOptions) {
    this.#options = options
  }

  /** 201 and the comment. @param key the client's; made here where it gave none
   * @param author whom a token says it is by; without, the body does
   * @throws LiveError BAD_COMMENT, what a dispatcher said, or UNAVAILABLE */
  async post(videoId: VideoId, key: string | undefined, body: Promise<Buffer>, author?: Pick<Draft, 'authorId' | 'authorName'>): Promise<Reply> {
    this.inFlight++
    try {
      const said = parse(await body)
      const result = await this.#store({ videoId, ...(author ? { authorId: author.authorId, authorName: author.authorName, ...checkAuthoredBody(said) } : checkBody(said)), key: key ?? randomUUID() })
      if ('error' in result) throw toError(result.error)
      return json(toPublic(result.comment), 201)
    } finally {
      this.inFlight--
    }
  }

  async #store(draft: Draft): Promise<PostResult> {
    const { clock, dispatchers } = this.#options
    const deadline = clock.now() + OVERALL_MS
    let storeError: PostResult | undefined
    for (;;) {
      let reached = false
      for (const node of dispatchers.order(draft.videoId)) {
        if (clock.now() >= deadline) break
        const result = await this.#try(node, draft)
        if (!result) continue
        reached = true
        if (!('error' in result) || !isOfThisDispatcher(result.error.code)) return result
        storeError = result
      }
      // Every dispatcher that could be reached has said why it cannot store: waiting would not help.
      if (reached) return storeError!
      if (clock.now() >= deadline - ROUND_PAUSE_MS || dispatchers.order(draft.videoId).length === 0) break
      await new Promise<void>(resolve => clock.after(ROUND_PAUSE_MS, resolve))
    }
    return storeError ?? unavailable
  }

  /** The dispatcher's answer, or undefined when there was none. */
  async #try(node: DispatcherNode, draft: Draft): Promise<PostResult | undefined> {
    const { dispatchers } = this.#options
    try {
      const result = await this.#pipe(node).send(draft)
      dispatchers.answered(node)
      return result
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      if (error.failure === 'status' || error.failure === 'wire') dispatchers.answered(node)
      else dispatchers.failed(node, error.failure)
      return undefined
    }
  }

  #pipe(node: DispatcherNode): PostPipe {
    let pipe = this.#pipes.get(node.internalUrl)
    if (pipe) return pipe
    for (const [url, each] of this.#pipes) if (each.idle) this.#pipes.delete(url)
    this.#pipes.set(node.internalUrl, (pipe = new PostPipe(this.#options.client, node.internalUrl)))
    return pipe
  }
}

const unavailable: PostResult = { error: { code: 'UNAVAILABLE', message: 'no dispatcher can be reached' } }

/** Errors that another dispatcher may not have. */
function isOfThisDispatcher(code: string): boolean {
  return code === 'STORE_UNAVAILABLE' || code === 'UNAVAILABLE' || code === 'NOT_READY' || code === 'INTERNAL'
}

function toError({ code, message }: Extract<PostResult, { error: unknown }>['error']): LiveError {
  return new LiveError(code, message, code === 'OVERLOADED' ? { headers: { 'retry-after': '1' } } : {})
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    throw new LiveError('BAD_COMMENT', 'the body must be JSON') // without a cause: it quotes the text
  }
}
