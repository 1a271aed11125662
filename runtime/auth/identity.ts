import type { VideoId } from '../../protocol/comment.js'
import type { Clock } from '../clock.js'
import type { Exchange } from '../http/exchange.js'
import { tokenOf, type CredentialRules } from './credentials.js'
import type { Keys } from './keys.js'
import { readToken, SKEW_MS, type Bearer, type TokenRules } from './token.js'

/** Tokens of one broadcast often expire together. Their streams end spread over this time, or all would reconnect at once. */
const SPREAD_MS = 25_000

/** The keys that are valid now. */
export interface KeySource {
  readonly keys: Keys
  close(): void
}

export interface IdentityOptions extends TokenRules, CredentialRules {
  readonly source: KeySource
  readonly requireToWatch: boolean
  readonly clock: Pick<Clock, 'wall'>
  readonly random: () => number
}

/** An authenticated viewer. */
export interface Watcher {
  readonly authorId: string
  /** When its stream must end, Unix ms: at most a minute after its token, including the time to notice. */
  readonly endsAt: number
}

/** Checks the tokens of requests: who may post and watch. It reads a request before its first await. */
export class Identity {
  /** Whether watching and reading need a token too. */
  readonly requireToWatch: boolean
  readonly #options: IdentityOptions

  constructor(options: IdentityOptions) {
    this.#options = options
    this.requireToWatch = options.requireToWatch
  }

  /** The author of a post, or the reader of history. @throws LiveError UNAUTHORIZED, FORBIDDEN */
  bearer(exchange: Exchange, videoId: VideoId): Promise<Bearer> {
    return this.#read(exchange, videoId, false)
  }

  /** The viewer of a stream. @throws LiveError UNAUTHORIZED, FORBIDDEN */
  async viewer(exchange: Exchange, videoId: VideoId): Promise<Watcher> {
    const { authorId, expiresAt } = await this.#read(exchange, videoId, true)
    return { authorId, endsAt: expiresAt + SKEW_MS + this.#options.random() * SPREAD_MS }
  }

  close(): void {
    this.#options.source.close()
  }

  async #read(exchange: Exchange, videoId: VideoId, query: boolean): Promise<Bearer> {
    const { source, clock } = this.#options
    return readToken(tokenOf(exchange, this.#options, { query }), videoId, source.keys, this.#options, clock.wall())
  }
}
