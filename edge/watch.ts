import type { VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { identified, type Identity, type Watcher } from '../runtime/auth/identity.js'
import type { Client, Clients } from '../runtime/http/client-address.js'
import type { Exchange, Upgrade } from '../runtime/http/exchange.js'
import { handshake } from '../runtime/http/handshake.js'
import { POLL_HEADERS } from '../runtime/http/poll.js'
import type { AllowedOrigins } from '../runtime/http/public-headers.js'
import { json, type Answer } from '../runtime/http/reply.js'
import { pollAsked, streamAsked, wantsPoll, wantsStream } from '../runtime/http/stream-request.js'
import type { ReplayAsked, Replays } from '../runtime/limits/replays.js'
import type { StreamLimit } from '../runtime/limits/streams.js'
import { Charges } from './charges.js'
import { connect } from './connection.js'
import type { Edge } from './edge.js'
import { openPoll } from './poll-connection.js'
import { SocketConnection } from './socket-connection.js'
import type { Start } from './viewer.js'

export interface WatchOptions {
  readonly edge: Edge
  /** Who may watch; undefined: anyone. */
  readonly identity: Identity | undefined
  readonly allowedOrigins: AllowedOrigins
  readonly streamsPerAddress: StreamLimit
  readonly replays: Replays
  readonly clients: Clients
  /** Of every answer. */
  readonly headers: (exchange: Exchange) => Readonly<Record<string, string>>
}

/** Takes viewers in at the public port, whatever transport they ask for: server-sent events, a WebSocket, or a long-poll. */
export class Watch {
  readonly #options: WatchOptions

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** @throws LiveError for what a retry would not cure, and for a stream too many of one address */
  open(exchange: Exchange, videoId: VideoId): Answer {
    if (exchange.upgrade) return this.#socket(exchange, exchange.upgrade, videoId)
    if (wantsStream(exchange.headers('accept'))) return this.#stream(exchange, videoId)
    if (wantsPoll(exchange)) return this.#poll(exchange, videoId)
    throw new LiveError('NOT_FOUND', 'an edge has only the live stream: ask for text/event-stream, a WebSocket or a long-poll (wait), or ask a gateway')
  }

  #stream(exchange: Exchange, videoId: VideoId): Answer {
    const { edge, identity } = this.#options
    const { after, recent, gzip } = streamAsked(exchange)
    const client = this.#options.clients.of(exchange)
    const headers = this.#options.headers(exchange)
    const encoding = gzip ? 'gzip' : 'plain'
    return identified(identity, exchange, videoId, known => {
      const start = startOf({ after, recent }, known)
      if (exchange.method === 'HEAD') return connect(edge, exchange, videoId, start, encoding, { headers })
      return connect(edge, exchange, videoId, start, encoding, { headers, ...this.#charge(client, { after, recent }) })
    })
  }

  /** Open at once, since the library cannot open one later: what a token says is learnt then, and a refusal is a close. */
  #socket(exchange: Exchange, upgrade: Upgrade, videoId: VideoId): Answer {
    const { edge, identity } = this.#options
    const protocol = handshake(exchange, this.#options.allowedOrigins)
    const { after, recent } = streamAsked(exchange)
    const client = this.#options.clients.of(exchange)
    const asked = { after, recent }
    if (!identity?.requireToWatch) {
      const charged = this.#charge(client, asked)
      upgrade(protocol, socket => {
        const connection = new SocketConnection(edge, socket)
        connection.watch(videoId, startOf(asked, undefined), charged)
        return connection
      })
      return undefined
    }
    const token = identity.tokenOf(exchange)
    upgrade(protocol, socket => {
      const connection = new SocketConnection(edge, socket)
      identity.viewerOf(token, videoId).then(known => connection.isClosed || connection.watch(videoId, startOf(asked, known), this.#charge(client, asked))).catch(error => connection.refuse(error))
      return connection
    })
    return undefined
  }

  #poll(exchange: Exchange, videoId: VideoId): Answer {
    const { edge, identity, clients } = this.#options
    const { waitMs, after, recent } = pollAsked(exchange)
    const client = clients.of(exchange)
    return identified(identity, exchange, videoId, known => {
      if (exchange.method === 'HEAD') return json({}, 200, POLL_HEADERS)
      const { charges, later } = this.#charge(client, { after, recent })
      if (!later) return openPoll(edge, exchange, videoId, startOf({ after, recent }, known), waitMs, charges)
      charges.ended()
      throw new LiveError('OVERLOADED', 'this address reads more than its share: try again in a moment', { headers: { 'retry-after': '1' } })
    })
  }

  /** Counts the stream and what it asks of the past. @throws LiveError RATE_LIMITED
   * @returns later: the client has to come back, because it was sent more than its share */
  #charge(client: Client, asked: ReplayAsked): { readonly charges: Charges; readonly later: boolean } {
    const { streamsPerAddress, replays } = this.#options
    const counted = streamsPerAddress.open(client.keys, client)
    const replay = replays.open(client.keys.at(-1)!, asked)
    return { charges: new Charges(counted, replay === 'later' ? undefined : replay), later: replay === 'later' }
  }
}

function startOf({ after, recent }: ReplayAsked, known: Watcher | undefined): Start {
  return { after, recent, endsAt: known?.endsAt, key: known?.key }
}
