import { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import { instanceKey, type MemberNode } from '../protocol/nodes.js'
import { erased } from '../protocol/entry.js'
import type { CommentId } from '../protocol/id.js'
import { parseComment, printComment, WIRE_VERSION, type Hint, type WireComment } from '../protocol/wire.js'
import type { View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import type { Traces } from '../runtime/traces/traces.js'
import type { DispatcherMetrics } from './metrics.js'
import { Pipe, type Line, type Send } from './pipe.js'
import { SYNC_HOLDS_MS, type Synced } from './synced.js'

export interface ForwardDeps {
  readonly view: View
  readonly synced: Synced
  readonly clock: Clock
  readonly random: () => number
  readonly send: Send
  readonly metrics: DispatcherMetrics
  /** Most bytes that wait for one node. */
  readonly maxPipeBytes: number
  readonly trace?: ForwardTrace | undefined
  readonly traces?: Traces | undefined
}

export interface ForwardTrace {
  /** A comment was put on the pipe of the edge or dispatcher of that id. */
  forwarded(comment: WireComment, to: string): void
}

const BATCH_TIMEOUT_MS = 2_000
const SWEEP_MS = 10_000

interface Entry {
  readonly pipe: Pipe
  /** When it was last given something, monotonic ms. */
  usedAt: number
}

/** Sends what was stored to those who hold its video: one pipe for each edge and each dispatcher. */
export class Forward {
  readonly #deps: ForwardDeps
  readonly #pipes = new Map<string, Entry>()
  #waiting: (() => void)[] = []
  #cancelSweep: () => void

  constructor(deps: ForwardDeps) {
    this.#deps = deps
    this.#cancelSweep = deps.clock.tick(SWEEP_MS, this.#sweep)
  }

  /** Bytes that wait in all pipes. */
  get bytes(): number {
    let bytes = 0
    for (const { pipe } of this.#pipes.values()) bytes += pipe.bytes
    return bytes
  }

  /** Sends it to every edge that holds the video, and to the dispatcher that owns the video if that is not us. */
  comment(comment: WireComment, otherOwner: MemberNode | undefined): void {
    const targets = this.#edgesOf(comment.videoId)
    if (targets.size === 0 && !otherOwner) return
    const line = lineOf(comment, this.#deps.clock.now())
    for (const target of targets.values()) this.#edgePipe(target).comment(line)
    if (otherOwner) this.#dispatcherPipe(otherOwner).comment(line)
    const { trace } = this.#deps
    if (trace) for (const { id } of [...targets.values(), ...(otherOwner ? [otherOwner] : [])]) trace.forwarded(comment, id)
  }

  /** Sends an act to every edge that holds the video, and to these dispatchers: any of them may have in memory what it is about. */
  act(act: WireComment, dispatchers: Iterable<MemberNode>): void {
    this.comment(act, undefined)
    const line = lineOf(act, this.#deps.clock.now())
    for (const dispatcher of dispatchers) this.#dispatcherPipe(dispatcher).comment(line)
  }

  /** Drops the text of a deleted comment from what waits. */
  erase(videoId: VideoId, target: CommentId): void {
    const replacement = (line: Line): Line | undefined => {
      if (line.videoId !== videoId || line.id < target) return undefined
      const comment = parseComment(line.bytes.toString('utf8', 0, line.bytes.length - 1))
      const json = erased(videoId, comment.id, comment.json, target)
      return json === undefined ? undefined : lineOf({ ...comment, json }, line.at)
    }
    for (const { pipe } of this.#pipes.values()) pipe.replace(replacement)
  }

  /** To every edge that holds the video: it has at least this id. */
  hint(hint: Hint): void {
    for (const target of this.#edgesOf(hint.videoId).values()) this.#edgePipe(target).hint(hint)
  }

  /** To these dispatchers: it has at least this id. */
  hintDispatchers(hint: Hint, dispatchers: Iterable<MemberNode>): void {
    for (const dispatcher of dispatchers) this.#dispatcherPipe(dispatcher).hint(hint)
  }

  /** To one dispatcher, that has become the video's owner. */
  handOver(comment: WireComment, owner: MemberNode): void {
    this.#dispatcherPipe(owner).comment(lineOf(comment, this.#deps.clock.now()))
  }

  /** Resolves when all has been sent but what its target does not take. */
  idle(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      this.#tellIdle()
    })
  }

  close(): void {
    this.#cancelSweep()
    for (const { pipe } of this.#pipes.values()) pipe.close()
    this.#pipes.clear()
    this.#tellIdle()
  }

  #edgesOf(videoId: VideoId): Map<string, MemberNode> {
    const targets = new Map<string, MemberNode>()
    for (const { edge } of this.#deps.view.subscriptionsOf(videoId)) if (edge.wire === WIRE_VERSION) targets.set(instanceKey(edge), edge)
    for (const edge of this.#deps.synced.edgesOf(videoId)) targets.set(instanceKey(edge), edge)
    return targets
  }

  #edgePipe(target: MemberNode): Pipe {
    const { view, metrics, traces } = this.#deps
    return this.#pipe(target, `edge ${instanceKey(target)}`, () => view.edge(target.id), (lines, hints) => {
      metrics.forwarded.inc(lines.length)
      metrics.hints.inc(hints)
      metrics.batches.inc()
      metrics.batchComments.observe(lines.length)
      if (traces) for (const line of lines) traces.forward(line, target.id, line.at)
    })
  }

  #dispatcherPipe(target: MemberNode): Pipe {
    const { view } = this.#deps
    return this.#pipe(target, `dispatcher ${instanceKey(target)}`, () => view.dispatcher(target.id), () => {})
  }

  #pipe(target: MemberNode, key: string, inView: () => MemberNode | undefined, acknowledged: (lines: readonly Line[], hints: number) => void): Pipe {
    const { clock, random, send, view, metrics, maxPipeBytes } = this.#deps
    const now = clock.now()
    const known = this.#pipes.get(key)
    if (known && !known.pipe.closed) {
      known.usedAt = now
      return known.pipe
    }
    // In view, or synced lately: nothing but those two ever gives a pipe something to send.
    const wanted = () => inView()?.instance === target.instance || clock.now() - entry.usedAt < SYNC_HOLDS_MS
    const pipe = new Pipe({
      target,
      clock,
      random,
      maxBytes: maxPipeBytes,
      send: body => send(target, '/internal/batch', body, BATCH_TIMEOUT_MS),
      wanted,
      acknowledged: (lines, hints) => {
        acknowledged(lines, hints)
        this.#tellIdle()
      },
      failed: error => {
        metrics.batchFailures.inc()
        this.#tellIdle()
        if (error instanceof PeerError && error.failure === 'refused') view.refused(target.id, target.instance)
      },
    })
    const entry: Entry = { pipe, usedAt: now }
    this.#pipes.set(key, entry)
    return pipe
  }

  /** Forgets pipes that nobody has used for a while; one that still has something to send goes on. */
  readonly #sweep = (): void => {
    const { clock } = this.#deps
    this.#cancelSweep = clock.tick(SWEEP_MS, this.#sweep)
    for (const [key, { pipe, usedAt }] of this.#pipes) {
      if (pipe.closed || (pipe.idle && clock.now() - usedAt >= SWEEP_MS)) this.#pipes.delete(key)
    }
    this.#tellIdle()
  }

  #tellIdle(): void {
    if (this.#waiting.length === 0) return
    for (const { pipe } of this.#pipes.values()) if (!pipe.settled) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

function lineOf(comment: WireComment, at: number): Line {
  return { videoId: comment.videoId, id: comment.id, bytes: Buffer.from(printComment(comment)), at }
}
