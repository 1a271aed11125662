import { Buffer } from 'node:buffer'
import type { HttpResponse } from 'uWebSockets.js'
import { blocks, EMPTY_BLOCK, GZIP_HEADER, GZIP_HEADERS } from '../registry/contract/gzip.js'
import { HEARTBEAT, retryLine } from '../registry/contract/sse.js'
import { Stream } from '../registry/node/stream.js'
import type { Joins } from './joins.js'
import type { StreamRequest } from './viewer.js'

export interface OpenStreamOptions {
  readonly random?: () => number
  /** The viewer's stay is over, whoever ended it. */
  readonly over?: () => void
  /** When the stream must end, Unix ms. */
  readonly endsAt?: number | undefined
}

/** Answers a viewer at once, whatever state the cluster is in, and has it placed.
 * @param headers of the answer, but for what its encoding adds */
export function openStream(joins: Joins, res: HttpResponse, request: StreamRequest, headers: Readonly<Record<string, string>>, { random = Math.random, over, endsAt }: OpenStreamOptions = {}): void {
  const { gzip } = request
  const pack = gzip ? (bytes: Uint8Array | string) => (typeof bytes === 'string' ? blocks(bytes, 0) : bytes) : (bytes: Uint8Array | string) => bytes
  const preamble = retryLine(random) + HEARTBEAT
  const stream = new Stream(res, gzip ? { ...headers, ...GZIP_HEADERS } : headers, gzip ? Buffer.concat([GZIP_HEADER, blocks(preamble, 0)]) : preamble, {
    nudge: () => (gzip ? EMPTY_BLOCK : HEARTBEAT), // only whole events are written, so any time is between two
    progressed: () => join.progressed(),
    drained: () => join.drained(),
    left: () => join.left(),
  })
  const join = joins.open(request, {
    write: bytes => stream.write(pack(bytes)),
    end: last => stream.end(pack(last)),
    close: () => stream.close(),
    ...(over ? { over } : {}),
  }, endsAt)
}
