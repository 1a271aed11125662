import { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import type { CommentId } from '../protocol/id.js'
import { BATCH_BYTES } from '../protocol/limits.js'
import type { MemberNode } from '../protocol/nodes.js'
import { printHint, type Hint } from '../protocol/wire.js'
import type { Clock } from '../runtime/clock.js'

/** A comment on its way: its line on the wire, made once and shared by every pipe. */
export interface Line {
  readonly videoId: VideoId
  readonly id: CommentId
  readonly bytes: Buffer
  /** When it was made, monotonic ms. */
  readonly at: number
}

/** A line in place of one that waits; undefined: it stays. */
export type Replace = (line: Line) => Line | undefined

/** Sends a body to a node and answers with its answer's body. Rejects with a PeerError. */
export type Send = (target: MemberNode, path: string, body: Buffer | string, timeoutMs: number, headers?: Readonly<Record<string, string>>) => Promise<Buffer>

export interface PipeOptions {
  readonly target: MemberNode
  readonly clock: Clock
  /** 0 ≤ x < 1 */
  readonly random: () => number
  readonly send: (body: Buffer) => Promise<unknown>
  /** Most bytes that wait and are under way. */
  readonly maxBytes: number
  /** Whether the target is worth another try. */
  readonly wanted: () => boolean
  /** A batch was acknowledged. */
  readonly acknowledged: (lines: readonly Line[], hints: number) => void
  readonly failed: (error: unknown) => void
}

/** Beyond so many videos a hint is not kept: their rooms' next sync finds out. */
const MAX_HINTS = 20_000
const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 2_000

/** What one node is to get (rule 2): one batch in flight, the next one gathers meanwhile, so there is no delay
 * when idle and large batches when busy. What finds no room, and what was in a batch that failed, leaves one
 * hint per video, its highest id, at the head of the next batch. */
export class Pipe {
  readonly target: MemberNode
  readonly #options: PipeOptions
  #lines: Line[] = []
  #hints = new Map<VideoId, CommentId>()
  /** Of the lines that wait and of the batch in flight. */
  #bytes = 0
  #inFlight = false
  #failures = 0
  #cancelRetry: (() => void) | undefined
  #closed = false

  constructor(options: PipeOptions) {
    this.target = options.target
    this.#options = options
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Nothing waits and nothing is under way. */
  get idle(): boolean {
    return !this.#inFlight && this.#lines.length === 0 && this.#hints.size === 0
  }

  /** Nothing is under way, and what waits, if anything, waits for a target that just failed: its syncs will do. */
  get settled(): boolean {
    return this.idle || (!this.#inFlight && this.#cancelRetry !== undefined)
  }

  comment(line: Line): void {
    if (this.#closed) return
    if (this.#bytes + line.bytes.length > this.#options.maxBytes) this.#keepHint(line)
    else {
      this.#lines.push(line)
      this.#bytes += line.bytes.length
    }
    this.#next()
  }

  /** The target was given up, or `close` was called: this pipe takes nothing more. */
  get closed(): boolean {
    return this.#closed
  }

  hint(hint: Hint): void {
    if (this.#closed) return
    this.#keepHint(hint)
    this.#next()
  }

  /** Looks at each line that waits. A batch under way is left to itself: what follows it tells the target. */
  replace(replacement: Replace): void {
    this.#lines = this.#lines.map(line => {
      const other = replacement(line)
      if (other) this.#bytes += other.bytes.length - line.bytes.length
      return other ?? line
    })
  }

  /** Drops what waits; a batch under way is left to itself. */
  close(): void {
    this.#closed = true
    this.#cancelRetry?.()
    this.#lines = []
    this.#hints.clear()
    this.#bytes = 0
  }

  #keepHint({ videoId, id }: Hint): void {
    const known = this.#hints.get(videoId)
    if (known === undefined && this.#hints.size >= MAX_HINTS) return
    if (known === undefined || known < id) this.#hints.set(videoId, id)
  }

  /** Sends what waits, unless a batch is under way or a retry is due. */
  #next(): void {
    if (this.#inFlight || this.#cancelRetry || this.#closed || this.idle) return
    const parts: Buffer[] = []
    let size = 0
    const hints: Hint[] = []
    for (const [videoId, id] of this.#hints) {
      const line = Buffer.from(printHint({ videoId, id }))
      if (size + line.length > BATCH_BYTES) break
      hints.push({ videoId, id })
      parts.push(line)
      size += line.length
    }
    for (const { videoId } of hints) this.#hints.delete(videoId)
    let count = 0
    for (const { bytes } of this.#lines) {
      if (size + bytes.length > BATCH_BYTES && size > 0) break
      parts.push(bytes)
      size += bytes.length
      count++
    }
    const lines = this.#lines.splice(0, count)
    this.#inFlight = true
    this.#options.send(parts.length === 1 ? parts[0]! : Buffer.concat(parts, size)).then(
      () => this.#done(lines, hints, undefined),
      (error: unknown) => this.#done(lines, hints, { error }),
    )
  }

  #done(lines: readonly Line[], hints: readonly Hint[], failure: { readonly error: unknown } | undefined): void {
    this.#inFlight = false
    if (this.#closed) return
    for (const { bytes } of lines) this.#bytes -= bytes.length
    if (!failure) {
      this.#failures = 0
      this.#options.acknowledged(lines, hints.length)
      return this.#next()
    }
    // It may have arrived or not; the videos' hints make the target ask.
    for (const hint of hints) this.#keepHint(hint)
    for (const line of lines) this.#keepHint(line)
    const backOffMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++)
    this.#cancelRetry = this.#options.clock.after(backOffMs * (0.5 + this.#options.random() / 2), () => {
      this.#cancelRetry = undefined
      if (this.#options.wanted()) this.#next()
      else this.close()
    })
    this.#options.failed(failure.error)
  }
}
