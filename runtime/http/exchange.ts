import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { LiveError } from '../../protocol/errors.js'
import { addressOf, type Address } from './address.js'
import { framingOf, type Framing, type HeaderLine } from './framing.js'
import type { StreamResponse } from './stream.js'

/** One request, as a handler sees it. Call `body` before the handler's first await. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** For a streaming answer: see Stream. */
  readonly res: StreamResponse
  /** True once the client has left or has been answered. */
  readonly aborted: boolean
  /** The value of the header's first line, '' if absent. */
  header(name: string): string
  /** The header's values, one per line, also empty ones: a proxy may add its own line below the client's. */
  headers(name: string): string[]
  /** The decoded value of a `:name` in the route's pattern; invalid escapes are kept. */
  parameter(index: number): string
  /** The peer's address, IPv4 if it is mapped; undefined once the peer has left. */
  peer(): Address | undefined
  /** The whole body. @throws LiveError BODY_TOO_LARGE, before the rest is read */
  body(maxBytes: number): Promise<Buffer>
}

/** Most bytes of a body that are taken though nobody wants them. */
const MAX_UNWANTED_BYTES = 64 << 10

/** A request of uWebSockets.js. */
export class HttpExchange implements Exchange {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly framing: Framing
  readonly res: HttpResponse
  aborted = false
  readonly #lines: HeaderLine[] = []
  readonly #req: HttpRequest
  readonly #whenGone: (() => void)[] = []
  /** No body in chunks is still coming, or more of it than is taken. */
  #bodyTaken: boolean
  #onBodyTaken = (): void => {}

  constructor(res: HttpResponse, req: HttpRequest) {
    this.res = res
    this.#req = req
    this.method = req.getCaseSensitiveMethod()
    this.path = req.getUrl()
    this.query = new URLSearchParams(req.getQuery())
    req.forEach((name, value) => this.#lines.push([name, value]))
    this.framing = framingOf(this.method, this.#lines)
    this.#bodyTaken = !this.framing.chunked
    // Always first: without an abort handler, a client that leaves ends the process.
    res.onAborted(() => {
      this.aborted = true
      for (const task of this.#whenGone) task()
    })
    if (this.framing.chunked) this.#take(() => {}) // in the library's callback, or its end would not be told
  }

  /** Resolves when a body in chunks has come, or 64 KB of it, or after `limitMs`. */
  async bodyTaken(limitMs: number): Promise<void> {
    if (this.#bodyTaken) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, limitMs)
      this.#onBodyTaken = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  header(name: string): string {
    return this.#lines.find(([each]) => each === name)?.[1] ?? ''
  }

  parameter(index: number): string {
    const raw = this.#req.getParameter(index) ?? ''
    try {
      return decodeURIComponent(raw)
    } catch {
      return raw
    }
  }

  headers(name: string): string[] {
    return this.#lines.filter(([each]) => each === name).map(([, value]) => value)
  }

  /** A PROXY protocol header is ignored: anyone may send one. */
  peer(): Address | undefined {
    return addressOf(this.res.getRemoteAddress())
  }

  /** Runs `task` when the client leaves before it was answered. */
  whenGone(task: () => void): void {
    this.#whenGone.push(task)
  }

  /** If the body stops coming, the server closes the connection within 12 s. */
  body(maxBytes: number): Promise<Buffer> {
    const tooLarge = () => new LiveError('BODY_TOO_LARGE', `the body must be at most ${maxBytes} bytes`)
    const tooLong = Number(this.header('content-length')) > maxBytes
    const body = new Promise<Buffer>((resolve, reject) => {
      if (tooLong) return reject(tooLarge())
      const parts: Buffer[] = []
      let size = 0
      this.whenGone(() => reject(new Error('the client left')))
      this.#take((chunk, isLast) => {
        size += chunk.byteLength
        if (size > maxBytes) return reject(tooLarge())
        parts.push(Buffer.from(chunk.slice(0))) // copied: the chunk is detached when this returns
        if (isLast) resolve(Buffer.concat(parts, size))
      })
    })
    body.catch(() => {}) // a handler that fails before it awaits this must not end the process
    return body
  }

  /** The last call's `part` gets what comes. */
  #take(part: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    let size = 0
    this.res.onData((chunk, isLast) => {
      size += chunk.byteLength
      part(chunk, isLast)
      if (!isLast && size <= MAX_UNWANTED_BYTES) return
      this.#bodyTaken = true
      this.#onBodyTaken()
    })
  }
}
