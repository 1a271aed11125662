import type { TemplatedApp, us_listen_socket } from 'uWebSockets.js'
import { LiveError } from '../../protocol/errors.js'
import { HttpExchange, type Exchange } from './exchange.js'
import { errorReply, statusLine, type Reply } from './reply.js'
import { Unsent } from './unsent.js'
import { uws } from './uws.js'

/** uWebSockets.js ends here: routes see an Exchange and answer with a Reply. The library ends the process or
 * corrupts a stream when used in the obvious way; every rule it needs is kept in this file, exchange.ts and stream.ts. */

/** Answers at once, later, or not at all: undefined says that the handler took the response over. */
export type Handler = (exchange: Exchange) => Reply | Promise<Reply | undefined> | undefined
export type Method = 'GET' | 'POST' | 'DELETE'

/** Where handlers are mounted: an HttpServer, or what stands in for it. */
export interface Router {
  /** @param pattern a path with `:name` parts */
  route(method: Method, pattern: string, handler: Handler): Router
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

export class HttpServer implements Router {
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

  /** HEAD, OPTIONS and 405 are answered from what is routed. */
  route(method: Method, pattern: string, handler: Handler): this {
    const known = this.#routes.get(pattern)
    if (known) known.set(method, handler)
    else {
      const methods = new Map<Method, Handler>([[method, handler]])
      this.#routes.set(pattern, methods)
      this.#app.any(pattern, (res, req) => this.#serve(new HttpExchange(res, req), methods))
    }
    return this
  }

  /** Method and pattern of everything routed. */
  get routes(): string[] {
    return [...this.#routes].flatMap(([pattern, methods]) => [...methods.keys()].map(method => `${method} ${pattern}`))
  }

  /** Listens, alone on its port. @returns the port. @throws Error when the port is taken or the host is not ours */
  listen(host: string, port: number): number {
    this.#app.any('/*', (res, req) => this.#serve(new HttpExchange(res, req), undefined))
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

  #serve(exchange: HttpExchange, methods: Map<Method, Handler> | undefined): void {
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

  #send(exchange: HttpExchange, reply: Reply, headers: Readonly<Record<string, string>>): void {
    const { fault, chunked } = exchange.framing
    // Of chunks the library reads more than the standard allows, unseen by us: nothing may come after them.
    const close = reply.close || fault !== undefined || chunked
    if (!close) return this.#write(exchange, reply, headers)
    // Not in the library's callback: there it would go on to serve what lies behind this request in the same read.
    // Whatever comes while an answer is due closes the connection.
    setImmediate(() => this.#write(exchange, { ...reply, close }, headers))
  }

  #write(exchange: HttpExchange, reply: Reply, headers: Readonly<Record<string, string>>): void {
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
  #sendWhole(exchange: HttpExchange, body: string | Uint8Array): void {
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

/** Leaves the library's callback: a fan-out inside one costs four times the CPU. */
export function leaveCallback(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function allowed(methods: Map<Method, Handler>): string {
  return [...(methods.has('GET') ? ['GET', 'HEAD'] : []), ...[...methods.keys()].filter(method => method !== 'GET'), 'OPTIONS'].join(', ')
}
