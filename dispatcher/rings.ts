import type { VideoId } from '../protocol/comment.js'
import type { Cursor } from '../protocol/id.js'
import type { Hint, WireComment } from '../protocol/wire.js'
import { Ring } from './ring.js'

/** About what a ring and a comment cost besides the JSON. */
const RING_OVERHEAD_BYTES = 400
const COMMENT_OVERHEAD_BYTES = 120

/** The rings of the videos most recently asked for or stored, under one byte budget. One that is dropped costs
 * a read of the store, never a comment. */
export class Rings {
  /** Least recently used first. */
  readonly #rings = new Map<VideoId, Ring>()
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get(videoId: VideoId): Ring | undefined {
    const ring = this.#rings.get(videoId)
    if (ring) {
      this.#rings.delete(videoId)
      this.#rings.set(videoId, ring)
    }
    return ring
  }

  /** A stored comment, from wherever. */
  take(comment: WireComment): Ring {
    return this.#change(comment.videoId, comment.prev, ring => ring.take(comment))
  }

  /** The store was asked at time `at` and said `head`. */
  compared(videoId: VideoId, head: Cursor, at: number): Ring {
    return this.#change(videoId, head, ring => ring.compared(head, at))
  }

  /** Another dispatcher knows of this id. */
  hint({ videoId, id }: Hint): void {
    const ring = this.#rings.get(videoId)
    if (ring && id > ring.head) ring.distrust()
  }

  /** In no order, and not counted as use. */
  all(): Iterable<Ring> {
    return this.#rings.values()
  }

  #change(videoId: VideoId, head: Cursor, change: (ring: Ring) => void): Ring {
    let ring = this.get(videoId)
    if (ring) this.#bytes -= costOf(ring)
    else {
      ring = new Ring(videoId, head)
      this.#rings.set(videoId, ring)
    }
    change(ring)
    this.#bytes += costOf(ring)
    for (const oldest of this.#rings.values()) {
      if (this.#bytes <= this.#maxBytes || oldest === ring) break
      this.#rings.delete(oldest.videoId)
      this.#bytes -= costOf(oldest)
    }
    return ring
  }
}

function costOf(ring: Ring): number {
  return RING_OVERHEAD_BYTES + ring.bytes + ring.size * COMMENT_OVERHEAD_BYTES
}
