import type { SseEvent } from '../../protocol/sse.js'
import { eventStream, type Line, type OpenLine } from './line.js'
import { deletedText, newNotes, pinnedText, TOMBSTONE, type Connection, type End, type ViewerNotes } from './notes.js'

/** A gateway as a viewer's address book has it. */
export interface Address {
  readonly id: string
  readonly url: string
  readonly pid: number | null
}

export interface ChaosViewerOptions {
  readonly name: string
  readonly videoId: string
  /** Ask for the last so many at the first connection. */
  readonly recent: number | undefined
  /** Where to connect now. */
  readonly address: () => Address
  /** By which transport; an event stream by default. */
  readonly open?: OpenLine
}

/** EventSource's own, where the server gave none. */
const DEFAULT_RETRY_MS = 3_000
/** Events of comments, and of what was done to them. */
const ENTRIES: ReadonlySet<string> = new Set(['message', 'deleted', 'pinned'])
/** Waits shorter than this are the usual flow. */
const USUAL_MS = 100

/** Someone who watches as a browser's EventSource does, whatever the transport: reconnects by itself after the time the server gave,
 * with the last id it saw. */
export class ChaosViewer {
  readonly notes: ViewerNotes
  readonly #options: ChaosViewerOptions
  #line: Line | undefined
  #lastEventId = ''
  #retryMs = DEFAULT_RETRY_MS
  #reconnecting: NodeJS.Timeout | undefined
  #gone = false
  /** Since when a comment could have come; undefined: it could not. */
  #quietSince: number | undefined
  /** When it last stopped reading, or went on. */
  stalledAt = -Infinity
  #stalled = false

  constructor(options: ChaosViewerOptions) {
    this.#options = options
    this.notes = newNotes(options.name, options.videoId)
    this.#connect()
  }

  get isReady(): boolean {
    return this.notes.connections.at(-1)?.readyAt !== undefined && this.notes.connections.at(-1)?.endedAt === undefined
  }

  get place(): number {
    return Number(this.#lastEventId || '0')
  }

  /** Leaves for good. */
  leave(): void {
    this.#gone = true
    this.notes.left = true
    this.disconnect()
  }

  /** Ends the connection, and nothing more: {@link resume} goes on from the last id. */
  disconnect(): void {
    clearTimeout(this.#reconnecting)
    this.#quietSince = undefined // nothing can come, by our own doing
    this.#end('left')
  }

  resume(): void {
    if (!this.#gone && !this.#line) this.#connect()
  }

  /** Stops reading: what comes gathers in the kernel, then at the gateway. */
  stall(): void {
    this.#stalled = true
    this.stalledAt = performance.now()
    this.#line?.pause()
  }

  unstall(): void {
    if (!this.#stalled) return
    this.#stalled = false
    this.stalledAt = performance.now()
    if (this.#quietSince !== undefined) this.#quietSince = this.stalledAt
    this.#line?.resume()
  }

  #connect(): void {
    const { videoId, recent, address, open = eventStream } = this.#options
    const { id, url, pid } = address()
    const cursor = this.#lastEventId
    const connection: Connection = { at: performance.now(), gateway: id, pid, cursor, readyAt: undefined, endedAt: undefined, end: undefined }
    this.notes.connections.push(connection)
    this.#line = open(`${url}/comments/${videoId}`, { cursor, recent }, {
      events: (events, last) => this.#onEvents(connection, events, last),
      retry: ms => void (this.#retryMs = ms),
      offence: text => void this.notes.offences.push(text),
      over: end => this.#end(end),
    })
    if (this.#stalled) this.#line.pause()
  }

  #end(end: End): void {
    const connection = this.notes.connections.at(-1)
    if (!this.#line || !connection) return
    this.#line.close()
    this.#line = undefined
    connection.end = end
    connection.endedAt = performance.now()
    if (end !== 'left' && !this.#gone) this.#reconnecting = setTimeout(() => this.resume(), this.#retryMs)
  }

  #onEvents(connection: Connection, events: readonly SseEvent[], last: string): void {
    const now = performance.now()
    let any = false
    for (const event of events) {
      if (ENTRIES.has(event.event)) {
        if (!any) this.#noteWait(now)
        any = true
        this.#onEntry(event, now)
      } else if (event.event === 'ready') this.#onReady(connection, Number(event.id), now)
      else if (event.event === 'gap') this.#onGap(event, now)
    }
    // As in a browser: an id counts once its event is whole.
    if (last !== '') this.#lastEventId = last
    if (any) this.#quietSince = now
  }

  #noteWait(now: number): void {
    const { waits, ids } = this.notes
    if (this.#quietSince !== undefined && now - this.#quietSince > USUAL_MS) waits.push({ from: this.#quietSince, to: now, first: ids.length })
  }

  #onEntry(event: SseEvent, now: number): void {
    const { notes } = this
    const { id, data } = event
    if (event.event === 'message' && (JSON.parse(data) as { id: string }).id !== id) notes.offences.push(`event ${id} holds another comment: ${data}`)
    notes.start ??= Number(id) - 1
    notes.ids.push(Number(id))
    notes.contents.push(saidBy(event))
    notes.times.push(now)
  }

  #onReady(connection: Connection, id: number, now: number): void {
    const { notes } = this
    if (connection.readyAt !== undefined) notes.offences.push('a second ready on one connection')
    connection.readyAt = now
    const place = Math.max(notes.ids.at(-1) ?? 0, notes.gaps.at(-1)?.to ?? 0, Number(connection.cursor || '0'))
    if (id < place) notes.offences.push(`ready at ${id}, below its place ${place}`)
    notes.start ??= id
    this.#quietSince ??= now
  }

  #onGap({ data }: SseEvent, at: number): void {
    const { from, to } = JSON.parse(data) as { from: string; to: string }
    this.notes.start ??= Number(from)
    this.notes.gaps.push({ from: Number(from), to: Number(to), at })
  }
}

/** A comment's content; of what was done to comments, a few words that no content has. */
function saidBy({ event, id, data }: SseEvent): string {
  const { content, target, comment } = JSON.parse(data) as { content?: string; target?: string; comment?: { id: string } | null }
  if (event === 'deleted') return target === id ? TOMBSTONE : deletedText(target)
  return event === 'pinned' ? pinnedText(comment?.id) : content!
}
