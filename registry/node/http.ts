import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from 'uWebSockets.js'
import { addressOf, type Address } from './address.js'
import { errorBody, LiveError } from './errors.js'
import { framingOf, type Framing } from './framing.js'
import { Unsent } from './unsent.js'
import { uws } from './uws.js'

/** uWebSockets.js ends here: routes see an Exchange and answer with a Reply. The library ends the process or
 * corrupts a stream when used in the obvious way; every rule it needs is kept in this file and in stream.ts. */

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Close the connection after the answer, such as before a body was read to its end. */
  readonly close?: boolean
}

/** Answers at once, later, or not at all: undefined says that the handler took the response over. */
export type Handler = (exchange: Exchange) => Reply | Promise<Reply | undefined> | undefined
export type Method = 'GET' | 'POST' | 'DELETE'

/** One request. What is read of it (`header`, `body`) must be read before the handler's first await. */
export class Exchange {
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

  /** The header's value, '' where absent. */
  header(name: string): string {
    return this.#req.getHeader(name)
  }

  /** A part of the path that the route's pattern names, decoded; unreadable escapes are kept as they are. */
  parameter(index: number): string {
    const raw = this.#req.getParameter(index) ?? ''
    try {
      return decodeURIComponent(raw)
    } catch {
      return raw
    }
  }

  /** The header's values, a line each, '' too: a proxy may add a line of its own below the client's. */
  headers(name: string): string[] {
    const values: string[] = []
    this.#req.forEach((each, value) => {
      if (each === name) values.push(value)
    })
    return values
  }

  /** The peer's address, IPv4 where it is one; undefined once it has left. What a PROXY protocol header claims is never
   * asked for: anyone may send one. */
  peer(): Address | undefined {
    return addressOf(this.res.getRemoteAddress())
  }

  /** Aborts when the client leaves. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.aborted) this.#controller.abort()
    return this.#controller.signal
  }

  /** The whole body. A body that stops coming is closed by the server within 12 s.
   * @throws LiveError BODY_TOO_LARGE, before the rest is read */
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

export interface ServerOptions {
  /** Headers of every reply to a request, such as CORS. Not of a response that a handler takes over. */
  readonly headers?: (exchange: Exchange) => Readonly<Record<string, string>>
  /** Runs before a route; throws to refuse. */
  readonly guard?: (exchange: Exchange) => void
  /** Which connections are taken. All, where nothing says. */
  readonly connections?: {
    /** Whether a new one is, before a byte of it is read. @param peer its address, 4 or 16 bytes. @param open with this one */
    admits(peer: ArrayBuffer, open: number): boolean
    /** Whether it stays open after an answer. */
    keeps(peer: ArrayBuffer): boolean
  }
  /** Told of an error that is a bug; it has been answered with 500. */
  readonly onBug: (error: unknown) => void
}

export class HttpServer {
  readonly #app: TemplatedApp = uws.App()
  readonly #routes = new Map<string, Map<Method, Handler>>()
  readonly #options: ServerOptions
  #socket: us_listen_socket | undefined
  #connections = 0
  readonly #unsent = new Unsent()

  constructor(options: ServerOptions) {
    this.#options = options
    this.#app.filter((res, change) => {
      this.#connections += Number(change)
      if (change === 1 && options.connections?.admits(res.getRemoteAddress(), this.#connections) === false) res.close()
    })
  }

  /** Open now. */
  get connections(): number {
    return this.#connections
  }

  /** @param pattern a path with `:name` parts. HEAD, OPTIONS and 405 are answered from what is routed. */
  route(method: Method, pattern: string, handler: Handler): this {
    const known = this.#routes.get(pattern)
    if (known) known.set(method, handler)
    else {
      const methods = new Map<Method, Handler>([[method, handler]])
      this.#routes.set(pattern, methods)
      this.#app.any(pattern, (res, req) => this.#serve(new Exchange(res, req), methods))
    }
    return this
  }

