import { Counter, Gauge, type Registry } from 'prom-client'
import { LiveError } from '../../protocol/errors.js'
import { NONCE_HEADER, PROOF_HEADER, TO_HEADER, WIRE_HEADER, WIRE_VERSION } from '../../protocol/wire.js'
import type { Exchange } from '../http/exchange.js'
import { json } from '../http/reply.js'
import { HttpServer } from '../http/server.js'
import type { UnreadConnections } from '../http/unread.js'
import type { Log } from '../log.js'
import { refuseBrowsers, refuseOtherHosts, refuseOtherPages } from './browser-guard.js'
import { takesToken } from './internal-token.js'
import { printProof } from './proof.js'

export interface InternalOptions {
  /** INTERNAL_TOKEN: any of its tokens is accepted; undefined: no check. */
  readonly token: string | undefined
  /** PEER_TOKEN: what is under PEER_ROUTES takes any of its tokens, and nothing else; undefined: there are no such routes. */
  readonly peerToken?: string | undefined
  readonly metrics: Registry
  /** The answer of `/internal/ping`, by which a caller knows whom it reached. */
  readonly identity: { readonly id: string; readonly instance: string; readonly version: string }
  /** Where the other parts reach this port; undefined until that is known. Without it there is no proof. */
  readonly url?: () => string | undefined
  /** Further fields of a ping's answer; undefined: none. */
  readonly pong?: () => Readonly<Record<string, unknown>>
  /** A page for operators: its files are open to all, and what it asks for has the token, under any path of its folder.
   * Nothing else here is for browsers. */
  readonly page?: { readonly folder: string; readonly files: ReadonlySet<string> }
  /** Why the node is not ready; undefined if it is. */
  readonly notReady: () => string | undefined
  readonly onBug: (error: unknown) => void
  readonly log?: Log
  readonly unread?: UnreadConnections
}

/** What other clusters may ask of this one. */
export const PEER_ROUTES = '/internal/peer/'

/** A refused peer keeps asking: at most one log line per code in this time. */
const SAID_MS = 60_000

/** The internal port of every node: health (open to all), metrics and `/internal/…` (both with the token, if one is set).
 * A ping also answers with this node's clock, `now` in Unix ms. Callers of another wire version are refused, so that a
 * rolling upgrade fails loudly; so are web pages. A health check that brings a nonce is answered with a proof of who we are. */
export function internalServer({ token, peerToken, metrics, identity, url = () => undefined, pong, page, notReady, onBug, log, unread }: InternalOptions): HttpServer {
  const refused = tellRefusals(metrics, log)
  new Gauge({ name: 'live_ready', help: 'Whether /readyz says ready: 1 or 0.', registers: [metrics], collect() { this.set(Number(notReady() === undefined)) } })
  const server = new HttpServer({ onBug, unread, guard: guardOf({ token, peerToken, url, page, instance: identity.instance, refused }) })
  const proof = (nonce: string): Record<string, string> => {
    const own = url()
    const proof = token === undefined || own === undefined ? undefined : printProof(token, { instance: identity.instance, url: own }, nonce)
    return proof === undefined ? {} : { [PROOF_HEADER]: proof }
  }
  server.route('GET', '/healthz', exchange => json({ status: 'ok' }, 200, proof(exchange.header(NONCE_HEADER))))
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

interface GuardOptions extends Required<Pick<InternalOptions, 'token' | 'url'>>, Pick<InternalOptions, 'page' | 'peerToken'> {
  readonly instance: string
  readonly refused: Refused
}

/** What is checked before a route, in this order. */
function guardOf({ token, peerToken, url, page, instance, refused }: GuardOptions): (exchange: Exchange) => void {
  const takesOwn = token === undefined ? undefined : takesToken(token)
  const takesPeers = peerToken === undefined ? undefined : takesToken(peerToken)
  return exchange => {
    const { path } = exchange
    const isOfPeer = takesPeers !== undefined && path.startsWith(PEER_ROUTES)
    const takes = isOfPeer ? takesPeers : takesOwn
    try {
      if (page && path.startsWith(page.folder)) refuseOtherPages(exchange)
      else refuseBrowsers(exchange)
      if (!takes) refuseOtherHosts(exchange, url())
      if (path === '/healthz' || path === '/readyz' || page?.files.has(path)) return
      if (takes && !takes(exchange.header('authorization'))) throw new LiveError('UNAUTHORIZED', `the ${isOfPeer ? 'peer' : 'internal'} token is missing or wrong`)
      if (path.startsWith('/internal/')) checkWire(exchange.header(WIRE_HEADER))
      // A restarted node has the former instance's address and none of its rooms.
      const to = exchange.header(TO_HEADER)
      if (to !== '' && to !== instance) throw new LiveError('MISDIRECTED', 'this is meant for an instance that is gone')
    } catch (error) {
      throw error instanceof LiveError ? refused(error) : error
    }
  }
}

/** A form or an image on a web page can send no header of ours. */
function checkWire(wire: string): void {
  if (wire === '') throw new LiveError('FORBIDDEN', `a call between parts names its wire version in ${WIRE_HEADER}`)
  if (wire !== String(WIRE_VERSION)) throw new LiveError('WRONG_WIRE_VERSION', `this node speaks wire version ${WIRE_VERSION}`)
}

type Refused = (error: LiveError) => LiveError

/** Counts and logs what the guard refuses: a wrong token or version, or a web page that calls, is for an operator to look at. */
function tellRefusals(metrics: Registry, log: Log | undefined): Refused {
  const counter = new Counter({ name: 'live_internal_refusals_total', help: 'Calls to the internal port refused for their token, wire version, instance or sender, by error code.', labelNames: ['code'], registers: [metrics] })
  for (const code of ['FORBIDDEN', 'UNAUTHORIZED', 'WRONG_WIRE_VERSION', 'MISDIRECTED']) counter.inc({ code }, 0)
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
