import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import type { Test } from 'tap'
import { SseParser, type SseEvent } from '../../protocol/sse.js'
import { NAME, type Front } from './front.js'

type Headers = Readonly<Record<string, string>>

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A browser's one connection to a site: HTTP/2 over TLS. Where the server ends it, as Varnish may when a gateway dies, the
 * next request opens another. */
export class SecureClient {
  #session: ClientHttp2Session
  #closed = false
  readonly #connect: () => ClientHttp2Session

  /** @param from the address it comes from */
  constructor(t: Test, { url, ca }: Front, from = '127.0.0.1') {
    this.#connect = () => {
      const session = connect(url, { ca, servername: NAME, localAddress: from } as Parameters<typeof connect>[1])
      session.on('error', () => {}) // told to each request
      return session
    }
    this.#session = this.#connect()
    t.after(() => {
      this.#closed = true
      this.#session.destroy()
    })
  }

  /** What the two ends agreed on: `h2`. */
  get protocol(): string | undefined {
    return this.#session.alpnProtocol
  }

  get closed(): boolean {
    return this.#closed
  }

  request(path: string, headers: Headers = {}, method = 'GET'): ClientHttp2Stream {
    if ((this.#session.closed || this.#session.destroyed) && !this.#closed) this.#session = this.#connect()
    return this.#session.request({ ':method': method, ':path': path, ':authority': NAME, ...headers }, { endStream: method === 'GET' })
  }

  async call(path: string, { method = 'GET', headers = {}, body = '' }: { method?: string; headers?: Headers; body?: string } = {}): Promise<Answer> {
    const stream = this.request(path, headers, method)
    let answered: IncomingHttpHeaders & { ':status'?: number } = {}
    stream.on('response', received => (answered = received))
    if (method !== 'GET') stream.end(body)
    stream.setEncoding('utf8')
    let text = ''
    for await (const chunk of stream) text += chunk as string
    return { status: answered[':status'] ?? 0, headers: answered, body: text }
  }

  post(videoId: string, content: string, headers: Headers = {}): Promise<Answer> {
    return this.call(`/comments/${videoId}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ content }) })
  }
}

/** Watches a video as EventSource does: comes back with the last id whenever its stream ends, though sooner. */
export class ResumingViewer {
  readonly events: SseEvent[] = []
  headers: IncomingHttpHeaders = {}
  /** Streams so far. */
  streams = 0
  /** Answers that EventSource would give up on. */
  readonly refused: number[] = []
  #left = false
  #stream: ClientHttp2Stream | undefined
  readonly #parser = new SseParser()

  constructor(t: Test, client: SecureClient, videoId: string, headers: Headers = {}) {
    t.after(() => this.leave())
    void this.#watch(client, `/comments/${videoId}`, headers)
  }

  get ids(): string[] {
    return this.events.filter(({ event }) => event === 'message').map(({ id }) => id)
  }

  get ready(): boolean {
    return this.events.some(({ event }) => event === 'ready')
  }

  leave(): void {
    this.#left = true
    this.#stream?.destroy()
  }

  async #watch(client: SecureClient, path: string, headers: Headers): Promise<void> {
    while (!this.#left && !client.closed) {
      this.streams++
      const { lastEventId } = this.#parser
      const stream = client.request(path, { accept: 'text/event-stream', ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }), ...headers })
      this.#stream = stream
      stream.on('response', received => {
        this.headers = received
        if (received[':status'] !== 200) this.refused.push(received[':status'] ?? 0)
        const zipped = received['content-encoding'] === 'gzip'
        const plain = zipped ? stream.pipe(createGunzip()) : stream
        plain.on('data', (chunk: Buffer) => this.events.push(...this.#parser.push(chunk)))
        plain.on('error', () => {})
      })
      stream.on('error', () => {})
      await new Promise(resolve => stream.once('close', resolve))
      await sleep(100)
    }
  }
}
