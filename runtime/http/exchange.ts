import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { LiveError } from '../../protocol/errors.js'
import { addressOf, type Address } from './address.js'
import { framingOf, type Framing } from './framing.js'
import type { StreamResponse } from './stream.js'

/** One request, as a handler sees it. What is read of it (`header`, `body`) must be read before the handler's first await. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** For an answer that goes on: see Stream. */
  readonly res: StreamResponse
  /** The client has left, or has been answered. */
  readonly aborted: boolean
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal
  /** The header's value, '' where absent. */
  header(name: string): string
  /** The header's values, a line each, '' too: a proxy may add a line of its own below the client's. */
  headers(name: string): string[]
  /** A part of the path that the route's pattern names, decoded; unreadable escapes are kept as they are. */
  parameter(index: number): string
  /** The peer's address, IPv4 where it is one; undefined once it has left. */
  peer(): Address | undefined
  /** The whole body. @throws LiveError BODY_TOO_LARGE, before the rest is read */
  body(maxBytes: number): Promise<Buffer>
}

/** A request of uWebSockets.js. */
export class HttpExchange implements Exchange {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly framing: Framing
  readonly res: HttpResponse
  aborted = false
  readonly #req: HttpRequest
  #controller: AbortController | undefined

  constructor(res: HttpResponse, req: HttpRequest) {
    this.res = res
    this.#req = req
    this.method = req.getCaseSensitiveMethod()
    this.path = req.getUrl()
    this.query = new URLSearchParams(req.getQuery())
    this.framing = framingOf(this.method, req)
    // First thing, always: a handler without it ends the process when the client leaves.
    res.onAborted(() => {
      this.aborted = true
      this.#controller?.abort()
    })
  }

  header(name: string): string {
    return this.#req.getHeader(name)
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
    const values: string[] = []
    this.#req.forEach((each, value) => {
      if (each === name) values.push(value)
    })
    return values
  }

  /** What a PROXY protocol header claims is never asked for: anyone may send one. */
  peer(): Address | undefined {
    return addressOf(this.res.getRemoteAddress())
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.aborted) this.#controller.abort()
    return this.#controller.signal
  }

  /** A body that stops coming is closed by the server within 12 s. */
  body(maxBytes: number): Promise<Buffer> {
    const tooLarge = () => new LiveError('BODY_TOO_LARGE', `the body must be at most ${maxBytes} bytes`)
    const { signal } = this
    const tooLong = Number(this.header('content-length')) > maxBytes
    const body = new Promise<Buffer>((resolve, reject) => {
      if (tooLong) return reject(tooLarge())
      const parts: Buffer[] = []
      let size = 0
      signal.addEventListener('abort', () => reject(new Error('the client left', { cause: signal.reason })), { once: true })
      this.res.onData((chunk, isLast) => {
        size += chunk.byteLength
        if (size > maxBytes) return reject(tooLarge())
        parts.push(Buffer.from(chunk.slice(0))) // copied: it is detached when this returns
        if (isLast) resolve(Buffer.concat(parts, size))
      })
    })
    body.catch(() => {}) // a handler that fails before it awaits this must not end the process
    return body
  }
}
