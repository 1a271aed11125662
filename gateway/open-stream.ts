import { Buffer } from 'node:buffer'
import { blocks, checksumOf, EMPTY_BLOCK, GZIP_HEADER, GZIP_HEADERS, GzipTrailer } from '../protocol/gzip.js'
import { HEARTBEAT, retryIn } from '../protocol/sse.js'
import type { Encoded, ViewerEncoding } from '../runtime/fan-out/encoded.js'
import { Stream, type StreamEvents, type StreamResponse } from '../runtime/http/stream.js'
import type { Counted } from '../runtime/limits/streams.js'
import type { Sessions } from './sessions.js'
import type { Ending, Sink, Stay, Viewing } from './sink.js'
import type { StreamRequests } from './viewer.js'

/** Answers a viewer at once, whatever state the cluster is in, and has it placed.
 * @param headers of the answer, but for what its encoding adds */
export function openStream(sessions: Sessions, res: StreamResponse, requests: StreamRequests, headers: readonly Readonly<Record<string, string>>[], viewing: Viewing = {}): void {
  const gzip = 'videoId' in requests && requests.gzip === true
  const connection = new Connection(res, gzip, headers, retryIn(sessions.retryMs()) + HEARTBEAT, viewing.counted)
  connection.stay = sessions.open(requests, connection, viewing)
}

const COMMENT = Buffer.from(HEARTBEAT)

/** A viewer's socket. One object, and no closures of its own: there are many of them. */
class Connection implements Sink, StreamEvents {
  readonly encoding: ViewerEncoding
  stay: Stay | undefined
  /** Of a compressed stream; undefined too once it has been passed bytes that came without a checksum, from an edge of the former
   * version: its end cannot be accounted for. */
  #trailer: GzipTrailer | undefined
  readonly #stream: Stream
  readonly #counted: Counted | undefined

  constructor(res: StreamResponse, gzip: boolean, headers: readonly Readonly<Record<string, string>>[], preamble: string, counted: Counted | undefined) {
    this.encoding = gzip ? 'gzip' : 'plain'
    this.#counted = counted
    if (gzip) this.#trailer = new GzipTrailer()
    this.#stream = new Stream(res, gzip ? [...headers, GZIP_HEADERS] : headers, gzip ? Buffer.concat([GZIP_HEADER, this.#pack(preamble)]) : preamble, this)
  }

  write({ bytes, checksum }: Encoded): boolean {
    if (checksum) this.#trailer?.add(checksum)
    else this.#trailer = undefined
    return this.#stream.write(bytes)
  }

  heartbeat(): boolean {
    return this.#stream.write(this.encoding === 'gzip' ? this.#pack(HEARTBEAT) : COMMENT)
  }

  end(_why: Ending, retryMs: number): void {
    const last = retryIn(retryMs)
    if (this.encoding === 'plain') return this.#stream.end(last)
    const packed = this.#pack(last)
    this.#stream.end(this.#trailer ? Buffer.concat([packed, this.#trailer.bytes()]) : packed)
  }

  close(): void {
    this.#stream.close()
  }

  over(): void {
    this.#counted?.ended()
  }

  /** Only whole events are written, so any time is between two. */
  nudge(): Uint8Array {
    return this.encoding === 'gzip' ? EMPTY_BLOCK : COMMENT
  }

  chunkEnd(): Uint8Array {
    return this.nudge()
  }

  progressed(): void {
    this.stay?.progressed()
  }

  drained(): void {
    this.stay?.drained()
  }

  left(): void {
    this.stay?.left()
  }

  #pack(text: string): Buffer {
    this.#trailer?.add(checksumOf(text))
    return blocks(text, 0)
  }
}
