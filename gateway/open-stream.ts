import { Buffer } from 'node:buffer'
import { blocks, EMPTY_BLOCK, GZIP_HEADER, GZIP_HEADERS } from '../protocol/gzip.js'
import { HEARTBEAT, retryLine } from '../protocol/sse.js'
import { Stream, type StreamEvents, type StreamResponse } from '../runtime/http/stream.js'
import type { Counted } from '../runtime/limits/streams.js'
import type { Session, Sink } from './session.js'
import type { Sessions } from './sessions.js'
import type { StreamRequest } from './viewer.js'

export interface OpenStreamOptions {
  readonly random?: () => number
  /** Where the stream counts against a limit. */
  readonly counted?: Counted | undefined
  /** When the stream must end, Unix ms. */
  readonly endsAt?: number | undefined
}

/** Answers a viewer at once, whatever state the cluster is in, and has it placed.
 * @param headers of the answer, but for what its encoding adds */
export function openStream(sessions: Sessions, res: StreamResponse, request: StreamRequest, headers: readonly Readonly<Record<string, string>>[], { random = Math.random, counted, endsAt }: OpenStreamOptions = {}): void {
  const connection = new Connection(res, request.gzip === true, headers, retryLine(random) + HEARTBEAT, counted)
  connection.session = sessions.open(request, connection, endsAt)
}

const COMMENT = Buffer.from(HEARTBEAT)

/** A viewer's socket. One object, and no closures of its own: there are many of them. */
class Connection implements Sink, StreamEvents {
  session: Session | undefined
  readonly #gzip: boolean
  readonly #stream: Stream
  readonly #counted: Counted | undefined

  constructor(res: StreamResponse, gzip: boolean, headers: readonly Readonly<Record<string, string>>[], preamble: string, counted: Counted | undefined) {
    this.#gzip = gzip
    this.#counted = counted
    this.#stream = new Stream(res, gzip ? [...headers, GZIP_HEADERS] : headers, gzip ? Buffer.concat([GZIP_HEADER, blocks(preamble, 0)]) : preamble, this)
  }

  write(bytes: Buffer | string): boolean {
    return this.#stream.write(this.#pack(bytes))
  }

  end(last: string): void {
    this.#stream.end(this.#pack(last))
  }

  close(): void {
    this.#stream.close()
  }

  over(): void {
    this.#counted?.ended()
  }

  /** Only whole events are written, so any time is between two. */
  nudge(): Uint8Array {
    return this.#gzip ? EMPTY_BLOCK : COMMENT
  }

  chunkEnd(): Uint8Array {
    return this.nudge()
  }

  progressed(): void {
    this.session?.progressed()
  }

  drained(): void {
    this.session?.drained()
  }

  left(): void {
    this.session?.left()
  }

  #pack(bytes: Buffer | string): Buffer | string {
    return this.#gzip && typeof bytes === 'string' ? blocks(bytes, 0) : bytes
  }
}
