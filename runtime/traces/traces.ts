import { createHash } from 'node:crypto'
import { Counter, type Registry } from 'prom-client'
import type { VideoId } from '../../protocol/comment.js'
import type { CommentId } from '../../protocol/id.js'
import type { Clock } from '../clock.js'
import { printSpans, SpanKind, type Span } from './otlp.js'

/** Spans are sent this often, and so many at most wait for it. */
const SEND_EVERY_MS = 1_000
export const MOST_WAITING = 2_048

/** An entry on its way. */
export interface Traced {
  readonly videoId: VideoId
  readonly id: CommentId
}

export interface TracesOptions {
  readonly clock: Clock
  /** How many of all comments are traced, 0 to 1. */
  readonly share: number
  readonly metrics: Registry
  /** gateway, dispatcher or edge. */
  readonly role: string
  readonly node: { readonly id: string; readonly version: string }
  /** Sends a request of OTLP over HTTP, as JSON. Rejects if the collector did not take it. */
  readonly send: (body: string) => Promise<void>
  /** Called when sending begins to fail, with the reason, and when it succeeds again. */
  readonly onTrouble: (reason: string | undefined) => void
}

/** What this part does with comments, as spans of OpenTelemetry: one trace for each comment that is sampled. Whether it is, and the
 * ids of its trace and spans, follow from the comment's id, so that every part makes its own spans of one trace while nothing of
 * it goes over the wire.
 *
 * `post` (a gateway, from the request to its answer) › `store` (a dispatcher, from its arrival to the commit) › `forward` (to one
 * edge, until it has taken it) › `flush` (that edge, until its viewers and gateways have been written to) › `fan-out` (a gateway,
 * until its viewers have). */
export class Traces {
  readonly #o: TracesOptions
  readonly #total: Counter
  #waiting: Span[] = []
  #sending: Promise<void> | undefined
  #troubled = false
  /** From monotonic to wall clock, ms. */
  #offset = -Infinity
  #cancel: () => void

  constructor(options: TracesOptions) {
    this.#o = options
    this.#total = new Counter({ name: 'live_trace_spans_total', help: 'Spans of traced comments: sent to the collector, or dropped because it was away or too slow.', labelNames: ['outcome'], registers: [options.metrics] })
    for (const outcome of ['sent', 'dropped']) this.#total.inc({ outcome }, 0)
    this.#cancel = options.clock.tick(SEND_EVERY_MS, this.#tick)
  }

  /** Whether the comment is traced, here and everywhere. */
  samples(id: CommentId): boolean {
    return hash32(id) < this.#o.share * 2 ** 32
  }

  /** @param since when the request was read, monotonic ms, as for all of these */
  post(comment: Traced, since: number): void {
    this.#add(comment, { name: 'post', kind: SpanKind.server, since })
  }

  /** @param together entries in the same commit */
  store(comment: Traced, since: number, together: number): void {
    this.#add(comment, { name: 'store', parent: 'post', kind: SpanKind.server, since, attributes: { 'live.commit.entries': together } })
  }

  forward(comment: Traced, edgeId: string, since: number): void {
    this.#add(comment, { name: 'forward', of: edgeId, parent: 'store', kind: SpanKind.client, since, attributes: { 'live.edge': edgeId } })
  }

  /** @param writes to viewers, and to gateways for all of theirs @param viewers how many they were for */
  flush(comment: Traced, since: number, writes: number, viewers: number): void {
    const edgeId = this.#o.node.id
    this.#add(comment, { name: 'flush', of: edgeId, parent: `forward ${edgeId}`, kind: SpanKind.server, since, attributes: { 'live.writes': writes, 'live.viewers': viewers } })
  }

  fanOut(comment: Traced, edgeId: string, since: number, viewers: number): void {
    this.#add(comment, { name: 'fan-out', of: `${edgeId} ${this.#o.node.id}`, parent: `flush ${edgeId}`, kind: SpanKind.consumer, since, attributes: { 'live.edge': edgeId, 'live.viewers': viewers } })
  }

  /** Sends what waits. */
  async close(): Promise<void> {
    this.#cancel()
    await this.#sending
    await this.#send()
  }

  #add({ videoId, id }: Traced, { name, of, parent, kind, since, attributes = {} }: { name: string; of?: string; parent?: string; kind: SpanKind; since: number; attributes?: Readonly<Record<string, string | number>> }): void {
    if (!this.samples(id)) return
    if (this.#waiting.length >= MOST_WAITING) return this.#total.inc({ outcome: 'dropped' })
    const traceId = digest(`${videoId} ${id}`).slice(0, 32)
    const spanId = (step: string) => digest(`${traceId} ${step}`).slice(0, 16)
    const now = this.#o.clock.now()
    const offset = this.#wallOffset(now)
    this.#waiting.push({
      traceId,
      spanId: spanId(of === undefined ? name : `${name} ${of}`),
      parentSpanId: parent && spanId(parent),
      name,
      kind,
      startMs: since + offset,
      endMs: now + offset,
      attributes: { 'live.video': videoId, 'live.entry': String(id), ...attributes },
    })
  }

  /** The wall clock counts whole milliseconds: the largest difference of many is the nearest. A clock that steps is followed. */
  #wallOffset(now: number): number {
    const offset = this.#o.clock.wall() - now
    if (offset > this.#offset || offset < this.#offset - 2) this.#offset = offset
    return this.#offset
  }

  readonly #tick = (): void => {
    this.#cancel = this.#o.clock.tick(SEND_EVERY_MS, this.#tick)
    this.#sending ??= this.#send().finally(() => (this.#sending = undefined))
  }

  async #send(): Promise<void> {
    const spans = this.#waiting
    if (spans.length === 0) return
    this.#waiting = []
    const { role, node, send } = this.#o
    try {
      await send(printSpans({ 'service.name': `live-comments-${role}`, 'service.instance.id': node.id, 'service.version': node.version }, spans))
      this.#total.inc({ outcome: 'sent' }, spans.length)
      this.#tell(undefined)
    } catch (error) {
      this.#total.inc({ outcome: 'dropped' }, spans.length)
      this.#tell(error instanceof Error ? error.message : String(error))
    }
  }

  #tell(reason: string | undefined): void {
    if (this.#troubled !== (reason !== undefined)) this.#o.onTrouble(reason)
    this.#troubled = reason !== undefined
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** The finalizer of MurmurHash3 (public domain, Austin Appleby) over both halves: ids count up, and their traces must not. */
function hash32(id: CommentId): number {
  let h = (id | 0) ^ Math.imul(Math.floor(id / 2 ** 32), 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
