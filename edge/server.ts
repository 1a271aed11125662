import { checkVideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { parseCursor, type Cursor } from '../protocol/id.js'
import { MAX_CALL_BYTES, MAX_RECENT } from '../protocol/limits.js'
import { LINK_PATH, MAX_TO_EDGE_BYTES } from '../protocol/link.js'
import { parseBatch, readable } from '../protocol/wire.js'
import type { Exchange } from '../runtime/http/exchange.js'
import { publicHeaders } from '../runtime/http/public-headers.js'
import { json } from '../runtime/http/reply.js'
import { HttpServer, leaveCallback, type Router } from '../runtime/http/server.js'
import { VIEWER_SOCKETS, type SocketLimits, type SocketRouter } from '../runtime/http/socket.js'
import type { UnreadConnections } from '../runtime/http/unread.js'
import type { Connections } from '../runtime/limits/connections.js'
import { readiness } from '../runtime/peers/internal-server.js'
import type { TlsFiles } from '../runtime/tls/pair.js'
import { connect } from './connection.js'
import type { Edge } from './edge.js'
import { GatewayLink, type LinkLimits } from './gateway-link.js'
import { Watch, type WatchOptions } from './watch.js'

/** A gateway pings its links four times a second: one without a word for long is dead. A gateway that reads nothing may cost
 * no more memory than this. */
const SOCKET_LIMITS: SocketLimits = { maxMessageBytes: MAX_TO_EDGE_BYTES, maxUnsentBytes: 64 * 1024 * 1024, idleSeconds: 12 }

/** What dispatchers, gateways and operators ask of an edge, on its internal port. */
export function internalRoutes(router: Router & SocketRouter, edge: Edge, linkLimits?: LinkLimits): void {
  router.socket(LINK_PATH, SOCKET_LIMITS, socket => new GatewayLink(edge, socket, linkLimits))
  router.route('POST', '/internal/batch', async exchange => {
    const bytes = await exchange.body(MAX_CALL_BYTES)
    const batch = readable(parseBatch, bytes)
    await leaveCallback() // a fan-out inside the server's callback costs four times the CPU
    edge.batch(batch)
    return { status: 204 }
  })
  // What it really holds, to be compared with what it has announced.
  router.route('GET', '/internal/holdings', () => json({ viewers: edge.viewers, videos: Object.fromEntries(edge.subscriptions()) }))
  router.route('GET', '/internal/stream/:videoId', exchange => {
    const videoId = checkVideoId(exchange.parameter(0))
    const after = readCursor(exchange.query.get('after'), 'after')
    const recent = readRecent(exchange)
    return connect(edge, exchange, videoId, { after, recent }, exchange.query.has('gzip') ? 'gzipFrames' : 'frames')
  })
}

export interface PublicOptions extends Omit<WatchOptions, 'edge' | 'headers'> {
  /** The files of a certificate and its key, if it speaks TLS. */
  readonly tls?: TlsFiles | undefined
  /** Time for which browsers must use https for this host, s; 0: not sent. */
  readonly hstsSeconds?: number
  readonly connections: Connections
  readonly onBug: (error: unknown) => void
  readonly unread?: UnreadConnections
  readonly notReady: () => string | undefined
}

/** The live stream, for viewers that reach this edge by themselves. */
export function publicServer(edge: Edge, { tls, hstsSeconds, connections, streamsPerAddress, replays, clients, allowedOrigins, identity, onBug, unread, notReady }: PublicOptions): HttpServer {
  const headers = publicHeaders(allowedOrigins, identity !== undefined, hstsSeconds)
  identity?.whenKeysChange(keys => edge.keysChanged(keys))
  const server = new HttpServer({ onBug, tls, headers, connections, unread })
  server.route('GET', '/healthz', () => json({ status: 'ok' }))
  server.route('GET', '/readyz', () => readiness(notReady))
  const watch = new Watch({ edge, headers, clients, streamsPerAddress, replays, allowedOrigins, identity })
  server.route('GET', '/comments/:videoId', exchange => watch.open(exchange, checkVideoId(exchange.parameter(0))), VIEWER_SOCKETS)
  return server
}

function readCursor(text: string | null, name: string): Cursor | undefined {
  if (text === null) return undefined
  const cursor = parseCursor(text)
  if (cursor === undefined) throw new LiveError('BAD_CURSOR', `${name} must be a decimal number from 0 to 2^53 - 1`)
  return cursor
}

function readRecent({ query }: Exchange): number {
  const text = query.get('recent')
  if (text === null) return 0
  const recent = parseCursor(text)
  if (recent === undefined || recent > MAX_RECENT) throw new LiveError('BAD_RECENT', `recent must be a whole number from 0 to ${MAX_RECENT}`)
  return recent
}
