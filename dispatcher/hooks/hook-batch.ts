import { Buffer } from 'node:buffer'
import type { VideoId } from '../../protocol/comment.js'
import { readEntry } from '../../protocol/entry.js'
import { timeOfId, type CommentId } from '../../protocol/id.js'
import type { WireComment } from '../../protocol/wire.js'
import type { Held } from '../store/store.js'

export const MAX_EVENTS = 100
const MAX_BYTES = 256 * 1024

/** Events of one call to the receiver: those of a video stand in the order of their ids. */
export class HookBatch {
  /** The newest entry of each video. */
  readonly entries = new Map<VideoId, CommentId>()
  readonly held: Held[] = []
  /** When the oldest came to be, Unix ms; decisions do not count. */
  oldestAt = Infinity
  readonly #events: string[] = []
  #bytes = 0

  get size(): number {
    return this.#events.length
  }

  /** Events that still fit, as far as their number goes. */
  get room(): number {
    return this.#bytes >= MAX_BYTES ? 0 : MAX_EVENTS - this.#events.length
  }

  /** The request's body. */
  get body(): string {
    return `{"events":[${this.#events.join(',')}]}`
  }

  /** Takes them from the first on, as far as there is room. @param entries ascending @returns whether it has taken all */
  add(entries: readonly WireComment[], held: readonly Held[]): boolean {
    for (const entry of entries) {
      if (!this.#push(eventOfEntry(entry), timeOfId(entry.id))) return false
      this.entries.set(entry.videoId, entry.id)
    }
    for (const each of held) {
      if (!this.#push(eventOfHeld(each), each.decided ? Infinity : each.heldAt)) return false
      this.held.push(each)
    }
    return true
  }

  #push(json: string, atMs: number): boolean {
    if (this.room === 0) return false
    this.#events.push(json)
    this.#bytes += Buffer.byteLength(json)
    this.oldestAt = Math.min(this.oldestAt, atMs)
    return true
  }
}

/** An entry as the receiver is sent it: what viewers get, with its video and its type. A comment that was deleted since has no author
 * and no content. */
export function eventOfEntry({ videoId, json }: WireComment): string {
  const { kind } = readEntry(videoId, json)
  const type = kind === 'comment' || kind === 'tombstone' ? '"type":"comment",' : ''
  return `{"videoId":${JSON.stringify(videoId)},${type}${json.slice(1)}`
}

/** A held comment as it is now: it waits, or it was decided. */
export function eventOfHeld({ id: heldId, videoId, authorId, authorName, content, heldAt, decided }: Held): string {
  if (!decided) return JSON.stringify({ videoId, type: 'held', heldId, authorId, authorName, content, heldAt })
  if ('approved' in decided) return JSON.stringify({ videoId, type: 'approved', heldId, authorId, id: String(decided.approved) })
  return JSON.stringify({ videoId, type: 'refused', heldId, authorId, reason: decided.reason })
}
