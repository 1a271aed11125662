import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js'
import { LiveError } from '../../protocol/errors.js'
import { addressOf, type Address } from './address.js'
import { framingOf, type Framing, type HeaderLine } from './framing.js'
import type { Held, OpenTextSocket } from './socket.js'
import type { StreamResponse } from './stream.js'

/** One request, as a handler sees it. Call `body` before the handler's first await. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Path and query as they came. */
  readonly url: string
  /** For a streaming answer: see Stream. */
  readonly res: StreamResponse
  /** True once the client has left or has been answered. */
  readonly aborted: boolean
  /** The value of the header's first line, '' if absent. */
  header(name: string): string
  /** The header's values, one per line, also empty ones: a proxy may add its own line below the client's. */
  headers(name: string): readonly string[]
  /** The decoded value of a `:name` in the route's pattern, '' if its escapes are not UTF-8. */
  parameter(index: number): string
  /** The peer's address, IPv4 if it is mapped; undefined once the peer has left. */
  peer(): Address | undefined
  /** The whole body. @throws LiveError BODY_TOO_LARGE, before the rest is read */
  body(maxBytes: number): Promise<Buffer>
  /** Runs `task` when the client leaves before it was answered. */
  whenGone(task: () => void): void
  /** Makes the connection a WebSocket, in place of an answer. Only where the client asks for one, and the route has them; to be called
   * in the handler itself, before any await. */
  readonly upgrade?: Upgrade | undefined
}

/** @param protocol the subprotocol chosen, '' for none */
export type Upgrade = (protocol: string, open: OpenTextSocket) => void

/** Whether a header that may be there once says nothing for sure: it has several values, or an empty one. The library cuts blanks, DEL
 * and every byte above 127 off a value's ends, so that `é` comes as empty: it was there, and must not count as absent.
 * @param values of its lines */
export function isUnclear(values: readonly string[]): boolean {
  return values.some(value => value === '' || value !== values[0])
}

/** A connection that has not brought a whole request yet. */
export interface Silent {
  /** To be called when it has brought one, or has ended: from then on it is not closed for others' sake. */
  over(): void
}

/** Most bytes of a body that are taken though nobody wants them. */
const MAX_UNWANTED_BYTES = 64 << 10

interface ExchangeOptions {
  readonly peer?: ArrayBuffer
  readonly onBody?: (exchange: HttpExchange) => void
  readonly settle?: ((ended: boolean) => void) | undefined
  readonly sockets?: us_socket_context_t | undefined
}

const NO_VALUES: readonly string[] = []

/** A request of uWebSockets.js. */
export class HttpExchange implements Exchange {
  readonly method: string
  readonly path: string
  readonly url: string
  readonly framing: Framing
  readonly res: HttpResponse
  readonly upgrade: Upgrade | undefined
  aborted = false
  readonly #lines: HeaderLine[] = []
  readonly #search: string
  #query: URLSearchParams | undefined
  /** An answer has begun. */
  answering = false
  readonly #req: HttpRequest
  /** Called when its connection has ended, where it may have been a silent one. */
  readonly settle: ((ended: boolean) => void) | undefined
  /** As the server gives it; undefined until it is asked for. */
  #peer: ArrayBuffer | undefined
  readonly #onBody: ((exchange: HttpExchange) => void) | undefined
  /** Its body is still coming, and `#onBody` has been told. */
  #incomplete = false
  /** Since its connection counts as one without a whole request. */
  #silent: Silent | undefined
  readonly #whenGone: (() => void)[] = []
  /** Whether no body is still coming that is to be taken. */
  #bodyTaken = true
  #onBodyTaken = (): void => {}

