import { toEventJson, type VideoId } from './comment.js'
import { DEFAULT_STATE, isDefault, type Settings, type VideoState } from './entry.js'
import type { CommentId, Cursor } from './id.js'

/** Server-sent events (WHATWG HTML, section 9.2). */

/** A comment line, which clients ignore; it keeps the connection open through proxies. No blank line follows it, nor
 * `retry:`: some clients make an empty message of a block without data. */
export const HEARTBEAT = ':\n'

export const STREAM_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
}

/** Line breaks of Unicode that JSON leaves as they are. Some clients split a stream at them. */
const LINE_BREAKS = /[\u0085\u2028\u2029]/g

/** @param json one line, `toEventJson` of the comment */
export function commentEvent(id: Cursor, json: string): string {
  return `id: ${id}\ndata: ${json.replace(LINE_BREAKS, escaped)}\n\n`
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** @param state undefined where it is not known. Left out where it is the default */
export function readyEvent(id: Cursor, videoId: VideoId, viewers: number, state?: VideoState): string {
  const { settings, pinned } = state ?? DEFAULT_STATE
  const shown = pinned || !isDefault(settings) ? { settings, pinned: pinned ? (JSON.parse(toEventJson(pinned)) as unknown) : null } : {}
  return `event: ready\nid: ${id}\ndata: ${JSON.stringify({ videoId, viewers, ...shown }).replace(LINE_BREAKS, escaped)}\n\n`
}

/** The comment `target` is gone. @param id the act's, or the comment's own where a tombstone stands in its place */
export function deletedEvent(id: Cursor, target: CommentId): string {
  return `event: deleted\nid: ${id}\ndata: {"target":"${target}"}\n\n`
}

/** @param json one line, `toEventJson` of the comment; undefined where none is pinned any longer */
export function pinnedEvent(id: Cursor, json: string | undefined): string {
  return `event: pinned\nid: ${id}\ndata: {"comment":${json?.replace(LINE_BREAKS, escaped) ?? null}}\n\n`
}

export function settingsEvent(id: Cursor, settings: Settings): string {
  return `event: settings\nid: ${id}\ndata: ${JSON.stringify(settings)}\n\n`
}

export function viewersEvent(viewers: number): string {
  return `event: viewers\ndata: ${JSON.stringify({ viewers })}\n\n`
}

/** Tells the client that the comments in (from, to] were not sent; history has them. */
export function gapEvent(from: Cursor, to: Cursor): string {
  return `event: gap\nid: ${to}\ndata: ${JSON.stringify({ from: String(from), to: String(to) })}\n\n`
}

/** Tells a viewer who asked for fewer comments that the `count` comments in (from, to] were left out; history has them. */
export function skippedEvent(count: number, from: Cursor, to: CommentId): string {
  return `event: skipped\nid: ${to}\ndata: {"count":${count},"from":"${from}","to":"${to}"}\n\n`
}

/** How long a client should wait before it reconnects: a random 0.5–2.5 s, so that clients spread out. */
export function retryMs(random: () => number = Math.random): number {
  return 500 + Math.floor(random() * 2000)
}

/** Tells it so. */
export function retryIn(ms: number): string {
  return `retry: ${ms}\n`
}

export function retryLine(random: () => number = Math.random): string {
  return retryIn(retryMs(random))
}

/** One event as a client sees it. */
export interface SseEvent {
  /** `message` for an unnamed event. */
  readonly event: string
  /** The last event id when it was dispatched. */
  readonly id: string
  readonly data: string
}

/** Reads a stream as EventSource does; chunks may end anywhere. */
export class SseParser {
  /** The last `retry:` seen, ms. */
  retryMs: number | undefined
  /** That of the last complete event; an event that is cut off does not count. */
  lastEventId = ''
  readonly #decoder = new TextDecoder()
  #rest = ''
  #id = ''
  #event = ''
  #data: string[] = []

  push(chunk: Uint8Array): SseEvent[] {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    const events: SseEvent[] = []
    for (const line of lines) {
      if (line === '') {
        this.lastEventId = this.#id
        if (this.#data.length > 0) events.push({ event: this.#event || 'message', id: this.lastEventId, data: this.#data.join('\n') })
        this.#event = ''
        this.#data = []
      } else this.#field(line)
    }
    return events
  }

  #field(line: string): void {
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') this.#data.push(value)
    else if (name === 'event') this.#event = value
    else if (name === 'id' && !value.includes('\0')) this.#id = value
    else if (name === 'retry' && /^[0-9]+$/.test(value)) this.retryMs = Number(value)
  }
}
