import { checkVideoId } from '../registry/contract/comment.js'
import { frame, FrameKind, type EndReason } from '../registry/contract/frame.js'
import { parseCursor, type Cursor } from '../registry/contract/id.js'
import { acceptsGzip, blocks, EMPTY_BLOCK, GZIP_HEADER, GZIP_HEADERS } from '../registry/contract/gzip.js'
import { HEARTBEAT, retryLine, STREAM_HEADERS } from '../registry/contract/sse.js'
import { parseBatch, WireError, type Batch } from '../registry/contract/wire.js'
import { LiveError } from '../registry/node/errors.js'
import { HttpServer, json, leaveCallback, type Exchange, type Reply } from '../registry/node/http.js'
import { readiness } from '../registry/node/internal.js'
import { Stream } from '../registry/node/stream.js'
import type { Edge } from './edge.js'
import type { Encoding } from './encoding.js'
import type { Outlet, Start } from './viewer.js'

const MAX_BATCH_BYTES = 16 * 1024 * 1024
const MAX_RECENT = 200
const CORS = { 'access-control-allow-origin': '*' }
const FRAME_HEADERS = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' }
/** A frame without a payload: moves no place, shows nothing, and pushes out what the server held back. */
const EMPTY_FRAME = frame(FrameKind.events, 0, '')

/** What dispatchers and gateways ask of an edge, on its internal port. */
export function internalRoutes(server: HttpServer, edge: Edge): void {
  server.route('POST', '/internal/batch', async exchange => {
    const bytes = await exchange.body(MAX_BATCH_BYTES)
    const batch = readBatch(bytes)
    await leaveCallback() // a fan-out inside the server's callback costs four times the CPU
    edge.batch(batch)
    return { status: 204 }
  })
  server.route('GET', '/internal/stream/:videoId', exchange => {
    const videoId = checkVideoId(exchange.parameter(0))
    const after = readCursor(exchange.query.get('after'), 'after')
    const recent = readRecent(exchange)
    return open(edge, exchange, videoId, { after, recent }, exchange.query.has('gzip') ? 'gzipFrames' : 'frames')
  })
}

/** The plain stream, for viewers that reach this edge by themselves. */
export function publicServer(edge: Edge, { onBug, notReady }: { onBug: (error: unknown) => void; notReady: () => string | undefined }): HttpServer {
  const server = new HttpServer({ onBug, headers: () => CORS })
  server.route('GET', '/healthz', () => json({ status: 'ok' }))
  server.route('GET', '/readyz', () => readiness(notReady))
  server.route('GET', '/comments/:videoId', exchange => {
    const videoId = checkVideoId(exchange.parameter(0))
    if (!exchange.header('accept').includes('text/event-stream')) throw new LiveError('NOT_FOUND', 'an edge has the live stream alone: ask for text/event-stream, or ask the gateway')
    const after = parseCursor(exchange.header('last-event-id')) ?? readCursor(exchange.query.get('lastEventId'), 'lastEventId')
    const recent = readRecent(exchange)
    return open(edge, exchange, videoId, { after, recent }, acceptsGzip(exchange.header('accept-encoding')) ? 'gzip' : 'plain')
  })
  return server
}

/** How each encoding begins, how it says nothing, and how it ends. */
const SHAPES: Readonly<Record<Encoding, { headers: Readonly<Record<string, string>>; first: () => string | Buffer; nothing: string | Buffer; last: (reason: EndReason) => string | Buffer }>> = {
  plain: { headers: { ...STREAM_HEADERS, ...CORS }, first: () => retryLine() + HEARTBEAT, nothing: HEARTBEAT, last: () => retryLine() },
  gzip: {
    headers: { ...STREAM_HEADERS, ...CORS, ...GZIP_HEADERS },
    first: () => Buffer.concat([GZIP_HEADER, blocks(retryLine() + HEARTBEAT, 0)]),
    nothing: EMPTY_BLOCK,
    last: () => blocks(retryLine(), 0),
  },
  frames: { headers: FRAME_HEADERS, first: () => EMPTY_FRAME, nothing: EMPTY_FRAME, last: reason => frame(FrameKind.end, 0, reason) },
  gzipFrames: { headers: FRAME_HEADERS, first: () => EMPTY_FRAME, nothing: EMPTY_FRAME, last: reason => frame(FrameKind.end, 0, reason) },
}

function open(edge: Edge, { res, method }: Exchange, videoId: string, start: Start, encoding: Encoding): Reply | undefined {
  const { headers, first, nothing, last } = SHAPES[encoding]
  if (method === 'HEAD') return { status: 200, headers }
  const stream = new Stream(res, headers, first(), {
    nudge: () => nothing,
    drained: () => viewer && edge.drained(viewer),
    left: () => viewer && edge.leave(viewer),
  })
  const outlet: Outlet = {
    encoding,
    write: bytes => stream.write(bytes),
    end(reason: EndReason) {
      // A viewer's own stuck socket would not take a farewell; a gateway's says whose fault it is.
      if (reason === 'slow' && (encoding === 'plain' || encoding === 'gzip')) stream.close()
      else stream.end(last(reason))
    },
  }
  const viewer = edge.join(videoId, start, outlet)
  return undefined
}

function readBatch(bytes: Buffer): Batch {
  try {
    return parseBatch(bytes)
  } catch (cause) {
    if (cause instanceof WireError) throw new LiveError('BAD_REQUEST', cause.message, { cause })
    throw cause
  }
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
