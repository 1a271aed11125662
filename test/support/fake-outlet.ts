import { constants, inflateRawSync } from 'node:zlib'
import { encode, type Encoding } from '../../edge/encoding.js'
import type { Ending, Outlet } from '../../edge/viewer.js'
import { FrameKind, FrameReader, streamEvent } from '../../protocol/frame.js'
import type { Cursor } from '../../protocol/id.js'
import { HEARTBEAT, SseParser, type SseEvent } from '../../protocol/sse.js'
import { withReady, type Encoded } from '../../runtime/fan-out/encoded.js'

/** A viewer's socket that keeps what it is given, in memory, and reads it as its peer would. */
export class FakeOutlet implements Outlet {
  readonly encoding: Encoding
  /** What came, write by write. */
  readonly writes: Uint8Array[] = []
  readonly events: SseEvent[] = []
  ended: Ending | undefined
  /** The next write is the last it takes until `drain`. */
  stuck = false
  #blocked = false
  /** Every frame's id, 0 too. */
  readonly frameIds: number[] = []
  readonly #frames = new FrameReader()
  readonly #sse = new SseParser()

  constructor(encoding: Encoding = 'plain') {
    this.encoding = encoding
  }

  write(encoded: Encoded, _from?: Cursor, _to?: Cursor, ready?: Encoded): boolean {
    const { bytes, checksum } = withReady(encoded, ready)
    if (this.#blocked) throw new Error('written to while it was blocked')
    if (this.ended) throw new Error('written to after its end')
    if (bytes.length === 0) throw new Error('an empty write')
    if (this.encoding === 'gzip' && !checksum) throw new Error('text that the end of the stream would not account for')
    this.writes.push(bytes)
    if (this.encoding === 'plain' || this.encoding === 'gzip') this.events.push(...this.#read(bytes))
    else for (const frame of this.#frames.push(Buffer.from(bytes))) this.#take(frame.kind, frame.id, frame.payload)
    this.#blocked = this.stuck
    return !this.#blocked
  }

  heartbeat(): boolean {
    return this.write(encode(this.encoding, [streamEvent(0, HEARTBEAT)], 0))
  }

  end(reason: Ending): void {
    if (this.ended) throw new Error('ended twice')
    this.ended = reason
  }

  /** The peer reads again: call the room's or the edge's `drained` after it. */
  drain(): void {
    this.stuck = false
    this.#blocked = false
  }

  /** Whether the last write said that no more may come. */
  get blocked(): boolean {
    return this.#blocked
  }

  get heartbeats(): number {
    return this.writes.filter(bytes => Buffer.from(bytes).toString().endsWith(':\n')).length
  }

  of(name: string): SseEvent[] {
    return this.events.filter(({ event }) => event === name)
  }

  /** Ids of the comments it was sent. */
  get ids(): number[] {
    return this.of('message').map(({ id }) => Number(id))
  }

  /** What it was sent, in order: a comment as its id, a gap as `from..to`, ready as `ready id`. */
  get story(): (number | string)[] {
    const story: (number | string)[] = []
    for (const { event, id, data } of this.events) {
      if (event === 'message') story.push(Number(id))
      else if (event === 'gap') {
        const { from, to } = JSON.parse(data) as { from: string; to: string }
        story.push(`gap ${from}..${to}`)
      } else if (event === 'ready') story.push(`ready ${id}`)
    }
    return story
  }

  /** SSE of one write or frame. Blocks are read by themselves: they may refer to nothing before them. */
  #read(bytes: Uint8Array): SseEvent[] {
    const packed = this.encoding === 'gzip' || this.encoding === 'gzipFrames'
    return this.#sse.push(packed ? inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }) : bytes)
  }

  #take(kind: number, id: number, payload: Buffer): void {
    const before = this.#sse.lastEventId
    const events = this.#read(payload)
    if (kind === FrameKind.ready && (events.length !== 1 || events[0]!.event !== 'ready')) throw new Error('a ready frame holds ready and nothing else')
    if (this.#sse.lastEventId !== before && Number(this.#sse.lastEventId) !== id) throw new Error(`the frame says ${id}, its events end at ${this.#sse.lastEventId}`)
    this.frameIds.push(id)
    this.events.push(...events)
  }
}
