import { Buffer } from 'node:buffer'
import { frame, FrameKind, framesOf, type StreamEvent } from '../protocol/frame.js'
import { blocks, checksumOf } from '../protocol/gzip.js'
import type { Cursor } from '../protocol/id.js'
import { messagesOf } from '../protocol/message.js'
import type { Encoded, ViewerEncoding } from '../runtime/fan-out/encoded.js'

/** How a viewer takes its events: as any does on a public port, or in frames towards a gateway of the former version. A link takes
 * plain text. */
export type Encoding = ViewerEncoding | 'frames' | 'gzipFrames'

/** @param level of compression, where the encoding has any */
export function encode(encoding: Encoding, events: readonly StreamEvent[], level: number): Encoded {
  switch (encoding) {
    case 'plain':
      return { bytes: Buffer.from(textOf(events)) }
    case 'gzip':
      return packed(textOf(events), level)
    case 'messages':
      return { bytes: Buffer.from(messagesOf(textOf(events))) }
    case 'frames':
      return { bytes: framesOf(events) }
    case 'gzipFrames':
      return { bytes: framesOf(events, text => blocks(text, level)) }
  }
}

/** @param id the last comment sent, or the room's last */
export function encodeReady(encoding: Encoding, id: Cursor, text: string): Encoded {
  switch (encoding) {
    case 'plain':
      return { bytes: Buffer.from(text) }
    case 'gzip':
      return packed(text, 0)
    case 'messages':
      return { bytes: Buffer.from(messagesOf(text)) }
    case 'frames':
      return { bytes: frame(FrameKind.ready, id, text) }
    case 'gzipFrames':
      return { bytes: frame(FrameKind.ready, id, blocks(text, 0)) }
  }
}

/** Sends nothing. */
export const NOTHING: Encoded = { bytes: Buffer.alloc(0) }

function packed(text: string, level: number): Encoded {
  return { bytes: blocks(text, level), checksum: checksumOf(text) }
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
  readonly #made: Partial<Record<Encoding, Encoded>> = {}

  constructor(events: readonly StreamEvent[], level: number) {
    this.#events = events
    this.#level = level
  }

  encoded(encoding: Encoding): Encoded {
    return (this.#made[encoding] ??= encode(encoding, this.#events, this.#level))
  }
}
