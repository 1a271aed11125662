import { request, type ClientRequest, type IncomingHttpHeaders } from 'node:http'
import { request as secureRequest } from 'node:https'
import type { Test } from 'tap'
import { SseParser, type SseEvent } from '../../protocol/sse.js'
import { until, type UntilOptions } from './until.js'

export interface ViewerOptions {
  /** Sent as Last-Event-ID. */
  readonly lastEventId?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A certificate to trust, where the URL is https. */
  readonly ca?: Buffer
}

/** Someone who watches a video: one connection, never renewed, and what came over it. */
export class Viewer {
  readonly events: SseEvent[] = []
  status: number | undefined
  headers: IncomingHttpHeaders = {}
  /** The stream has ended, by whoever's doing. */
  isClosed = false
  /** Resolves when the stream has ended. */
  readonly closed: Promise<void>
  readonly #parser = new SseParser()
  readonly #request: ClientRequest

  constructor(url: string, { lastEventId, headers, ca }: ViewerOptions = {}) {
    this.#request = (url.startsWith('https:') ? secureRequest : request)(url, {
      ...(ca ? { ca } : {}),
      agent: false,
      headers: { accept: 'text/event-stream', ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }), ...headers },
    })
    this.closed = new Promise(resolve => {
      const close = () => {
        this.isClosed = true
        resolve()
      }
      this.#request.on('response', response => {
        this.status = response.statusCode
        this.headers = response.headers
        response.on('data', (chunk: Buffer) => this.events.push(...this.#parser.push(chunk)))
        response.on('error', close)
        response.on('close', close)
      })
      this.#request.on('error', close)
      this.#request.on('close', close)
    })
    this.#request.end()
  }

  get retryMs(): number | undefined {
    return this.#parser.retryMs
  }

  get lastEventId(): string {
    return this.#parser.lastEventId
  }

  /** The comments seen, in the order they came. */
  get comments(): { id: string; authorId: string; content: string; createdAt: number }[] {
    return this.events.filter(({ event }) => event === 'message').map(({ data }) => JSON.parse(data) as { id: string; authorId: string; content: string; createdAt: number })
  }

  /** Ids of the comments seen, in the order they came. */
  get ids(): string[] {
    return this.comments.map(({ id }) => id)
  }

  /** The first event that `matches`, which may have come already. */
  async waitFor(matches: (event: SseEvent) => boolean, options: UntilOptions = {}): Promise<SseEvent> {
    return (await until(() => this.events.find(matches), { what: `an event like ${matches.toString()}`, ...options }))
  }

  /** The first event of that name. */
  waitForEvent(name: string, options: UntilOptions = {}): Promise<SseEvent> {
    return this.waitFor(({ event }) => event === name, { what: `event ${name}`, ...options })
  }

  close(): void {
    this.#request.destroy()
  }
}

/** A viewer that leaves when `t` ends. */
export function watch(t: Test, url: string, options?: ViewerOptions): Viewer {
  const viewer = new Viewer(url, options)
  t.after(() => viewer.close())
  return viewer
}

/** A viewer whose `ready` has come. */
export async function watchReady(t: Test, url: string, options?: ViewerOptions): Promise<Viewer> {
  const viewer = watch(t, url, options)
  await viewer.waitForEvent('ready')
  return viewer
}
