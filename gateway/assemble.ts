import type { Registry as Metrics } from 'prom-client'
import type { Change } from '../registry/view.js'
import { sleep, type Clock } from '../runtime/clock.js'
import type { Exchange } from '../runtime/http/exchange.js'
import type { Router } from '../runtime/http/server.js'
import { Gateway, type GatewayOptions } from './gateway.js'
import { GatewayMetrics } from './metrics.js'
import { PublicApi, type ApiOptions } from './server.js'

/** Posts under way are answered within 8 s. */
const POSTS_MS = 9_000
const ANSWERS_LEAVE_MS = 150

export interface GatewayPartDeps extends GatewayOptions, Pick<ApiOptions, 'allowedOrigins' | 'hstsSeconds' | 'identity' | 'viewerLimit' | 'limits' | 'clients' | 'viewLoaded' | 'viewStaleMs'> {
  readonly metrics: Metrics
}

/** A gateway without its sockets and its process: main.ts gives it real ones, test/simulate virtual ones. */
export class GatewayPart {
  readonly gateway: Gateway
  readonly #clock: Clock
  readonly #viewLoaded: () => boolean
  readonly #api: PublicApi
  /** The drain under way; undefined while viewers are taken. */
  #drain: object | undefined

  constructor(deps: GatewayPartDeps) {
    this.#clock = deps.clock
    this.#viewLoaded = deps.viewLoaded
    const metrics = new GatewayMetrics(deps.metrics)
    this.gateway = new Gateway({ ...deps, onTick: lateMs => metrics.loopDelay.record(lateMs) })
    metrics.watch(deps.metrics, this.gateway, deps.limits)
    this.#api = new PublicApi({ ...deps, gateway: this.gateway, metrics, notReady: () => this.notReady(), draining: () => this.#drain !== undefined })
  }

  /** Headers of every answer of the public API. */
  get headers(): (exchange: Exchange) => Readonly<Record<string, string>> {
    return this.#api.headers
  }

  /** Mounts the public API. */
  route(router: Router): void {
    this.#api.route(router)
  }

  viewChanged(change: Change): void {
    this.gateway.viewChanged(change)
  }

  /** Why it is not ready, or undefined when it is. */
  notReady(): string | undefined {
    if (this.#drain) return 'draining'
    return this.#viewLoaded() ? undefined : 'waiting for the registry'
  }

  /** Takes no new viewers, and ends all streams over `windowMs`. Posts and history are served all the same. Resolves when
   * no stream is left, or the drain was called off. */
  async drain(windowMs: number): Promise<void> {
    const drain = (this.#drain = {})
    await this.gateway.sessions.endAll(windowMs, () => this.#drain === drain)
  }

  /** Takes viewers again, after a drain that was called off. */
  resume(): void {
    this.#drain = undefined
  }

  /** Drains, waits for the posts under way, and closes. */
  async stop(windowMs: number): Promise<void> {
    const { poster } = this.gateway
    await this.drain(windowMs)
    const until = this.#clock.now() + POSTS_MS
    while (poster.inFlight > 0 && this.#clock.now() < until) await sleep(this.#clock, 20)
    await sleep(this.#clock, ANSWERS_LEAVE_MS)
    this.gateway.close()
  }
}
