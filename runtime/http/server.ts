import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, us_socket_context_t, WebSocketBehavior } from 'uWebSockets.js'
import { LiveError } from '../../protocol/errors.js'
import type { TlsFiles } from '../tls/pair.js'
import { HttpExchange, type Exchange, type Silent } from './exchange.js'
import { errorReply, statusLine, type Answer, type Reply } from './reply.js'
import { behaviourOf, type Held, type Opening, type OpenSocket, type SocketLimits, type SocketRouter } from './socket.js'
import type { UnreadConnections } from './unread.js'
import { Unsent } from './unsent.js'
import { uws } from './uws.js'

/** Only this file, exchange.ts and stream.ts use uWebSockets.js, which ends the process or corrupts a stream when used in the
 * obvious way. Routes see an Exchange and answer with a Reply. */

/** The library's options of a listener. */
const SHARED_PORT = 0
const EXCLUSIVE_PORT = 1

/** With forward secrecy and authenticated encryption: Mozilla's list for clients since 2014, in which the client chooses. TLS 1.3
 * has its own, and the library speaks nothing below 1.2. */
const TLS_1_2_CIPHERS = ['ECDSA', 'RSA'].flatMap(kind => ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map(cipher => `ECDHE-${kind}-${cipher}`)).join(':')

/** In a turn of the loop that was shorter, hardly a connection has come. */
const QUIET_TURN_MS = 0.05
/** How many turns are waited for a quiet one. */
const MOST_TURNS = 200

/** How long the rest of a body in chunks is waited for before a refusal and the end of the connection. */
const LINGER_MS = 1_000

export type Handler = (exchange: Exchange) => Answer
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** Where handlers are mounted: an HttpServer, or a simulation's replacement. */
export interface Router {
  /** @param pattern a path with `:name` parts
   * @param sockets the limits of WebSockets, where a GET may ask for one: see Exchange.upgrade */
  route(method: Method, pattern: string, handler: Handler, sockets?: SocketLimits): Router
}

export interface ServerOptions {
  /** Headers of every reply, such as CORS; a handler that takes over the response sends its own. */
  readonly headers?: (exchange: Exchange) => Readonly<Record<string, string>>
  /** Runs before a route; throws to refuse. */
  readonly guard?: (exchange: Exchange) => void
  /** Which connections are accepted and kept; without: all. */
  readonly connections?: ConnectionRules
  /** The files of a certificate and its key, if it speaks TLS. */
  readonly tls?: TlsFiles | undefined
  /** Answers paths that no route is for, whatever the method; without: 404. */
  readonly otherwise?: Handler
  /** Hears of each connection that ended before a request was read on it. The library answers HTTP/1.0, TLS and whatever
   * else it cannot read by itself, with 505 or 400, and tells nobody. */
  readonly unread?: Pick<UnreadConnections, 'ended'> | undefined
  /** Called with an error that is a bug, after it was answered with 500. */
  readonly onBug: (error: unknown) => void
}

/** Which connections a server accepts and keeps. A peer is its address, 4 or 16 bytes. */
export interface ConnectionRules {
  /** Whether to accept a new one, before a byte of it is read. @param open connections, this one included */
  admits(peer: ArrayBuffer, open: number): boolean
  /** Whether to keep it open after an answer. */
  keeps(peer: ArrayBuffer, open: number): boolean
  /** It has no whole request yet, and may be closed for others' sake. */
  silent(peer: ArrayBuffer, close: () => void, isOpen: () => boolean): Silent
  /** A request has come on one of the peer's connections, and it is not known on which.
   * @returns undefined, or what is to be called when the connection with the request has ended, as it then has to: in the same
   * turn, or with false where that is not certain */
  unsure(peer: ArrayBuffer): ((ended: boolean) => void) | undefined
}

/** Methods that the library's types lack. */
interface App extends TemplatedApp {
  listen(host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void): TemplatedApp
  listen(...args: never): TemplatedApp
  getDescriptor(): unknown
  addChildAppDescriptor(descriptor: unknown): unknown
  removeChildAppDescriptor(descriptor: unknown): unknown
}

