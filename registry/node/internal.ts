import type { Registry } from 'prom-client'
import { TO_HEADER, WIRE_HEADER, WIRE_VERSION } from '../contract/wire.js'
import { LiveError } from './errors.js'
import { bearerMatches, HttpServer, json, type Exchange } from './http.js'

export interface InternalOptions {
  readonly token: string | undefined
  readonly metrics: Registry
  /** What the node is: `/internal/ping` answers with it, so that a caller knows whom it reached. */
  readonly identity: { readonly id: string; readonly instance: string; readonly version: string }
  /** Why it is not ready, or undefined when it is. */
  readonly notReady: () => string | undefined
  readonly onBug: (error: unknown) => void
}

/** The internal port every node has: health (open to all), metrics and `/internal/…` (with the token, where one
 * is set). A ping also tells this node's clock, `now` in Unix ms. Another wire version is refused, so that a rolling upgrade fails loudly and not subtly. */
export function internalServer({ token, metrics, identity, notReady, onBug }: InternalOptions): HttpServer {
  const server = new HttpServer({ onBug, guard: exchange => guard(exchange, token, identity.instance) })
  server.route('GET', '/healthz', () => json({ status: 'ok' }))
  server.route('GET', '/readyz', () => readiness(notReady))
  server.route('GET', '/internal/ping', () => json({ ...identity, now: Date.now() }))
  server.route('GET', '/metrics', async () => ({ status: 200, headers: { 'content-type': metrics.contentType }, body: await metrics.metrics() }))
  return server
}

export function readiness(notReady: () => string | undefined) {
  const reason = notReady()
  if (reason === undefined) return json({ status: 'ready' })
  throw new LiveError('NOT_READY', reason)
}

function guard(exchange: Exchange, token: string | undefined, instance: string): void {
  if (exchange.path === '/healthz' || exchange.path === '/readyz') return
  if (token !== undefined && !bearerMatches(exchange.header('authorization'), token)) throw new LiveError('UNAUTHORIZED', 'the internal token is missing or wrong')
  const wire = exchange.header(WIRE_HEADER)
  if (exchange.path.startsWith('/internal/') && wire !== '' && wire !== String(WIRE_VERSION)) {
    throw new LiveError('WRONG_WIRE_VERSION', `this node speaks wire version ${WIRE_VERSION}`)
  }
  // A restarted node has its former self's address, and nothing of its rooms.
  const to = exchange.header(TO_HEADER)
  if (to !== '' && to !== instance) throw new LiveError('MISDIRECTED', 'this is meant for an instance that is gone')
}
