import { Buffer } from 'node:buffer'
import { LiveError } from '../../protocol/errors.js'
import type { Exchange } from '../../runtime/http/exchange.js'
import { errorReply, type Reply } from '../../runtime/http/reply.js'
import type { Handler, Method, Router } from '../../runtime/http/server.js'
import type { OpenSocket, SocketLimits, SocketRouter } from '../../runtime/http/socket.js'
import type { Response } from './response.js'

export interface Request {
  readonly method: Method
  /** Path and query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

interface Route {
  readonly method: Method
  readonly parts: readonly string[]
  readonly handler: Handler
}

/** Stands in for the HTTP server under the parts' own routes. */
export class Routes implements Router, SocketRouter {
  readonly #routes: Route[] = []
  readonly sockets = new Map<string, { readonly limits: SocketLimits; readonly open: OpenSocket }>()
  readonly #onBug: (error: unknown) => void

  constructor(onBug: (error: unknown) => void) {
    this.#onBug = onBug
  }

  route(method: Method, pattern: string, handler: Handler): this {
    this.#routes.push({ method, parts: pattern.split('/'), handler })
    return this
  }

  socket(path: string, limits: SocketLimits, open: OpenSocket): this {
    this.sockets.set(path, { limits, open })
    return this
  }

  /** The reply, or undefined where the handler took the response over. Never rejects. */
  async handle({ method, path, headers, body }: Request, res?: Response): Promise<Reply | undefined> {
    const [plain = '', query = ''] = path.split('?')
    const parts = plain.split('/')
    const route = this.#routes.find(each => each.method === method && each.parts.length === parts.length && each.parts.every((part, i) => part.startsWith(':') || part === parts[i]))
    try {
      if (!route) throw new LiveError('NOT_FOUND', 'there is nothing at this path')
      const parameters = parts.filter((_, i) => route.parts[i]!.startsWith(':'))
      const exchange: Exchange = {
        method,
        path: plain,
        url: path,
        query: new URLSearchParams(query),
        get res() {
          if (!res) throw new Error('this call is not for a stream')
          return res
        },
        aborted: false,
        header: name => headers[name] ?? '',
        headers: name => (name in headers ? [headers[name]!] : []),
        parameter: index => parameters[index] ?? '',
        peer: () => undefined,
        body: () => Promise.resolve(body ?? Buffer.alloc(0)),
        whenGone: () => {},
      }
      return await route.handler(exchange)
    } catch (error) {
      if (error instanceof LiveError) return errorReply(error)
      this.#onBug(error)
      return errorReply(new LiveError('INTERNAL', 'something is wrong on our side'))
    }
  }
}
