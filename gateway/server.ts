import { checkVideoId, type VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { parseVideos } from '../protocol/several.js'
import type { Exchange } from '../runtime/http/exchange.js'
import { publicHeaders } from '../runtime/http/public-headers.js'
import { json, type Answer, type Reply } from '../runtime/http/reply.js'
import type { Router } from '../runtime/http/server.js'
import { VIEWER_SOCKETS } from '../runtime/http/socket.js'
import { readiness } from '../runtime/peers/internal-server.js'
import { counted, countedPost } from './counted.js'
import { routeDocs } from './docs.js'
import { history } from './history.js'
import { bodyOf, keyOf } from './json-request.js'
import { routeModeration, type ModerationOptions } from './moderation.js'
import { routePage } from './page.js'
import { Watch, type WatchOptions } from './watch.js'

/** In one call: more hardly fit into a request's 4 KB. */
const MAX_COUNTED_VIDEOS = 200
const UNCACHED = { 'cache-control': 'no-store' }

export interface ApiOptions extends ModerationOptions, Omit<WatchOptions, 'headers'> {
  /** Time for which browsers must use https for this host, s; 0: not sent. */
  readonly hstsSeconds?: number
  /** Why it is not ready, or undefined when it is. */
  readonly notReady: () => string | undefined
  /** Whether the view has been read at all. */
  readonly viewLoaded: () => boolean
  /** For how long the view may have been out of date, ms; 0 while it is current. */
  readonly viewStaleMs: () => number
}

/** The public API: what viewers and posters ask of a gateway. */
export class PublicApi {
  /** Of every answer. */
  readonly headers: (exchange: Exchange) => Readonly<Record<string, string>>
  readonly #options: ApiOptions
  readonly #watch: Watch

  constructor(options: ApiOptions) {
    this.#options = options
    this.headers = publicHeaders(options.allowedOrigins, options.identity !== undefined, options.hstsSeconds)
    this.#watch = new Watch({ ...options, headers: this.headers })
    options.identity?.whenKeysChange(keys => options.gateway.sessions.keysChanged(keys))
  }

  route(router: Router): void {
    const { allowedOrigins, identity, notReady } = this.#options
    routePage(router, allowedOrigins, identity !== undefined)
    routeDocs(router)
    router
      .route('GET', '/healthz', () => json({ status: 'ok' }))
      .route('GET', '/readyz', () => readiness(notReady))
      .route('GET', '/comments', exchange => this.#watch.openSeveral(exchange), VIEWER_SOCKETS)
      .route('GET', '/counts', exchange => this.#counts(exchange))
      .route('GET', '/comments/:videoId', exchange => this.#get(exchange), VIEWER_SOCKETS)
      .route('POST', '/comments/:videoId', exchange => this.#post(exchange))
      .route('GET', '/comments/:videoId/stats', exchange => this.#stats(exchange))
    routeModeration(router, this.#options)
  }

  #get(exchange: Exchange): Answer {
    const videoId = checkVideoId(exchange.parameter(0))
    return this.#watch.isAskedBy(exchange) ? this.#watch.open(exchange, videoId) : this.#history(exchange, videoId)
  }

  /** @throws LiveError UNAUTHORIZED, FORBIDDEN where identity says who may read, and it is not who asks */
  async #mayRead(exchange: Exchange, video: VideoId | readonly VideoId[]): Promise<void> {
    const { identity } = this.#options
    if (identity?.requireToWatch) await identity.bearer(exchange, video)
  }

  #history(exchange: Exchange, videoId: VideoId): Promise<Reply> {
    const { gateway, metrics, limits, clients } = this.#options
    const { query } = exchange
    const client = clients.of(exchange)
    const page = () => limits.read(client, () => history(gateway, videoId, query), () => !exchange.aborted)
    return counted(this.#mayRead(exchange, videoId).then(page), status => metrics.historyReads.inc({ status }))
  }

  #post(exchange: Exchange): Promise<Reply> {
    return countedPost(this.#options, this.#options.gateway.clock.now(), this.#accept(exchange))
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
    await this.#mayRead(exchange, videoId)
    return json(this.#countOf(videoId), 200, UNCACHED)
  }

  async #counts(exchange: Exchange): Promise<Reply> {
    const videos = parseVideos(exchange.query.get('videos') ?? '', MAX_COUNTED_VIDEOS).map(({ videoId }) => videoId)
    await this.#mayRead(exchange, videos)
    return json({ counts: videos.map(videoId => this.#countOf(videoId)), staleMs: Math.round(this.#options.viewStaleMs()) }, 200, UNCACHED)
  }

  /** As the registry's view has it. @throws LiveError UNAVAILABLE */
  #countOf(videoId: VideoId): { readonly videoId: VideoId; readonly viewers: number; readonly edges: number } {
    const { gateway: { view }, viewLoaded } = this.#options
    if (!viewLoaded()) throw new LiveError('UNAVAILABLE', 'the registry has not been read yet')
    return { videoId, viewers: view.viewersOf(videoId), edges: view.countedSubscriptionsOf(videoId).length }
  }
}