  /** @param peer its address, where it is known already
   * @param onBody is called when a body is waited for, most of which come in the same turn of the loop: see `countSilent`
   * @param sockets where the connection may become a WebSocket */
  constructor(res: HttpResponse, req: HttpRequest, { peer, onBody, settle, sockets }: ExchangeOptions = {}) {
    this.res = res
    this.#req = req
    this.#peer = peer
    this.#onBody = onBody
    this.settle = settle
    this.method = req.getCaseSensitiveMethod()
    this.path = req.getUrl()
    this.#search = req.getQuery() ?? ''
    this.url = this.#search === '' ? this.path : `${this.path}?${this.#search}`
    req.forEach((name, value) => this.#lines.push([name, value]))
    this.framing = framingOf(this.method, this.#lines)
    // With a body its bytes would be taken for messages.
    const hasBody = this.#lines.some(([name]) => name === 'content-length' || name === 'transfer-encoding')
    this.upgrade = sockets && !hasBody ? (protocol, open) => this.#upgrade(sockets, protocol, open) : undefined
    // Always first: without an abort handler, a client that leaves ends the process.
    res.onAborted(() => {
      this.#over()
      settle?.(true)
      for (const task of this.#whenGone) task()
    })
    if (this.framing.chunked) this.#take(() => {}) // in the library's callback, or its end would not be told
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.#search))
  }

  /** Resolves when the body that is taken has come, or 64 KB of it, or after `limitMs`. */
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
      return ''
    }
  }

  headers(name: string): readonly string[] {
    let values: string[] | undefined
    for (const [each, value] of this.#lines) if (each === name) (values ??= []).push(value)
    return values ?? NO_VALUES
  }

  /** A PROXY protocol header is ignored: anyone may send one. */
  peer(): Address | undefined {
    return addressOf(this.peerBytes)
  }

  /** 4 or 16 bytes, none if it had left before it was asked for. */
  get peerBytes(): ArrayBuffer {
    return (this.#peer ??= this.res.getRemoteAddress())
  }

  /** Whether an answer has begun or has ended, also one that a stream gave. */
  get isAnswered(): boolean {
    if (this.aborted || this.answering) return true
    try {
      this.res.getWriteOffset()
      return false
    } catch {
      return true
    }
  }

  /** Whether its body is still coming. */
  get isIncomplete(): boolean {
    return this.#incomplete
  }

  /** Counts its connection among those without a whole request, which may be closed for others' sake, if its body is still coming. */
  countSilent(silent: () => Silent): void {
    if (this.#incomplete) this.#silent ??= silent()
  }

  /** The answer is written whole: a late abort or a second answer must find the exchange closed. */
  answered(): void {
    this.#over()
  }

  /** Runs `task` when the client leaves before it was answered. */
  whenGone(task: () => void): void {
    this.#whenGone.push(task)
  }

  /** If the body stops coming, the server closes the connection within 12 s. */
  body(maxBytes: number): Promise<Buffer> {
    const tooLarge = () => new LiveError('BODY_TOO_LARGE', `the body must be at most ${maxBytes} bytes`)
    const length = Number(this.header('content-length'))
    const body = new Promise<Buffer>((resolve, reject) => {
      if (length > maxBytes) {
        // A client that has sent it in one go may look for the answer only afterwards, and over TLS finds a broken connection.
        if (length <= MAX_UNWANTED_BYTES) this.#take(() => {})
        return reject(tooLarge())
      }
      if (this.#onBody) {
        this.#incomplete = true
        this.#onBody(this)
      }
      let parts: Buffer[] | undefined
      let size = 0
      this.whenGone(() => reject(new Error('the client left')))
      this.#take((chunk, isLast) => {
        size += chunk.byteLength
        if (size > maxBytes) return reject(tooLarge())
        const part = Buffer.from(chunk.slice(0)) // copied: the chunk is detached when this returns
        if (!isLast) return void (parts ??= []).push(part)
        this.#completed()
        resolve(parts ? Buffer.concat([...parts, part], size) : part)
      })
    })
    body.catch(() => {}) // a handler that fails before it awaits this must not end the process
    return body
  }

  /** In the library's callback: later it would have to be corked, and the library then closes some of the sockets at once, since it
   * takes what it has put in place of the response for one that is over (uWebSockets #1929; 20.51 has that fault). */
  #upgrade(sockets: us_socket_context_t, protocol: string, text: OpenTextSocket): void {
    const held: Held = { opening: { text } }
    this.answered()
    this.res.upgrade(held, this.header('sec-websocket-key'), protocol, '', sockets)
  }

  #over(): void {
    this.aborted = true
    this.#completed()
  }

  #completed(): void {
    this.#incomplete = false
    this.#silent?.over()
    this.#silent = undefined
  }

  /** The last call's `part` gets what comes. */
  #take(part: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    let size = 0
    this.#bodyTaken = false
    this.res.onData((chunk, isLast) => {
      size += chunk.byteLength
      part(chunk, isLast)
      if (!isLast && size <= MAX_UNWANTED_BYTES) return
      this.#bodyTaken = true
      this.#onBodyTaken()
    })
  }
}
