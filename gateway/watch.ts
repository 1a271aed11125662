import type { VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { retryIn, STREAM_HEADERS } from '../protocol/sse.js'
import { identified, type Identity, type Watcher } from '../runtime/auth/identity.js'
import type { Client, Clients } from '../runtime/http/client-address.js'
import type { Exchange, Upgrade } from '../runtime/http/exchange.js'
import { handshake } from '../runtime/http/handshake.js'
import { POLL_HEADERS } from '../runtime/http/poll.js'
import type { AllowedOrigins } from '../runtime/http/public-headers.js'
import { json, type Answer } from '../runtime/http/reply.js'
import { maxRateAsked, pollAsked, severalAsked, streamAsked, wantsPoll, wantsStream } from '../runtime/http/stream-request.js'
import type { Gateway } from './gateway.js'
import { VIDEOS_OF_A_STREAM, type Limits } from './limits.js'
import type { GatewayMetrics } from './metrics.js'
import { openPoll } from './open-poll.js'
import { OpenSocket } from './open-socket.js'
import { openStream } from './open-stream.js'
import type { Viewing } from './sink.js'
import { SocketPosts, type SocketPoster } from './socket-posts.js'
import type { StreamRequest, StreamRequests } from './viewer.js'

export interface WatchOptions {
  readonly gateway: Gateway
  readonly metrics: GatewayMetrics
  /** Who may post and watch; undefined: anyone. */
  readonly identity?: Identity | undefined
  readonly allowedOrigins: AllowedOrigins
  readonly viewerLimit: number
  /** What one client may do. */
  readonly limits: Limits
  readonly clients: Clients
  /** Whether it takes no new viewers; posts and history are served all the same. */
  readonly draining: () => boolean
  /** Of every answer. */
  readonly headers: (exchange: Exchange) => Readonly<Record<string, string>>
}

type TurnedAway = 'stopping' | 'viewer_limit' | 'join_rate'

/** Takes viewers in, whatever transport they ask for: server-sent events, a WebSocket, or a long-poll. Each is another sink of the same
 * session. */
export class Watch {
  readonly #options: WatchOptions
  readonly #posts: SocketPosts

  constructor(options: WatchOptions) {
    this.#options = options
    this.#posts = new SocketPosts(options)
  }

  /** Whether a request of a video's comments is a viewer's, and not for a page of history. */
  isAskedBy(exchange: Exchange): boolean {
    return exchange.upgrade !== undefined || wantsStream(exchange.headers('accept')) || wantsPoll(exchange)
  }

  /** @throws LiveError for what a retry would not cure; also RATE_LIMITED for a stream too many of one address or author: that is for
   * the client to end, and coming back every few seconds does not */
  open(exchange: Exchange, videoId: VideoId): Answer {
    if (exchange.upgrade) {
      return this.#socket(exchange, exchange.upgrade, () => {
        const { after, recent } = streamAsked(exchange)
        return { videoId, after, recent, maxRate: maxRateAsked(exchange) }
      })
    }
    return wantsStream(exchange.headers('accept')) ? this.#stream(exchange, { videoId, ...streamAsked(exchange), maxRate: maxRateAsked(exchange) }) : this.#poll(exchange, videoId)
  }

  /** The same for several videos by one connection.
   * @throws LiveError as `open`; also BAD_REQUEST where neither a stream nor a WebSocket is asked for */
  openSeveral(exchange: Exchange): Answer {
    if (exchange.upgrade) return this.#socket(exchange, exchange.upgrade, () => severalRequests(exchange))
    const requests = severalRequests(exchange)
    if (!wantsStream(exchange.headers('accept'))) throw new LiveError('BAD_REQUEST', 'several videos are watched with Accept: text/event-stream, or by WebSocket')
    return this.#stream(exchange, requests)
  }

  /** 200 for a request that can ever succeed: EventSource gives up for good on anything else. */
  #stream(exchange: Exchange, requests: StreamRequests): Answer {
    const { gateway, clients, identity } = this.#options
    const headers = [STREAM_HEADERS, this.#options.headers(exchange)]
    const client = clients.of(exchange)
    const videos = videosOf(requests)
    return identified(identity, exchange, videos, known => {
      if (exchange.method === 'HEAD') return { status: 200, headers: STREAM_HEADERS }
      const reason = this.#turnsAway(client, videos)
      if (reason) return { status: 200, headers: STREAM_HEADERS, body: retryIn(gateway.sessions.retryMs()), close: reason === 'stopping' }
      openStream(gateway.sessions, exchange.res, requests, headers, this.#viewing(client, known, videos))
      return undefined
    })
  }

  /** Open at once, since the library cannot open one later: what a token says is learnt then, and a refusal is a close.
   * @param asked what the request is for, once its origin is known to be allowed */
  #socket(exchange: Exchange, upgrade: Upgrade, asked: () => StreamRequests): Answer {
    const { clients, allowedOrigins, identity } = this.#options
    const protocol = handshake(exchange, allowedOrigins)
    const requests = asked()
    const videos = videosOf(requests)
    const client = clients.of(exchange)
    const poster: SocketPoster = { videos, isSeveral: !('videoId' in requests), client, author: this.#authorOf(exchange) }
    if (!identity?.requireToWatch) {
      const take = this.#taker(client, requests, undefined)
      upgrade(protocol, socket => take(new OpenSocket(socket, this.#posts, poster)))
      return undefined
    }
    const token = identity.tokenOf(exchange)
    upgrade(protocol, socket => {
      const open = new OpenSocket(socket, this.#posts, poster)
      identity.viewerOf(token, videos).then(known => open.isClosed || this.#taker(client, requests, known)(open)).catch(error => open.refuse(error))
      return open
    })
    return undefined
  }

  /** Decides about a viewer by WebSocket. @throws LiveError RATE_LIMITED
   * @returns what is to be done with it once it is open */
  #taker(client: Client, requests: StreamRequests, known: Watcher | undefined): (open: OpenSocket) => OpenSocket {
    const { sessions } = this.#options.gateway
    const videos = videosOf(requests)
    const reason = this.#turnsAway(client, videos)
    const viewing = reason ? undefined : this.#viewing(client, known, videos)
    return open => {
      if (viewing) open.watch(sessions, requests, viewing)
      else open.turnAway(reason === 'stopping' ? 'stopping' : 'full', sessions.retryMs())
      return open
    }
  }

  #poll(exchange: Exchange, videoId: VideoId): Answer {
    const { gateway, clients, identity } = this.#options
    const { waitMs, after, recent } = pollAsked(exchange)
    const maxRate = maxRateAsked(exchange)
    const client = clients.of(exchange)
    return identified(identity, exchange, [videoId], known => {
      if (exchange.method === 'HEAD') return json({}, 200, POLL_HEADERS)
      const reason = this.#turnsAway(client, [videoId])
      if (reason) throw new LiveError(reason === 'stopping' ? 'UNAVAILABLE' : 'OVERLOADED', TURNED_AWAY[reason], { headers: { 'retry-after': '1' } })
      return openPoll(gateway.sessions, gateway.clock, exchange, { videoId, after, recent, maxRate }, waitMs, this.#viewing(client, known, [videoId]))
    })
  }

  /** Why no viewer of this client is taken in now, counted; or undefined. */
  #turnsAway({ keys }: Client, { length: videos }: readonly VideoId[]): TurnedAway | undefined {
    const { gateway, metrics, viewerLimit, draining } = this.#options
    const { sessions, links } = gateway
    const isFull = sessions.size + links.relayed >= viewerLimit || (videos > 1 && sessions.places + videos > viewerLimit * VIDEOS_OF_A_STREAM)
    const reason = draining() ? 'stopping' : isFull ? 'viewer_limit' : sessions.takesNewcomer(keys, videos) ? undefined : 'join_rate'
    if (reason) metrics.turnedAway.inc({ reason })
    return reason
  }

  /** Counts the stream. @throws LiveError RATE_LIMITED */
  #viewing(client: Client, known: Watcher | undefined, videos: readonly VideoId[]): Viewing {
    return { counted: this.#options.limits.stream(client, known?.authorId, videos.length), endsAt: known?.endsAt, key: known?.key, client: client.keys }
  }

  /** By the token that the request came with, which is checked anew at each post: it may have expired. */
  #authorOf(exchange: Exchange): SocketPoster['author'] {
    const { identity } = this.#options
    if (!identity) return () => Promise.resolve(undefined)
    try {
      const token = identity.tokenOf(exchange)
      return videoId => identity.bearerOf(token, videoId)
    } catch (error) {
      const refusal = error as Error
      return () => Promise.reject(refusal)
    }
  }
}

/** @throws LiveError as `severalAsked` and `maxRateAsked` */
function severalRequests(exchange: Exchange): StreamRequest[] {
  const maxRate = maxRateAsked(exchange)
  return severalAsked(exchange).map(asked => ({ ...asked, maxRate }))
}

function videosOf(requests: StreamRequests): VideoId[] {
  return [requests].flat().map(({ videoId }) => videoId)
}

const TURNED_AWAY: Readonly<Record<TurnedAway, string>> = {
  stopping: 'this gateway is about to stop',
  viewer_limit: 'this gateway has no room for another viewer',
  join_rate: 'too many viewers come at a time',
}
