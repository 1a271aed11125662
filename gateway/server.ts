import { checkVideoId, type VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { retryLine, STREAM_HEADERS } from '../protocol/sse.js'
import type { Watcher } from '../runtime/auth/identity.js'
import type { Client } from '../runtime/http/client-address.js'
import type { Exchange } from '../runtime/http/exchange.js'
import { publicHeaders, type AllowedOrigins } from '../runtime/http/public-headers.js'
import { json, type Reply } from '../runtime/http/reply.js'
import type { Router } from '../runtime/http/server.js'
import { streamAsked, wantsStream } from '../runtime/http/stream-request.js'
import { readiness } from '../runtime/peers/internal-server.js'
import { routeDocs } from './docs.js'
import { history } from './history.js'
import { bodyOf, keyOf } from './json-request.js'
import { counted } from './metrics.js'
import { routeModeration, type ModerationOptions } from './moderation.js'
import { openStream } from './open-stream.js'
import { routePage } from './page.js'
import type { StreamRequest } from './viewer.js'

export interface ApiOptions extends ModerationOptions {
  readonly allowedOrigins: AllowedOrigins
  /** Time for which browsers must use https for this host, s; 0: not sent. */
  readonly hstsSeconds?: number
  readonly viewerLimit: number
  /** Why it is not ready, or undefined when it is. */
  readonly notReady: () => string | undefined
  /** Whether it takes no new viewers; posts and history are served all the same. */
  readonly draining: () => boolean
  /** Whether the view has been read at all. */
  readonly viewLoaded: () => boolean
}

/** The public API: what viewers and posters ask of a gateway. */
export class PublicApi {
  /** Of every answer. */
  readonly headers: (exchange: Exchange) => Readonly<Record<string, string>>
  readonly #options: ApiOptions

  constructor(options: ApiOptions) {
    this.#options = options
    this.headers = publicHeaders(options.allowedOrigins, options.identity !== undefined, options.hstsSeconds)
    options.identity?.whenKeysChange(keys => options.gateway.sessions.keysChanged(keys))
  }

  route(router: Router): void {
    const { allowedOrigins, identity, notReady } = this.#options
    routePage(router, allowedOrigins, identity !== undefined)
    routeDocs(router)
    router
      .route('GET', '/healthz', () => json({ status: 'ok' }))
      .route('GET', '/readyz', () => readiness(notReady))
      .route('GET', '/comments/:videoId', exchange => this.#get(exchange))
      .route('POST', '/comments/:videoId', exchange => this.#post(exchange))
      .route('GET', '/comments/:videoId/stats', exchange => this.#stats(exchange))
    routeModeration(router, this.#options)
  }

  #get(exchange: Exchange): Reply | Promise<Reply | undefined> | undefined {
    const videoId = checkVideoId(exchange.parameter(0))
    return wantsStream(exchange.headers('accept')) ? this.#stream(exchange, videoId) : this.#history(exchange, videoId)
  }

  /** @throws LiveError UNAUTHORIZED, FORBIDDEN where identity says who may read, and it is not who asks */
  async #mayRead(exchange: Exchange, videoId: VideoId): Promise<void> {
    const { identity } = this.#options
    if (identity?.requireToWatch) await identity.bearer(exchange, videoId)
  }

  /** 200 for a request that can ever succeed: EventSource gives up for good on anything else. One stream too many of
   * one address or author is told so all the same (429): that is for it to end, and coming back every few seconds does not. */
  #stream(exchange: Exchange, videoId: VideoId): Reply | Promise<Reply | undefined> | undefined {
    const { identity, clients } = this.#options
    const headers = [STREAM_HEADERS, this.headers(exchange)]
    const request = { videoId, ...streamAsked(exchange) }
    const client = clients.of(exchange)
    const open = (known?: Watcher) => (exchange.aborted ? undefined : this.#open(exchange, client, headers, request, known))
    return identity?.requireToWatch ? identity.viewer(exchange, videoId).then(open) : open()
  }

  /** @param known who watches, where a token said so */
  #open(exchange: Exchange, client: Client, headers: readonly Readonly<Record<string, string>>[], request: StreamRequest, known?: Watcher): Reply | undefined {
    const { gateway, metrics, viewerLimit, limits } = this.#options
    const draining = this.#options.draining()
    if (exchange.method === 'HEAD') return { status: 200, headers: STREAM_HEADERS }
    const reason = draining ? 'stopping' : gateway.sessions.size + gateway.links.relayed >= viewerLimit ? 'viewer_limit' : gateway.sessions.takesNewcomer(client.keys) ? undefined : 'join_rate'
    if (reason) {
      metrics.turnedAway.inc({ reason })
      return { status: 200, headers: STREAM_HEADERS, body: retryLine(gateway.random), close: draining }
    }
    const counted = limits.stream(client, known?.authorId)
    openStream(gateway.sessions, exchange.res, request, headers, { random: gateway.random, counted, endsAt: known?.endsAt, key: known?.key, client: client.keys })
    return undefined
  }

  #history(exchange: Exchange, videoId: VideoId): Promise<Reply> {
    const { gateway, metrics, limits, clients } = this.#options
    const { query } = exchange
    const client = clients.of(exchange)
    const page = () => limits.read(client, () => history(gateway, videoId, query), () => !exchange.aborted)
    return counted(this.#mayRead(exchange, videoId).then(page), status => metrics.historyReads.inc({ status }))
  }

  #post(exchange: Exchange): Promise<Reply> {
    const { gateway, metrics } = this.#options
    const since = gateway.clock.now()
    return counted(this.#accept(exchange), status => {
      metrics.posts.inc({ status })
      if (status === 201) metrics.postSeconds.observe((gateway.clock.now() - since) / 1000)
    })
  }

  /** Async only to reject where it throws: all of the request is read before anything is awaited. */
  async #accept(exchange: Exchange): Promise<Reply> {
    const videoId = checkVideoId(exchange.parameter(0))
    const { limits, clients, gateway, identity } = this.#options
    const lostMs = gateway.pauses.lostMs()
    const client = clients.of(exchange)
    limits.post(client)
    const body = bodyOf(exchange)
    const key = keyOf(exchange)
    const author = await identity?.bearer(exchange, videoId)
    if (author) limits.postBy(author.authorId, client)
    return gateway.poster.post(videoId, key, body, { author, lostMs })
  }

  async #stats(exchange: Exchange): Promise<Reply> {
    const videoId = checkVideoId(exchange.parameter(0))
    const { gateway, viewLoaded } = this.#options
    await this.#mayRead(exchange, videoId)
    if (!viewLoaded()) throw new LiveError('UNAVAILABLE', 'the registry has not been read yet')
    return json({ videoId, viewers: gateway.view.viewersOf(videoId), edges: gateway.view.subscriptionsOf(videoId).length }, 200, { 'cache-control': 'no-store' })
  }
}
