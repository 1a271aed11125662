import { Buffer } from 'node:buffer'
import { frame, FrameKind, streamEvent } from '../protocol/frame.js'
import { checksumOf, EMPTY_BLOCK, GZIP_HEADER, GZIP_HEADERS, GzipTrailer } from '../protocol/gzip.js'
import type { Cursor } from '../protocol/id.js'
import { HEARTBEAT, retryLine, STREAM_HEADERS } from '../protocol/sse.js'
import { inOne, textBytes, withReady, type Encoded } from '../runtime/fan-out/encoded.js'
import type { Exchange } from '../runtime/http/exchange.js'
import type { Reply } from '../runtime/http/reply.js'
import { Stream, type StreamEvents, type StreamResponse } from '../runtime/http/stream.js'
import type { Charges } from './charges.js'
import type { Edge } from './edge.js'
import { encode, type Encoding } from './encoding.js'
import type { Ending, Outlet, Start, Viewer } from './viewer.js'

const FRAME_HEADERS = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' }
/** A frame without a payload: moves no place, shows nothing, and pushes out what the server held back. */
const EMPTY_FRAME = frame(FrameKind.events, 0, '')

/** What an HTTP response can be. */
export type StreamEncoding = Exclude<Encoding, 'messages'>

interface Shape {
  readonly headers: Readonly<Record<string, string>>
  readonly first: () => Encoded
  /** What may be sent at any time and means nothing. */
  readonly nothing: Uint8Array
  /** See StreamEvents: a gateway reads bytes as they come. */
  readonly endsChunks: boolean
  readonly last: (reason: Ending) => Encoded
}

const FRAMES: Shape = {
  headers: FRAME_HEADERS,
  first: () => ({ bytes: EMPTY_FRAME }),
  nothing: EMPTY_FRAME,
  endsChunks: false,
  last: reason => ({ bytes: frame(FrameKind.end, 0, reason === 'expired' ? 'drain' : reason) }),
}

const SHAPES: Readonly<Record<StreamEncoding, Shape>> = {
  plain: {
    headers: STREAM_HEADERS,
    first: () => encode('plain', [streamEvent(0, retryLine() + HEARTBEAT)], 0),
    nothing: Buffer.from(HEARTBEAT),
    endsChunks: true,
    last: () => encode('plain', [streamEvent(0, retryLine())], 0),
  },
  gzip: {
    headers: { ...STREAM_HEADERS, ...GZIP_HEADERS },
    first: () => inOne([{ bytes: GZIP_HEADER, checksum: checksumOf('') }, encode('gzip', [streamEvent(0, retryLine() + HEARTBEAT)], 0)]),
    nothing: EMPTY_BLOCK,
    endsChunks: true,
    last: () => encode('gzip', [streamEvent(0, retryLine())], 0),
  },
  frames: FRAMES,
  gzipFrames: FRAMES,
}

/** What only a viewer of the public port has. */
export interface PublicViewer {
  /** Headers besides those of its encoding. */
  readonly headers?: Readonly<Record<string, string>>
  readonly charges?: Charges | undefined
  /** Its stream ends after the `retry:`: on an error EventSource would give up for good. */
  readonly later?: boolean
}

/** Opens a viewer's stream.
 * @returns the answer to a HEAD request; undefined where the stream is open */
export function connect(edge: Edge, { res, method }: Exchange, videoId: string, start: Start, encoding: StreamEncoding, own: PublicViewer = {}): Reply | undefined {
  if (method === 'HEAD') return { status: 200, headers: SHAPES[encoding].headers }
  const connection = new Connection(edge, res, encoding, own)
  if (own.later) connection.end('full')
  else connection.join(videoId, start)
  return undefined
}

/** A viewer's socket. One object, and no closures of its own: there are many of them. */
class Connection implements Outlet, StreamEvents {
  readonly encoding: StreamEncoding
  readonly #edge: Edge
  readonly #stream: Stream
  readonly #trailer: GzipTrailer | undefined
  readonly #charges: Charges | undefined
  #viewer: Viewer | undefined

  constructor(edge: Edge, res: StreamResponse, encoding: StreamEncoding, { headers: own = {}, charges }: PublicViewer) {
    const { headers, first } = SHAPES[encoding]
    this.encoding = encoding
    this.#edge = edge
    this.#charges = charges
    this.#trailer = encoding === 'gzip' ? new GzipTrailer() : undefined
    this.#stream = new Stream(res, [headers, own], this.#count(first()), this)
  }

  join(videoId: string, start: Start): void {
    this.#viewer = this.#edge.join(videoId, start, this)
  }

  write(encoded: Encoded, _from?: Cursor, _to?: Cursor, ready?: Encoded): boolean {
    this.#charges?.sent(textBytes(encoded), ready !== undefined)
    return this.#stream.write(this.#count(withReady(encoded, ready)))
  }

  heartbeat(): boolean {
    return this.#stream.write(this.#count(encode(this.encoding, [streamEvent(0, HEARTBEAT)], 0)))
  }

  end(reason: Ending): void {
    // A viewer's own stuck socket would not take a farewell; a gateway learns the reason by it.
    if (reason === 'slow' && SHAPES[this.encoding] !== FRAMES) this.#stream.close()
    else {
      const last = this.#count(SHAPES[this.encoding].last(reason))
      this.#stream.end(this.#trailer ? Buffer.concat([last, this.#trailer.bytes()]) : last)
    }
    this.#charges?.ended()
  }

  nudge(): Uint8Array {
    return SHAPES[this.encoding].nothing
  }

  chunkEnd(): Uint8Array | undefined {
    const { endsChunks, nothing } = SHAPES[this.encoding]
    return endsChunks ? nothing : undefined
  }

  progressed(): void {
    this.#viewer?.progressed()
  }

  drained(): void {
    if (this.#viewer) this.#edge.drained(this.#viewer)
  }

  left(): void {
    if (this.#viewer) this.#edge.leave(this.#viewer)
    this.#charges?.ended()
  }

  #count({ bytes, checksum }: Encoded): Uint8Array {
    if (checksum) this.#trailer?.add(checksum)
    return bytes
  }
}
