import { Agent, type Dispatcher } from 'undici'
import { TO_HEADER, WIRE_HEADER, WIRE_VERSION } from '../../protocol/wire.js'
import { sentToken } from './internal-token.js'
import { PeerError, type PeerFailure } from './peer-error.js'

export interface Call {
  readonly method?: 'GET' | 'POST'
  /** The instance that the call is meant for; another one at that address refuses it. */
  readonly to?: string
  /** Path and query. */
  readonly path: string
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** Limit until the whole answer has arrived. */
  readonly timeoutMs: number
}

/** Calls other parts on their internal ports. */
export interface Caller {
  /** @returns the answer's body @throws PeerError */
  call(url: string, call: Call): Promise<Buffer>
}

/** Calls over HTTP, with a keep-alive pool for each node. */
export class InternalClient implements Caller {
  readonly agent: Agent
  readonly headers: Readonly<Record<string, string>>

  /** @param token INTERNAL_TOKEN, of which the first token is sent */
  constructor(token: string | undefined) {
    this.agent = new Agent({
      connections: null,
      pipelining: 1,
      connect: { timeout: 1_000 },
      keepAliveTimeout: 4_000, // below the server's 8 s, or the server may be closing a reused socket
    })
    this.headers = { [WIRE_HEADER]: String(WIRE_VERSION), ...(token === undefined ? {} : { authorization: `Bearer ${sentToken(token)}` }) }
  }

  async call(url: string, { method = 'POST', to, path, body, headers, timeoutMs }: Call): Promise<Buffer> {
    let response: Dispatcher.ResponseData
    let bytes: Buffer
    // Not AbortSignal.timeout: it would fire, and make an exception, long after most calls have ended.
    const timeout = new AbortController()
    const timer = setTimeout(() => timeout.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')), timeoutMs)
    try {
      response = await this.agent.request({
        origin: new URL(url).origin,
        path,
        method,
        body: body ?? null,
        headers: { ...this.headers, ...(to === undefined ? {} : { [TO_HEADER]: to }), ...headers },
        signal: timeout.signal,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      })
      bytes = Buffer.from(await response.body.arrayBuffer())
    } catch (error) {
      throw new PeerError(failureOf(error), `${method} ${path.split('?')[0]} to ${url} failed`, { cause: error, ...(neverSent(error) ? { sent: false } : {}) })
    } finally {
      clearTimeout(timer)
    }
    const { statusCode } = response
    if (statusCode === 421) throw new PeerError('refused', `another instance is at ${url} now`, { status: statusCode, body: bytes })
    if (statusCode === 409) throw new PeerError('wire', `${url} speaks another wire version`, { status: statusCode, body: bytes })
    if (statusCode < 200 || statusCode > 299) throw new PeerError('status', `${url} answered ${statusCode}`, { status: statusCode, body: bytes })
    return bytes
  }

  async close(): Promise<void> {
    await this.agent.destroy()
  }
}

/** The kind of failure that an error of undici or of a socket stands for. */
export function failureOf(error: unknown): PeerFailure {
  const codes = codesOf(error)
  const has = (...names: string[]) => names.some(name => codes.has(name))
  if (has('EMFILE', 'ENFILE', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED')) return 'local'
  if (has('ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENOTFOUND', 'EAI_AGAIN')) return 'refused'
  if (has('TimeoutError', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT')) return 'timeout'
  return 'lost'
}

/** Whether the connection was never made. */
function neverSent(error: unknown): boolean {
  return codesOf(error).has('UND_ERR_CONNECT_TIMEOUT')
}

function codesOf(error: unknown): ReadonlySet<unknown> {
  const codes = new Set<unknown>()
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    codes.add((e as NodeJS.ErrnoException).code).add(e.name) // both: a DOMException's code is a number
    if (e instanceof AggregateError) for (const inner of e.errors) codes.add((inner as NodeJS.ErrnoException).code)
  }
  return codes
}
