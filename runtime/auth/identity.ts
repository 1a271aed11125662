import type { VideoId } from '../../protocol/comment.js'
import type { Clock } from '../clock.js'
import type { Exchange } from '../http/exchange.js'
import { tokenOf, type CredentialRules } from './credentials.js'
import type { Keys } from './keys.js'
import { readToken, SKEW_MS, type Bearer, type TokenRules } from './token.js'

/** Tokens of one broadcast often end at one moment: their streams end over this time after it, or all came back at once. */
const SPREAD_MS = 25_000

/** The keys as they are now. */
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

/** Whoever has a stream. */
export interface Watcher {
  readonly authorId: string
  /** When the stream must end, Unix ms: at most a minute after its token, the time to notice it included. */
  readonly endsAt: number
}

/** Who may post and watch: checks the tokens of requests. What it needs of one it reads before it awaits. */
export class Identity {
  /** Whether a token is needed to watch and to read too. */
  readonly requireToWatch: boolean
  readonly #options: IdentityOptions

  constructor(options: IdentityOptions) {
    this.#options = options
    this.requireToWatch = options.requireToWatch
  }

  /** Who posts or reads. @throws LiveError UNAUTHORIZED, FORBIDDEN */
  bearer(exchange: Exchange, videoId: VideoId): Promise<Bearer> {
    return this.#read(exchange, videoId, false)
  }

  /** Who watches. @throws LiveError UNAUTHORIZED, FORBIDDEN */
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