  /** Method and pattern of everything routed. */
  get routes(): string[] {
    return [...this.#routes].flatMap(([pattern, methods]) => [...methods.keys()].map(method => `${method} ${pattern}`))
  }

  /** Listens, alone on its port. @returns the port. @throws Error when the port is taken or the host is not ours */
  listen(host: string, port: number): number {
    this.#app.any('/*', (res, req) => this.#serve(new Exchange(res, req), undefined))
    // The library shares a taken port between processes unless told not to; the types lack this form.
    const app = this.#app as unknown as { listen(host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void): void }
    app.listen(host, port, 1, socket => {
      if (socket) this.#socket = socket
    })
    if (!this.#socket) throw new LiveError('UNAVAILABLE', `cannot listen on ${host}:${port}: the port is taken or the host is not this machine's`)
    return uws.us_socket_local_port(this.#socket)
  }

  /** Takes no new connections; those that are open go on. */
  stopListening(): void {
    if (this.#socket) uws.us_listen_socket_close(this.#socket)
    this.#socket = undefined
  }

  /** Closes everything at once. */
  close(): void {
    this.stopListening()
    this.#app.close()
  }

  #serve(exchange: Exchange, methods: Map<Method, Handler> | undefined): void {
    const headers = this.#options.headers?.(exchange) ?? {}
    let work: ReturnType<Handler>
    try {
      if (exchange.framing.fault !== undefined) throw new LiveError('BAD_REQUEST', exchange.framing.fault)
      this.#options.guard?.(exchange)
      if (!methods) throw new LiveError('NOT_FOUND', 'there is nothing at this path')
      if (exchange.method === 'OPTIONS') work = { status: 204, headers: { allow: allowed(methods) } }
      else {
        const handler = methods.get((exchange.method === 'HEAD' ? 'GET' : exchange.method) as Method)
        if (!handler) throw new LiveError('METHOD_NOT_ALLOWED', `this path takes ${allowed(methods)}`, { headers: { allow: allowed(methods) } })
        work = handler(exchange)
      }
    } catch (error) {
      work = this.#toReply(error)
    }
    if (work === undefined) return
    if (!(work instanceof Promise)) return this.#send(exchange, work, headers)
    work.then(
      reply => reply && this.#send(exchange, reply, headers),
      error => {
        if (!exchange.aborted) this.#send(exchange, this.#toReply(error), headers)
      },
    )
  }

  #send(exchange: Exchange, reply: Reply, headers: Readonly<Record<string, string>>): void {
    const { fault, chunked } = exchange.framing
    // Of chunks the library reads more than the standard allows, unseen by us: nothing may come after them.
    const close = reply.close || fault !== undefined || chunked
    if (!close) return this.#write(exchange, reply, headers)
    // Not in the library's callback: there it would go on to serve what lies behind this request in the same read.
    // Whatever comes while an answer is due closes the connection.
    setImmediate(() => this.#write(exchange, { ...reply, close }, headers))
  }

  #write(exchange: Exchange, reply: Reply, headers: Readonly<Record<string, string>>): void {
    if (exchange.aborted) return // any use of the response would throw
    const { res } = exchange
    const { body = '' } = reply
    const bodiless = exchange.method === 'HEAD' || reply.status === 204 || reply.status === 304
    const close = reply.close || this.#options.connections?.keeps(res.getRemoteAddress()) === false
    res.cork(() => {
      res.writeStatus(statusLine(reply.status))
      for (const [name, value] of Object.entries({ ...headers, ...reply.headers })) res.writeHeader(name, value)
      if (!bodiless) {
        if (!close && body.length > 0) return this.#sendWhole(exchange, body)
        res.end(body, close)
      } else if (close) res.endWithoutBody(0, true)
      else res.endWithoutBody() // an `undefined` is printed as a length of 2^63
      exchange.aborted = true // answered: a late abort or a second answer finds it closed
    })
  }

  /** Sends a body as fast as the peer takes it. Until it has taken all, the request is under way: it is closed if it takes
   * nothing for 12 s, or asks again. With a plain `end`, what it asked for and does not read would pile up without limit. */
  #sendWhole(exchange: Exchange, body: string | Uint8Array): void {
    const { res } = exchange
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const send = (from: number) => {
      const [taken, done] = res.tryEnd(bytes.subarray(from), bytes.length)
      exchange.aborted = done
      if (done) this.#unsent.delete(exchange)
      return taken
    }
    if (send(0)) return
    res.onWritable(send)
    exchange.signal.addEventListener('abort', () => this.#unsent.delete(exchange), { once: true })
    // Out of this cork: another connection may be closed.
    setImmediate(() => exchange.aborted || this.#unsent.add(exchange, bytes.length, () => res.close()))
  }

  #toReply(error: unknown): Reply {
    if (error instanceof LiveError) return errorReply(error)
    this.#options.onBug(error)
    return errorReply(new LiveError('INTERNAL', 'something is wrong on our side'))
  }
}

/** An error as a reply; one that left a body unread closes the connection. */
export function errorReply(error: LiveError): Reply {
  const close = error.status === 413 || error.status === 415
  return { ...json(errorBody(error), error.status, error.headers), close }
}

export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body: JSON.stringify(value) }
}

/** Leaves the library's callback: a fan-out inside one costs four times the CPU. */
export function leaveCallback(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function allowed(methods: Map<Method, Handler>): string {
  return [...(methods.has('GET') ? ['GET', 'HEAD'] : []), ...[...methods.keys()].filter(method => method !== 'GET'), 'OPTIONS'].join(', ')
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK', 201: 'Created', 204: 'No Content', 304: 'Not Modified',
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict',
  413: 'Content Too Large', 415: 'Unsupported Media Type', 421: 'Misdirected Request', 422: 'Unprocessable Content', 429: 'Too Many Requests',
  500: 'Internal Server Error', 503: 'Service Unavailable',
}

export function statusLine(status: number): string {
  return `${status} ${REASONS[status] ?? 'Status'}`
}
