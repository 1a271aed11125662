import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { SseParser, type SseEvent } from '../../protocol/sse.js'
import { newNotes, type Connection, type End, type ViewerNotes } from './notes.js'

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
}

/** EventSource's own, where the server gave none. */
const DEFAULT_RETRY_MS = 3_000
/** Waits shorter than this are the usual flow. */
const USUAL_MS = 100

/** Someone who watches as a browser does: reconnects by itself after the time the server gave, with the last id it saw. */
export class ChaosViewer {
  readonly notes: ViewerNotes
  readonly #options: ChaosViewerOptions
  #request: ClientRequest | undefined
  #response: IncomingMessage | undefined
  #parser = new SseParser()
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
    if (!this.#gone && !this.#request) this.#connect()
  }

  /** Stops reading: what comes gathers in the kernel, then at the gateway. */
  stall(): void {
    this.#stalled = true
    this.stalledAt = performance.now()
    this.#response?.pause()
  }

  unstall(): void {
    if (!this.#stalled) return
    this.#stalled = false
    this.stalledAt = performance.now()
    if (this.#quietSince !== undefined) this.#quietSince = this.stalledAt
    this.#response?.resume()
  }

  #connect(): void {
    const { videoId, recent, address } = this.#options
    const { id, url, pid } = address()
    const cursor = this.#lastEventId
    const connection: Connection = { at: performance.now(), gateway: id, pid, cursor, readyAt: undefined, endedAt: undefined, end: undefined }
    this.notes.connections.push(connection)
    this.#parser = new SseParser()
    const query = recent !== undefined && cursor === '' ? `?recent=${recent}` : ''
    const call = request(`${url}/comments/${videoId}${query}`, {
      agent: false,
      headers: { accept: 'text/event-stream', ...(cursor === '' ? {} : { 'last-event-id': cursor }) },
    })
    this.#request = call
    call.on('response', response => {
      if (this.#request !== call) return
      this.#response = response
      if (response.statusCode !== 200) this.notes.offences.push(`a stream was answered ${response.statusCode}, which EventSource takes as final`)
      response.on('data', (chunk: Buffer) => this.#request === call && this.#onChunk(connection, chunk))
      response.on('end', () => this.#request === call && this.#end('ended'))
      response.on('error', () => this.#request === call && this.#end('broken'))
      response.on('close', () => this.#request === call && this.#end('broken'))
      if (this.#stalled) response.pause()
    })
    call.on('error', () => this.#request === call && this.#end(this.#response ? 'broken' : 'unreachable'))
    call.end()
  }

  #end(end: End): void {
    const connection = this.notes.connections.at(-1)
    if (!this.#request || !connection) return
    const call = this.#request
    this.#request = undefined
    this.#response = undefined
    call.destroy()
    connection.end = end
    connection.endedAt = performance.now()
    if (end !== 'left' && !this.#gone) this.#reconnecting = setTimeout(() => this.resume(), this.#retryMs)
  }

  #onChunk(connection: Connection, chunk: Buffer): void {
    const now = performance.now()
    const events = this.#parser.push(chunk)
    this.#retryMs = this.#parser.retryMs ?? this.#retryMs
    let any = false
    for (const event of events) {
      if (event.event === 'message') {
        if (!any) this.#noteWait(now)
        any = true
        this.#onComment(event, now)
      } else if (event.event === 'ready') this.#onReady(connection, Number(event.id), now)
      else if (event.event === 'gap') this.#onGap(event, now)
    }
    // As in a browser: an id counts once its event is whole.
    if (this.#parser.lastEventId !== '') this.#lastEventId = this.#parser.lastEventId
    if (any) this.#quietSince = now
  }

  #noteWait(now: number): void {
    const { waits, ids } = this.notes
    if (this.#quietSince !== undefined && now - this.#quietSince > USUAL_MS) waits.push({ from: this.#quietSince, to: now, first: ids.length })
  }

  #onComment({ id, data }: SseEvent, now: number): void {
    const { notes } = this
    const comment = JSON.parse(data) as { id: string; content: string }
    if (comment.id !== id) notes.offences.push(`event ${id} holds comment ${comment.id}`)
    notes.start ??= Number(id) - 1
    notes.ids.push(Number(id))
    notes.contents.push(comment.content)
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
