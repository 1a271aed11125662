import { Buffer } from 'node:buffer'
import { frame, FrameKind, framesOf, type StreamEvent } from '../registry/contract/frame.js'
import type { Cursor } from '../registry/contract/id.js'

/** How a viewer takes its events: bare SSE on the public port, frames towards a gateway. */
export type Encoding = 'plain' | 'frames'

export function encode(encoding: Encoding, events: readonly StreamEvent[]): Buffer {
  return encoding === 'frames' ? framesOf(events) : Buffer.from(events.map(event => event.text).join(''))
}

/** @param id the last comment sent, or the room's last */
export function encodeReady(encoding: Encoding, id: Cursor, text: string): Buffer {
  return encoding === 'frames' ? frame(FrameKind.ready, id, text) : Buffer.from(text)
}

/** One round of writes to a room: the same bytes for every viewer of an encoding, made once. */
export class Flush {
  readonly events: readonly StreamEvent[]
  readonly #made: Partial<Record<Encoding, Buffer>> = {}

  constructor(events: readonly StreamEvent[]) {
    this.events = events
  }

  bytes(encoding: Encoding): Buffer {
    return (this.#made[encoding] ??= encode(encoding, this.events))
  }
}
