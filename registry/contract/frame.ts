import { Buffer } from 'node:buffer'
import { MAX_CURSOR, type Cursor } from './id.js'

/** What an edge sends a gateway for one viewer: frames, each a header of 12 bytes and a payload.
 *
 *   byte 0      kind
 *   byte 1      0, reserved
 *   bytes 2–3   payload length, big endian
 *   bytes 4–11  last id, big endian: the viewer's place once the payload is passed on; 0 = unchanged
 *
 * A payload is whole SSE events, at most 16 KB; more is several frames in one write. */
export const FRAME_HEADER_BYTES = 12
export const MAX_PAYLOAD_BYTES = 16_384

export const FrameKind = {
  /** Events to pass on as they are. */
  events: 1,
  /** The `ready` event: only a viewer's first is passed on. */
  ready: 2,
  /** The last frame; the payload is an EndReason. */
  end: 3,
} as const
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind]

/** `drain`: place the viewer again. `slow`: its own fault, end its stream. `full`: the edge cannot take it. */
export const END_REASONS = ['drain', 'slow', 'full'] as const
export type EndReason = (typeof END_REASONS)[number]

export interface Frame {
  readonly kind: FrameKind
  /** 0 = the viewer's place is unchanged. */
  readonly id: Cursor
  /** A view into the chunk it came in: copy to keep. */
  readonly payload: Buffer
}

/** An SSE event with its place in the video's order; id 0 moves no place (`viewers`, heartbeats). */
export interface StreamEvent {
  readonly id: Cursor
  readonly text: string
  /** UTF-8 length of `text`. */
  readonly bytes: number
}

export function streamEvent(id: Cursor, text: string): StreamEvent {
  return { id, text, bytes: Buffer.byteLength(text) }
}

/** The events as the frames of one write, each as full as it may be. */
export function framesOf(events: readonly StreamEvent[]): Buffer {
  const runs: { from: number; to: number; bytes: number; id: Cursor }[] = []
  let run: (typeof runs)[number] | undefined
  let total = 0
  events.forEach((event, i) => {
    if (!run || run.bytes + event.bytes > MAX_PAYLOAD_BYTES) {
      runs.push((run = { from: i, to: i, bytes: 0, id: 0 }))
      total += FRAME_HEADER_BYTES
    }
    run.to = i + 1
    run.bytes += event.bytes
    if (event.id !== 0) run.id = event.id
    total += event.bytes
  })
  const out = Buffer.allocUnsafe(total)
  let at = 0
  for (const { from, to, bytes, id } of runs) {
    at = header(out, at, FrameKind.events, bytes, id)
    for (let i = from; i < to; i++) at += out.write(events[i]!.text, at, 'utf8')
  }
  return out
}

/** One frame. @param payload at most MAX_PAYLOAD_BYTES in UTF-8 */
export function frame(kind: FrameKind, id: Cursor, payload: string): Buffer {
  const bytes = Buffer.byteLength(payload)
  const out = Buffer.allocUnsafe(FRAME_HEADER_BYTES + bytes)
  out.write(payload, header(out, 0, kind, bytes, id), 'utf8')
  return out
}

function header(out: Buffer, at: number, kind: FrameKind, bytes: number, id: Cursor): number {
  if (bytes > MAX_PAYLOAD_BYTES) throw new RangeError(`a frame's payload of ${bytes} bytes`)
  out[at] = kind
  out[at + 1] = 0
  out.writeUInt16BE(bytes, at + 2)
  out.writeUInt32BE(Math.floor(id / 2 ** 32), at + 4)
  out.writeUInt32BE(id % 2 ** 32, at + 8)
  return at + FRAME_HEADER_BYTES
}

export class FrameError extends Error {
  override readonly name = 'FrameError'
}

/** Takes a stream of frames apart; chunks may end anywhere. */
export class FrameReader {
  #rest: Buffer | undefined

  /** The frames that `chunk` completes.
   * @throws FrameError when the bytes cannot be frames: the stream is lost */
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
    // Copied: the rest must not keep a large chunk alive.
    this.#rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined
    return frames
  }
}
