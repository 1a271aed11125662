import { Counter, Gauge, type Registry } from 'prom-client'
import { LiveError } from '../../protocol/errors.js'
import { TO_HEADER, WIRE_HEADER, WIRE_VERSION } from '../../protocol/wire.js'
import type { Exchange } from '../http/exchange.js'
import { json } from '../http/reply.js'
import { HttpServer } from '../http/server.js'
import type { UnreadConnections } from '../http/unread.js'
import type { Log } from '../log.js'
import { takesToken } from './internal-token.js'

export interface InternalOptions {
  /** INTERNAL_TOKEN: any of its tokens is accepted; undefined: no check. */
  readonly token: string | undefined
  readonly metrics: Registry
  /** The answer of `/internal/ping`, by which a caller knows whom it reached. */
  readonly identity: { readonly id: string; readonly instance: string; readonly version: string }
  /** Further fields of a ping's answer; undefined: none. */
  readonly pong?: () => Readonly<Record<string, unknown>>
  /** Why the node is not ready; undefined if it is. */
  readonly notReady: () => string | undefined
  readonly onBug: (error: unknown) => void
  readonly log?: Log
  readonly unread?: UnreadConnections
}

/** A refused peer keeps asking: at most one log line per code in this time. */
const SAID_MS = 60_000

/** The internal port of every node: health (open to all), metrics and `/internal/…` (both with the token, if one is set).
 * A ping also answers with this node's clock, `now` in Unix ms. Callers of another wire version are refused, so that a
 * rolling upgrade fails loudly. */
export function internalServer({ token, metrics, identity, pong, notReady, onBug, log, unread }: InternalOptions): HttpServer {
  const takes = token === undefined ? () => true : takesToken(token)
  const refused = tellRefusals(metrics, log)
  new Gauge({ name: 'live_ready', help: 'Whether /readyz says ready: 1 or 0.', registers: [metrics], collect() { this.set(Number(notReady() === undefined)) } })
  const server = new HttpServer({ onBug, unread, guard: exchange => guard(exchange, takes, identity.instance, refused) })
  server.route('GET', '/healthz', () => json({ status: 'ok' }))
  server.route('GET', '/readyz', () => readiness(notReady))
  server.route('GET', '/internal/ping', () => json({ ...identity, ...pong?.(), now: Date.now() }))
  server.route('GET', '/metrics', async () => ({ status: 200, headers: { 'content-type': metrics.contentType }, body: await metrics.metrics() }))
  return server
}

export function readiness(notReady: () => string | undefined) {
  const reason = notReady()
  if (reason === undefined) return json({ status: 'ready' })
  throw new LiveError('NOT_READY', reason)
}

function guard(exchange: Exchange, takes: (authorization: string) => boolean, instance: string, refused: Refused): void {
  if (exchange.path === '/healthz' || exchange.path === '/readyz') return
  if (!takes(exchange.header('authorization'))) throw refused(new LiveError('UNAUTHORIZED', 'the internal token is missing or wrong'))
  const wire = exchange.header(WIRE_HEADER)
  if (exchange.path.startsWith('/internal/') && wire !== '' && wire !== String(WIRE_VERSION)) {
    throw refused(new LiveError('WRONG_WIRE_VERSION', `this node speaks wire version ${WIRE_VERSION}`))
  }
  // A restarted node has the former instance's address and none of its rooms.
  const to = exchange.header(TO_HEADER)
  if (to !== '' && to !== instance) throw refused(new LiveError('MISDIRECTED', 'this is meant for an instance that is gone'))
}

type Refused = (error: LiveError) => LiveError

/** Counts and logs what the guard refuses: a wrong token or version is for an operator to fix. */
function tellRefusals(metrics: Registry, log: Log | undefined): Refused {
  const counter = new Counter({ name: 'live_internal_refusals_total', help: 'Calls to the internal port refused for their token, wire version or instance, by error code.', labelNames: ['code'], registers: [metrics] })
  for (const code of ['UNAUTHORIZED', 'WRONG_WIRE_VERSION', 'MISDIRECTED']) counter.inc({ code }, 0)
  const saidAt = new Map<string, number>()
  return error => {
    counter.inc({ code: error.code })
    const now = performance.now()
    // MISDIRECTED needs no operator: the caller learns from this answer that the former instance is gone.
    if (error.code === 'MISDIRECTED' || now - (saidAt.get(error.code) ?? -Infinity) < SAID_MS) return error
    saidAt.set(error.code, now)
    log?.warn({ code: error.code, reason: error.message, silentMs: SAID_MS }, 'peer_refused')
    return error
  }
}
