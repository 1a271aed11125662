import type { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import { sharedEvents, type SeveralFormat, type SharedEvents as Shared } from '../protocol/several.js'

/** Events of one video as those are written them who watch it beside others: made once, for the first of them, and kept for as long as
 * the text is that they are made of. */
export class SharedEvents {
  readonly #made: Readonly<Record<SeveralFormat, WeakMap<Buffer, Shared>>> = { events: new WeakMap(), messages: new WeakMap() }

  /** @param text whole events of that video, the same object for all viewers who are written them */
  of(format: SeveralFormat, videoId: VideoId, text: Buffer): Shared {
    const made = this.#made[format]
    let shared = made.get(text)
    if (!shared) made.set(text, (shared = sharedEvents(format, videoId, text.toString())))
    return shared
  }
}
