import { Buffer } from 'node:buffer'
import { frame, FrameKind, type EndReason } from '../protocol/frame.js'
import { blocks, EMPTY_BLOCK, GZIP_HEADER, GZIP_HEADERS } from '../protocol/gzip.js'
import { HEARTBEAT, retryLine, STREAM_HEADERS } from '../protocol/sse.js'
import type { Exchange } from '../runtime/http/exchange.js'
import type { Reply } from '../runtime/http/reply.js'
import { Stream, type StreamEvents, type StreamResponse } from '../runtime/http/stream.js'
import type { Counted } from '../runtime/limits/streams.js'
import type { Edge } from './edge.js'
import type { Encoding } from './encoding.js'
import type { Outlet, Start, Viewer } from './viewer.js'

const FRAME_HEADERS = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' }
/** A frame without a payload: moves no place, shows nothing, and pushes out what the server held back. */
const EMPTY_FRAME = frame(FrameKind.events, 0, '')

interface Shape {
  readonly headers: Readonly<Record<string, string>>
  readonly first: () => string | Uint8Array
  /** What may be sent at any time and means nothing. */
  readonly nothing: string | Uint8Array
  readonly last: (reason: EndReason) => string | Uint8Array
}

const FRAMES: Shape = { headers: FRAME_HEADERS, first: () => EMPTY_FRAME, nothing: EMPTY_FRAME, last: reason => frame(FrameKind.end, 0, reason) }

const SHAPES: Readonly<Record<Encoding, Shape>> = {
  plain: { headers: STREAM_HEADERS, first: () => retryLine() + HEARTBEAT, nothing: HEARTBEAT, last: () => retryLine() },
  gzip: {
    headers: { ...STREAM_HEADERS, ...GZIP_HEADERS },
    first: () => Buffer.concat([GZIP_HEADER, blocks(retryLine() + HEARTBEAT, 0)]),
    nothing: EMPTY_BLOCK,
    last: () => blocks(retryLine(), 0),
  },
  frames: FRAMES,
  gzipFrames: FRAMES,
}

const NO_HEADERS = {}

/** Opens a viewer's stream. @param own headers besides those of its encoding
 * @param counted where the stream counts against a limit
 * @returns the answer to a HEAD request; undefined where the stream is open */
export function connect(edge: Edge, { res, method }: Exchange, videoId: string, start: Start, encoding: Encoding, own: Readonly<Record<string, string>> = NO_HEADERS, counted?: Counted): Reply | undefined {
  if (method === 'HEAD') return { status: 200, headers: SHAPES[encoding].headers }
  const connection = new Connection(edge, res, encoding, own, counted)
  connection.viewer = edge.join(videoId, start, connection)
  return undefined
}

/** A viewer's socket. One object, and no closures of its own: there are many of them. */
class Connection implements Outlet, StreamEvents {
  readonly encoding: Encoding
  viewer: Viewer | undefined
  readonly #edge: Edge
  readonly #stream: Stream
  /** Until it has ended. */
  #counted: Counted | undefined

  constructor(edge: Edge, res: StreamResponse, encoding: Encoding, own: Readonly<Record<string, string>>, counted: Counted | undefined) {
    const { headers, first } = SHAPES[encoding]
    this.encoding = encoding
    this.#edge = edge
    this.#counted = counted
    this.#stream = new Stream(res, [headers, own], first(), this)
  }

  write(bytes: Uint8Array): boolean {
    return this.#stream.write(bytes)
  }

  end(reason: EndReason): void {
    // A viewer's own stuck socket would not take a farewell; a gateway's is told whose fault it is.
    if (reason === 'slow' && SHAPES[this.encoding] !== FRAMES) this.#stream.close()
    else this.#stream.end(SHAPES[this.encoding].last(reason))
    this.#ended()
  }

  nudge(): string | Uint8Array {
    return SHAPES[this.encoding].nothing
  }

  progressed(): void {
    this.viewer?.progressed()
  }

  drained(): void {
    if (this.viewer) this.#edge.drained(this.viewer)
  }

  left(): void {
    if (this.viewer) this.#edge.leave(this.viewer)
    this.#ended()
  }

  #ended(): void {
    const counted = this.#counted
    this.#counted = undefined
    counted?.ended()
  }
}
