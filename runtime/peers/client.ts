import { Agent, type Dispatcher } from 'undici'
import { NONCE_HEADER, PROOF_HEADER, TO_HEADER, WIRE_HEADER, WIRE_VERSION } from '../../protocol/wire.js'
import { sentToken } from './internal-token.js'
import { codesOf, PeerError, type PeerFailure } from './peer-error.js'
import { ProvenPeers, type ProofRule, type ProvenPeersOptions } from './proven-peers.js'

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

const PROOF_MS = 1_000
const MAX_ORIGINS = 1_000
/** Of an answer's body that nobody reads. */
const MAX_HEALTH_BYTES = 4_096

interface Answered {
  readonly status: number
  readonly bytes: Buffer
}

/** What every call carries. */
export type CallHeaders = Readonly<Record<string, string>>

export interface InternalClientOptions extends Partial<Pick<ProvenPeersOptions, 'onUnproven'>> {
  /** INTERNAL_PROOF; `prefer` without. `none`: nobody is asked for a proof, since an operator has named each URL. */
  readonly proof?: ProofRule | 'none'
}

/** Calls over HTTP, with a keep-alive pool for each node. A peer that has not proven that it knows the token gets nothing. */
export class InternalClient implements Caller {
  readonly #agent: Agent
  readonly #headers: CallHeaders
  readonly #peers: ProvenPeers | undefined
  /** By URL. */
  readonly #origins = new Map<string, string>()

  /** @param tokens INTERNAL_TOKEN, of which the first token is sent; without it nobody has anything to prove */
  constructor(tokens: string | undefined, { proof: rule = 'prefer', onUnproven }: InternalClientOptions = {}) {
    this.#agent = new Agent({
      connections: null,
      pipelining: 1,
      connect: { timeout: 1_000 },
      keepAliveTimeout: 4_000, // below the server's 8 s, or the server may be closing a reused socket
    })
    const token = tokens === undefined ? undefined : sentToken(tokens)
    this.#headers = { [WIRE_HEADER]: String(WIRE_VERSION), ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    if (token === undefined || rule === 'none') return
    const peers = (this.#peers = new ProvenPeers({ token, rule, ask: this.#proof, onUnproven }))
    this.#agent.on('connect', ({ origin }) => peers.connected(origin))
    this.#agent.on('disconnect', ({ origin }) => peers.disconnected(origin))
  }

  /** What a call to the peer at `url` carries, once it may have our token: at once if that is known already.
   * @param instance the one that the registry shows there; undefined: any. A promise rejects with a PeerError. */
  headersFor(url: string, instance?: string): CallHeaders | Promise<CallHeaders> {
    const proof = this.#peers?.prove(this.#originOf(url), instance)
    return proof === undefined ? this.#headers : proof.then(() => this.#headers)
  }

  async call(url: string, { method = 'POST', to, path, body, headers, timeoutMs }: Call): Promise<Buffer> {
    const limit = new TimeLimit(timeoutMs)
    let answer: Answered
    let sent = false
    try {
      const origin = this.#originOf(url)
      const proof = this.#peers?.prove(origin, to)
      if (proof) await limit.unlessOver(proof)
      sent = true
      answer = await this.#send({ origin, path, method, body: body ?? null, headers: { ...this.#headers, ...(to === undefined ? {} : { [TO_HEADER]: to }), ...headers } }, limit)
    } catch (error) {
      if (error instanceof PeerError) throw error
      throw new PeerError(failureOf(error), `${method} ${path.split('?')[0]} to ${url} failed`, { cause: error, ...(!sent || neverSent(error) ? { sent: false } : {}) })
    } finally {
      limit.end()
    }
    const { status, bytes } = answer
    if (status === 421) throw new PeerError('refused', `another instance is at ${url} now`, { status, body: bytes })
    if (status === 409) throw new PeerError('wire', `${url} speaks another wire version`, { status, body: bytes })
    if (status < 200 || status > 299) throw new PeerError('status', `${url} answered ${status}`, { status, body: bytes })
    return bytes
  }

  /** By undici's handlers: a stream, a signal and its listeners for each call would cost more than all the rest of it. The only time
   * limit is the caller's. */
  #send(request: Dispatcher.DispatchOptions, limit: TimeLimit): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      let status = 0
      limit.whenOver(reject)
      this.#agent.dispatch({ ...request, headersTimeout: 0, bodyTimeout: 0 }, {
        onRequestStart: controller => limit.whenOver(reason => controller.abort(reason)),
        onResponseStart: (_, statusCode) => void (status = statusCode),
        onResponseData: (_, chunk) => void parts.push(chunk),
        onResponseEnd: () => resolve({ status, bytes: parts.length === 1 ? parts[0]! : Buffer.concat(parts) }),
        onResponseError: (_, error) => reject(error),
      })
    })
  }

  #originOf(url: string): string {
    let origin = this.#origins.get(url)
    if (origin === undefined) {
      if (this.#origins.size === MAX_ORIGINS) this.#origins.clear()
      this.#origins.set(url, (origin = new URL(url).origin))
    }
    return origin
  }

  /** A peer's proof for a nonce, on the health route: the former version answers there too, and counts no refusal. */
  readonly #proof = async (origin: string, nonce: string): Promise<string | undefined> => {
    const signal = AbortSignal.timeout(PROOF_MS)
    try {
      const { headers, body } = await this.#agent.request({ origin, path: '/healthz', method: 'GET', headers: { [NONCE_HEADER]: nonce }, signal })
      await body.dump({ limit: MAX_HEALTH_BYTES, signal })
      return headers[PROOF_HEADER]?.toString()
    } catch (cause) {
      throw new PeerError(failureOf(cause), `${origin} could not be asked for a proof`, { cause, sent: false })
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
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

/** The time that a call has. */
class TimeLimit {
  readonly #timer: NodeJS.Timeout
  readonly #tasks: ((reason: Error) => void)[] = []
  #reason: Error | undefined

  constructor(ms: number) {
    this.#timer = setTimeout(() => {
      this.#reason = new DOMException(`no answer within ${ms} ms`, 'TimeoutError')
      for (const task of this.#tasks) task(this.#reason)
    }, ms)
  }

  /** Runs `task` when the time is over; at once if it is. */
  whenOver(task: (reason: Error) => void): void {
    if (this.#reason) task(this.#reason)
    else this.#tasks.push(task)
  }

  /** Waits for `promise`, but not beyond the limit. */
  unlessOver<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.whenOver(reject)
      promise.then(resolve, reject)
    })
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}
