import type { VideoId } from '../../protocol/comment.js'
import type { Clock } from '../clock.js'
import { isUnclear, type Exchange } from '../http/exchange.js'
import type { Answer } from '../http/reply.js'
import { tokenOf, type CredentialRules } from './credentials.js'
import type { Key, Keys } from './keys.js'
import { keyOf, readToken, SKEW_MS, unauthorized, UNKNOWN_KEY, type Bearer, type TokenRules } from './token.js'

/** Tokens of one broadcast often expire together. Their streams end spread over this time, or all would reconnect at once. */
const SPREAD_MS = 25_000

/** The keys that are valid now. */
export interface KeySource {
  readonly keys: Keys
  /** Called when there are others; undefined: nobody wants to know. */
  onChange?: (keys: Keys) => void
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
  /** By which its token is signed: when that goes, so does the stream. */
  readonly key: Key
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
  async bearer(exchange: Exchange, video: VideoId | readonly VideoId[]): Promise<Bearer> {
    return this.bearerOf(this.#tokenOf(exchange, false), video)
  }

  /** The token of whoever asks for a stream, as it came. @throws LiveError UNAUTHORIZED where there is none */
  tokenOf(exchange: Exchange): string {
    return this.#tokenOf(exchange, true)
  }

  /** The author that a token names now. @throws LiveError UNAUTHORIZED, FORBIDDEN */
  bearerOf(token: string, video: VideoId | readonly VideoId[]): Promise<Bearer> {
    const { source, clock } = this.#options
    return readToken(token, video, source.keys, this.#options, clock.wall())
  }

  /** The viewer that a token names now. @throws LiveError UNAUTHORIZED, FORBIDDEN */
  async viewerOf(token: string, video: VideoId | readonly VideoId[]): Promise<Watcher> {
    const { source, random } = this.#options
    const key = keyOf(token, source.keys)
    const { authorId, expiresAt } = await this.bearerOf(token, video)
    if (!source.keys.holds(key)) throw unauthorized(UNKNOWN_KEY) // it was removed meanwhile
    return { authorId, endsAt: expiresAt + SKEW_MS + random() * SPREAD_MS, key }
  }

  /** @param told of the keys, whenever they change: streams whose key is none of them must end */
  whenKeysChange(told: (keys: Keys) => void): void {
    this.#options.source.onChange = told
  }

  close(): void {
    this.#options.source.close()
  }

  /** @param query whether the address may have it */
  #tokenOf(exchange: Exchange, query: boolean): string {
    return tokenOf(clearly(exchange), this.#options, { query })
  }
}

/** Answers a request to watch once it is known who asks, where a token is needed to watch; at once where none is.
 * @param open is given who watches, where a token said so. @throws LiveError UNAUTHORIZED, FORBIDDEN */
export function identified(identity: Identity | undefined, exchange: Exchange, video: VideoId | readonly VideoId[], open: (known: Watcher | undefined) => Answer): Answer {
  if (!identity?.requireToWatch) return open(undefined)
  return identity.viewerOf(identity.tokenOf(exchange), video).then(known => (exchange.aborted ? undefined : open(known)))
}

/** The request's headers, as far as each says one thing; cookies and subprotocols may come in several lines. A header that says who asks and
 * cannot be read must not make way for another that says so too.
 * @throws LiveError UNAUTHORIZED, when one that is asked for does not */
function clearly(exchange: Exchange): Pick<Exchange, 'header' | 'query'> {
  return {
    query: exchange.query,
    header(name) {
      const values = exchange.headers(name)
      if (name === 'cookie') return values.join('; ')
      if (name === 'sec-websocket-protocol') return values.join(', ')
      if (isUnclear(values)) throw unauthorized(`the header ${name} cannot be read`)
      return values[0] ?? ''
    },
  }
}