export class HttpServer implements Router, SocketRouter {
  /** It has the listener. */
  readonly #app: App
  /** Those that took over new connections when the certificate was renewed, the current one last. */
  readonly #renewed: App[] = []
  readonly #routes = new Map<string, Map<Method, Handler>>()
  /** Of routes that may become one. */
  readonly #sockets = new Map<string, SocketLimits>()
  readonly #options: ServerOptions
  #socket: us_listen_socket | undefined
  /** Every path has an answer. */
  #isRouted = false
  #isLeaving = false
  #connections = 0
  /** The newest request. */
  #entered: HttpExchange | undefined
  readonly #unsent = new Unsent()
  /** Requests of this turn of the loop that have a body. */
  readonly #bodies: HttpExchange[] = []

  constructor(options: ServerOptions) {
    this.#options = options
    this.#app = this.#newApp()
  }

  /** @throws Error if the library cannot use the certificate or its key */
  #newApp(): App {
    const { tls, connections, unread } = this.#options
    const app = (tls ? secureApp(tls) : uws.App()) as App
    app.filter((res, change) => {
      this.#connections += Number(change)
      if (change !== 1) return
      const peer = res.getRemoteAddress()
      if (connections?.admits(peer, this.#connections) === false) return void res.close()
      const silent = connections?.silent(peer, ...handles(res))
      const openedAt = performance.now()
      // The first request's own handler takes the place of this one.
      res.onAborted(() => {
        silent?.over()
        unread?.ended(peer, performance.now() - openedAt)
      })
      if (silent) this.#watchSilent(res, silent)
    })
    return app
  }

  /** Tells when a new connection has brought a request: the library calls the data handler in the same turn as the
   * request's, and with no bytes where there is no body. An exchange that sets its own in its place does not tell: see
   * `unsure`. */
  #watchSilent(res: HttpResponse, silent: Silent): void {
    let exchange: HttpExchange | undefined
    res.onData((_, isLast) => {
      silent.over()
      exchange ??= this.#entered
      // With the last of a body the library ends the connection's time-out. Where the answer came before, only `resume` begins
      // it anew; without `pause` before it the connection would never be read again (uWebSockets.js 20.51).
      if (!isLast || !exchange?.isAnswered) return
      res.pause()
      res.resume()
    })
  }

  /** Uses the certificate and key that are in the files now for new connections; open ones keep theirs. The library cannot
   * change an app's certificate, and frees the routes of a name that is removed under connections that use them. So the first
   * app keeps the listener and hands what it accepts to a new app. The library never frees an app: that costs 32 KB each time.
   * @throws Error if the library cannot use them: nothing has changed then */
  renewTls(): void {
    const app = this.#newApp()
    for (const [pattern, methods] of this.#routes) this.#serveAt(app, pattern, methods)
    this.#serveAt(app, '/*', undefined)
    const last = this.#renewed.at(-1)
    if (last) this.#app.removeChildAppDescriptor(last.getDescriptor())
    this.#app.addChildAppDescriptor(app.getDescriptor())
    this.#renewed.push(app)
  }

  /** Open connections. */
  get connections(): number {
    return this.#connections
  }

  /** HEAD, OPTIONS and 405 follow from the routes. */
  route(method: Method, pattern: string, handler: Handler, sockets?: SocketLimits): this {
    if (sockets) this.#sockets.set(pattern, sockets)
    const known = this.#routes.get(pattern)
    if (known) known.set(method, handler)
    else {
      const methods = new Map<Method, Handler>([[method, handler]])
      this.#routes.set(pattern, methods)
      this.#serveAt(this.#app, pattern, methods)
    }
    return this
  }

  /** A WebSocket behind the same guard. Not over TLS: no internal port speaks it. */
  socket(pattern: string, limits: SocketLimits, open: OpenSocket): this {
    this.#app.ws(pattern, { ...this.#behaviourOf(limits), upgrade: (res, req, context) => this.#upgrade(res, req, { binary: open }, context) })
    return this
  }

  /** The library tells the connections' filter nothing of a WebSocket's end. */
  #behaviourOf(limits: SocketLimits): WebSocketBehavior<Held> {
    return behaviourOf(limits, () => this.#connections--)
  }

  #upgrade(res: HttpResponse, req: HttpRequest, opening: Opening, context: us_socket_context_t): void {
    const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map(name => req.getHeader(`sec-websocket-${name}`)) as [string, string, string]
    const exchange = new HttpExchange(res, req)
    try {
      this.#options.guard?.(exchange)
    } catch (error) {
      return this.#send(exchange, { ...this.#toReply(error), close: true }, {})
    }
    exchange.answered()
    res.upgrade<Held>({ opening }, key, protocol, extensions, context)
  }

