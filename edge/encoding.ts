import { Buffer } from 'node:buffer'
import { frame, FrameKind, framesOf, type StreamEvent } from '../protocol/frame.js'
import { blocks } from '../protocol/gzip.js'
import type { Cursor } from '../protocol/id.js'

/** How a viewer takes its events: SSE, or DEFLATE blocks of it; bare on the public port, in frames towards a gateway. */
export type Encoding = 'plain' | 'gzip' | 'frames' | 'gzipFrames'

/** When flushes are compressed: a room of fewer viewers gets stored blocks, which cost nothing to make. */
export interface GzipPolicy {
  /** Of zlib, 1–9. */
  readonly level: number
  readonly minViewers: number
}

/** @param level of compression, where the encoding has any */
export function encode(encoding: Encoding, events: readonly StreamEvent[], level: number): Buffer {
  switch (encoding) {
    case 'plain':
      return Buffer.from(textOf(events))
    case 'gzip':
      return blocks(textOf(events), level)
    case 'frames':
      return framesOf(events)
    case 'gzipFrames':
      return framesOf(events, text => blocks(text, level))
  }
}

/** @param id the last comment sent, or the room's last */
export function encodeReady(encoding: Encoding, id: Cursor, text: string): Buffer {
  switch (encoding) {
    case 'plain':
      return Buffer.from(text)
    case 'gzip':
      return blocks(text, 0)
    case 'frames':
      return frame(FrameKind.ready, id, text)
    case 'gzipFrames':
      return frame(FrameKind.ready, id, blocks(text, 0))
  }
}

function textOf(events: readonly StreamEvent[]): string {
  let text = ''
  for (const event of events) text += event.text
  return text
}

/** One round of writes to a room: the same bytes for every viewer of an encoding, made once. */
export class Flush {
  readonly #events: readonly StreamEvent[]
  readonly #level: number
  readonly #made: Partial<Record<Encoding, Buffer>> = {}

  constructor(events: readonly StreamEvent[], level: number) {
    this.#events = events
    this.#level = level
  }

  bytes(encoding: Encoding): Buffer {
    return (this.#made[encoding] ??= encode(encoding, this.#events, this.#level))
  }
}
