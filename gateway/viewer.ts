import { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import { END_REASONS, FrameError, FrameKind, FrameReader, type EndReason } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import type { MaxRate } from '../protocol/limits.js'

/** What a viewer asks of an edge; a cursor beats `recent`. */
export interface StreamRequest {
  readonly videoId: VideoId
  /** Everything after this place. */
  readonly after: Cursor | undefined
  /** Else the last this many comments; neither: from now on. */
  readonly recent: number | undefined
  /** In DEFLATE blocks (gzip.ts): the viewer has been sent a gzip header. */
  readonly gzip?: boolean
  /** The most comments a second that it wants to be shown. An edge knows nothing of it. */
  readonly maxRate?: MaxRate | undefined
}

/** What one connection is for: a video, or several, each event of which says whose it is. */
export type StreamRequests = StreamRequest | readonly StreamRequest[]

/** What a chunk of an edge's stream means for the viewer. */
export interface Passage {
  /** Whole events, to be passed on in one write; undefined where the chunk completed none. */
  readonly bytes: Buffer | undefined
  readonly frames: number
  /** The edge has said its last frame. */
  readonly end: EndReason | undefined
}

/** The place of one relayed viewer in its video, kept through any number of edges: only complete frames are
 * passed on, so that what the viewer holds always ends where the next edge resumes. */
export class RelayedViewer {
  readonly videoId: VideoId
  /** The viewer's place: all up to it has been passed on. */
  #cursor: Cursor | undefined
  readonly #recent: number | undefined
  readonly #gzip: boolean | undefined
  #ready: boolean
  #reader = new FrameReader()

  /** @param ready it has been given its `ready` already */
  constructor({ videoId, after, recent, gzip }: StreamRequest, ready = false) {
    this.#gzip = gzip
    this.#ready = ready
    this.videoId = videoId
    this.#cursor = after
    this.#recent = recent
  }

  get cursor(): Cursor | undefined {
    return this.#cursor
  }

  /** Whether it has been given its `ready`. */
  get ready(): boolean {
    return this.#ready
  }

  /** What to ask of the next edge. What the last one left incomplete is forgotten: the next sends it whole. */
  resume(): StreamRequest {
    this.#reader = new FrameReader()
    return { videoId: this.videoId, after: this.#cursor, recent: this.#cursor === undefined ? this.#recent : undefined, ...(this.#gzip ? { gzip: true } : {}) }
  }

  /** @throws FrameError when the bytes are no frames: the edge's stream is lost, the viewer's is not */
  push(chunk: Buffer): Passage {
    const parts: Buffer[] = []
    const frames = this.#reader.push(chunk)
    let end: EndReason | undefined
    for (const { kind, id, payload } of frames) {
      if (end) throw new FrameError('a frame after the end')
      if (kind === FrameKind.end) {
        end = endReason(payload)
        continue
      }
      if (kind === FrameKind.events) {
        parts.push(payload)
        if (id !== 0) this.#cursor = id
        continue
      }
      if (!this.#ready) parts.push(payload)
      this.#ready = true
      // Set, not maxed, and 0 too: where the cursor was not the video's the viewer has joined below it (rule 9).
      this.#cursor = id
    }
    const bytes = parts.length > 1 ? Buffer.concat(parts) : parts[0]
    return { bytes: bytes?.length ? bytes : undefined, frames: frames.length, end }
  }
}

function endReason(payload: Buffer): EndReason {
  const text = payload.toString('latin1')
  const reason = END_REASONS.find(each => each === text)
  if (!reason) throw new FrameError('an end without a reason')
  return reason
}