  #serveAt(app: App, pattern: string, methods: Map<Method, Handler> | undefined): void {
    const sockets = this.#sockets.get(pattern)
    if (sockets) {
      app.ws(pattern, {
        ...this.#behaviourOf(sockets),
        upgrade: (res, req, context) => {
          // A proxy that knows no WebSockets passes on the key all the same.
          if (req.getHeader('upgrade').toLowerCase() === 'websocket') this.#enter(res, req, methods, context)
          else req.setYield(true)
        },
      })
    }
    app.any(pattern, (res, req) => this.#enter(res, req, methods))
  }

  /** Method and pattern of each route. */
  get routes(): string[] {
    return [...this.#routes].flatMap(([pattern, methods]) => [...methods.keys()].map(method => `${method} ${pattern}`))
  }

  /** Listens, for the first time or again.
   * @param port 0: any free one, which cannot be shared
   * @param shared whether other processes of this user may listen on the port too, if they share it as well (SO_REUSEPORT)
   * @returns the port
   * @throws LiveError if the port is taken or the host not ours */
  listen(host: string, port: number, shared = false): number {
    if (!this.#isRouted) this.#serveAt(this.#app, '/*', undefined)
    this.#isRouted = true
    this.#isLeaving = false
    this.#app.listen(host, port, shared ? SHARED_PORT : EXCLUSIVE_PORT, socket => {
      if (socket) this.#socket = socket
    })
    if (!this.#socket) throw new LiveError('UNAVAILABLE', `cannot listen on ${host}:${port}: the port is taken or the host is not this machine's`)
    return uws.us_socket_local_port(this.#socket)
  }

  /** Accepts no new connections; open ones go on, each until its next answer. Those that wait to be accepted are accepted
   * first: the kernel would reset them, with the requests that they have brought. It still resets one that comes between the
   * loop's last look and the close, so that is done after a quiet turn of the loop: within about 20 µs. */
  async stopListening(): Promise<void> {
    this.#isLeaving = true
    for (let turns = 0; turns < MOST_TURNS; turns++) {
      const began = performance.now()
      await leaveCallback()
      // Only a whole turn has looked at all sockets.
      if (turns > 0 && performance.now() - began < QUIET_TURN_MS) break
    }
    this.#closeListener()
  }

  /** Closes everything at once. */
  close(): void {
    this.#closeListener()
    for (const app of [this.#app, ...this.#renewed]) app.close()
  }

  #closeListener(): void {
    if (this.#socket) uws.us_listen_socket_close(this.#socket)
    this.#socket = undefined
  }

  /** @param sockets where the client asks for a WebSocket */
  #enter(res: HttpResponse, req: HttpRequest, methods: Map<Method, Handler> | undefined, sockets?: us_socket_context_t): void {
    const { connections } = this.#options
    if (!connections) return this.#serve(new HttpExchange(res, req, { sockets }), methods)
    // Before an exchange takes the place of the handlers that tell when the connection ends.
    const hasBody = req.getHeader('content-length') !== '' || req.getHeader('transfer-encoding') !== ''
    // Of a connection that becomes a WebSocket, too, the library tells nothing: see `#watchSilent`.
    const peer = res.getRemoteAddress()
    const settle = hasBody || sockets ? connections.unsure(peer) : undefined
    // One that a stream may answer does not end in time.
    if (settle && req.getCaseSensitiveMethod() !== 'POST') return void res.close()
    this.#entered = new HttpExchange(res, req, { peer, onBody: this.#onBody, settle, sockets })
    this.#serve(this.#entered, methods)
  }

  /** A body that has not come when the turn is over makes its connection one without a whole request. */
  readonly #onBody = (exchange: HttpExchange): void => {
    if (this.#bodies.push(exchange) > 1) return
    setImmediate(() => {
      for (const each of this.#bodies.splice(0)) each.countSilent(() => this.#options.connections!.silent(each.peerBytes, ...handles(each.res)))
    })
  }

  #serve(exchange: HttpExchange, methods: Map<Method, Handler> | undefined): void {
    const headers = this.#options.headers?.(exchange) ?? {}
    let work: ReturnType<Handler>
    try {
      if (exchange.framing.fault !== undefined) throw new LiveError('BAD_REQUEST', exchange.framing.fault)
      this.#options.guard?.(exchange)
      if (!methods) work = this.#otherwise(exchange)
      else if (exchange.method === 'OPTIONS') work = { status: 204, headers: { allow: allowed(methods) } }
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

  #otherwise(exchange: HttpExchange): ReturnType<Handler> {
    const { otherwise } = this.#options
    if (!otherwise) throw new LiveError('NOT_FOUND', 'there is nothing at this path')
    return otherwise(exchange)
  }

  #send(exchange: HttpExchange, reply: Reply, headers: Readonly<Record<string, string>>): void {
    const { fault, chunked } = exchange.framing
    // The library accepts chunks that the standard forbids, unseen by us: no request may follow a chunked one.
    // Nor may one follow a body that is still coming: the library ends the time-out with it.
    const close = reply.close || fault !== undefined || chunked || exchange.isIncomplete || exchange.settle !== undefined
    if (!close) return this.#write(exchange, reply, headers)
    // Not in the library's callback, where it would go on to serve further requests of the same read. A request that
    // comes while an answer is due closes the connection.
    const write = () => this.#write(exchange, { ...reply, close: true }, headers)
    if (fault !== undefined) return void setImmediate(write)
    // A client that is still sending when the connection is closed may miss the answer; a proxy then gives one of its own.
    void exchange.bodyTaken(LINGER_MS).then(() => setImmediate(write))
  }

  #write(exchange: HttpExchange, reply: Reply, headers: Readonly<Record<string, string>>): void {
    if (exchange.aborted) return // any use of the response would throw
    const { res } = exchange
    const open = this.#connections
    exchange.answering = true
    const { body = '' } = reply
    const bodiless = exchange.method === 'HEAD' || reply.status === 204 || reply.status === 304
    const close = reply.close || this.#isLeaving || this.#options.connections?.keeps(exchange.peerBytes, this.#connections) === false
    res.cork(() => {
      res.writeStatus(statusLine(reply.status))
      for (const name in headers) if (reply.headers?.[name] === undefined) res.writeHeader(name, headers[name]!)
      for (const name in reply.headers) res.writeHeader(name, reply.headers[name]!)
      if (!bodiless) {
        if (!close && body.length > 0) return this.#sendWhole(exchange, body)
        res.end(body, close)
      } else if (close) res.endWithoutBody(0, true)
      else res.endWithoutBody() // without an argument: `undefined` is printed as a length of 2^63
      exchange.answered()
    })
    exchange.settle?.(this.#connections < open)
  }

  /** Sends a body as fast as the peer takes it. Until then the request is under way: the connection is closed if the peer
   * takes nothing for 12 s or sends another request. With a plain `end`, unread answers would pile up without limit. */
  #sendWhole(exchange: HttpExchange, body: string | Uint8Array): void {
    const { res } = exchange
    const length = Buffer.byteLength(body)
    const [, isSent] = res.tryEnd(body, length)
    if (isSent) return exchange.answered()
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    res.onWritable(from => {
      const [taken, done] = res.tryEnd(bytes.subarray(from), length)
      if (done) {
        exchange.answered()
        this.#unsent.delete(exchange)
      }
      return taken
    })
    exchange.whenGone(() => this.#unsent.delete(exchange))
    // Outside this cork, since it may close another connection.
    setImmediate(() => exchange.aborted || this.#unsent.add(exchange, length, () => res.close()))
  }

  #toReply(error: unknown): Reply {
    if (error instanceof LiveError) return errorReply(error)
    this.#options.onBug(error)
    return errorReply(new LiveError('INTERNAL', 'something is wrong on our side'))
  }
}

/** @throws Error */
function secureApp({ certificate, key }: TlsFiles): TemplatedApp {
  try {
    return uws.SSLApp({ cert_file_name: certificate, key_file_name: key, ssl_ciphers: TLS_1_2_CIPHERS })
  } catch (cause) {
    throw new Error(`TLS_CERT_FILE: the HTTP server cannot use ${certificate} with ${key}`, { cause })
  }
}

/** What a silent connection is closed and looked at by. */
function handles(res: HttpResponse): [close: () => void, isOpen: () => boolean] {
  return [() => res.close(), () => res.getRemoteAddress().byteLength > 0]
}

/** Leaves the library's callback, inside which a fan-out costs four times the CPU. */
export function leaveCallback(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function allowed(methods: Map<Method, Handler>): string {
  return [...(methods.has('GET') ? ['GET', 'HEAD'] : []), ...[...methods.keys()].filter(method => method !== 'GET'), 'OPTIONS'].join(', ')
}
