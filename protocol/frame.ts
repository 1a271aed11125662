import { Buffer } from 'node:buffer'
import { MAX_CURSOR, type Cursor } from './id.js'

/** An edge sends a gateway of the former version one viewer's stream in frames: a header of 12 bytes and a payload each.
 *
 *   byte 0      kind
 *   byte 1      0, reserved
 *   bytes 2–3   payload length, big endian
 *   bytes 4–11  last id, big endian: the viewer's cursor once the payload is passed on; 0 = unchanged
 *
 * A payload is whole SSE events, at most 16 KB, or their DEFLATE blocks (gzip.ts) if the gateway asked for them. More
 * than that is sent as several frames in one write. */
export const FRAME_HEADER_BYTES = 12
export const MAX_PAYLOAD_BYTES = 16_384
/** Limit before compression: incompressible text grows by a few bytes. */
const MAX_TEXT_BYTES = MAX_PAYLOAD_BYTES - 64

export const FrameKind = {
  /** Events to pass on as they are. */
  events: 1,
  /** The `ready` event: only a viewer's first is passed on. */
  ready: 2,
  /** The last frame. Its payload is an EndReason. */
  end: 3,
} as const
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind]

/** Why an edge ends a stream; the gateway places the viewer again in each case. `drain`: the edge hands its viewers over.
 * `slow`: the gateway took nothing for SLOW_MS. `full`: the edge has no room. */
export const END_REASONS = ['drain', 'slow', 'full'] as const
export type EndReason = (typeof END_REASONS)[number]

export interface Frame {
  readonly kind: FrameKind
  /** 0 = the viewer's cursor is unchanged. */
  readonly id: Cursor
  /** A view into the chunk it came in: copy it to keep it. */
  readonly payload: Buffer
}

/** An SSE event and the cursor it moves a viewer to; 0 moves none (`viewers`, heartbeats). */
export interface StreamEvent {
  readonly id: Cursor
  readonly text: string
  /** UTF-8 length of `text`. */
  readonly bytes: number
}

export function streamEvent(id: Cursor, text: string): StreamEvent {
  return { id, text, bytes: Buffer.byteLength(text) }
}

/** The frames of one write, each as full as possible.
 * @param pack turns the text of a frame's events into its payload, at most 64 bytes longer */
export function framesOf(events: readonly StreamEvent[], pack: (text: string) => Uint8Array = text => Buffer.from(text)): Buffer {
  const parts: Uint8Array[] = []
  let text = ''
  let bytes = 0
  let last: Cursor = 0
  const close = () => {
    const payload = pack(text)
    parts.push(header(FrameKind.events, payload.length, last), payload)
  }
  for (const event of events) {
    if (bytes > 0 && bytes + event.bytes > MAX_TEXT_BYTES) {
      close()
      text = ''
      bytes = 0
      last = 0
    }
    text += event.text
    bytes += event.bytes
    if (event.id !== 0) last = event.id
  }
  if (bytes > 0) close()
  return Buffer.concat(parts)
}

/** One frame. @param payload at most MAX_PAYLOAD_BYTES in UTF-8 */
export function frame(kind: FrameKind, id: Cursor, payload: string | Uint8Array): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  return Buffer.concat([header(kind, bytes.length, id), bytes])
}

function header(kind: FrameKind, bytes: number, id: Cursor): Buffer {
  if (bytes > MAX_PAYLOAD_BYTES) throw new RangeError(`a frame's payload of ${bytes} bytes`)
  const out = Buffer.alloc(FRAME_HEADER_BYTES)
  out[0] = kind
  out.writeUInt16BE(bytes, 2)
  out.writeUInt32BE(Math.floor(id / 2 ** 32), 4)
  out.writeUInt32BE(id % 2 ** 32, 8)
  return out
}

export class FrameError extends Error {
  override readonly name = 'FrameError'
}

/** Splits a stream into frames; chunks may end anywhere. */
export class FrameReader {
  #rest: Buffer | undefined

  /** The frames that `chunk` completes.
   * @throws FrameError if the bytes are not frames: the stream is lost */
  push(chunk: Buffer): Frame[] {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    const frames: Frame[] = []
    let at = 0
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const kind = bytes[at]!
      const length = bytes.readUInt16BE(at + 2)
      if (kind < FrameKind.events || kind > FrameKind.end || bytes[at + 1] !== 0 || length > MAX_PAYLOAD_BYTES) {
        throw new FrameError(`not a frame: kind ${kind}, ${length} bytes`)
      }
      const end = at + FRAME_HEADER_BYTES + length
      if (end > bytes.length) break
      const id = bytes.readUInt32BE(at + 4) * 2 ** 32 + bytes.readUInt32BE(at + 8)
      if (id > MAX_CURSOR) throw new FrameError('not a frame: id over 2^53 - 1')
      frames.push({ kind: kind as FrameKind, id, payload: bytes.subarray(at + FRAME_HEADER_BYTES, end) })
      at = end
    }
    // Copied, so that the rest does not keep a large chunk alive.
    this.#rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined
    return frames
  }
}
