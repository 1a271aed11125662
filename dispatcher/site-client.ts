import { Agent, type Dispatcher } from 'undici'
import { socketError } from '../runtime/peers/peer-error.js'

export interface SiteClientOptions {
  readonly url: string
  readonly connections: number
  /** Of an answer. */
  readonly maxAnswerBytes: number
}

/** A kept connection may be closed by its server at the moment of the call: then it is made once more. */
const TRIES = 2

/** Calls a site's own service over HTTP: a review, a web hook. Redirects are not followed. */
export class SiteClient {
  readonly #url: URL
  readonly #agent: Agent

  constructor({ url, connections, maxAnswerBytes }: SiteClientOptions) {
    this.#url = new URL(url)
    this.#agent = new Agent({ connections, maxResponseSize: maxAnswerBytes, keepAliveTimeout: 4_000 })
  }

  /** @param body JSON @param read takes the answer to its end; where it rejects, there was none
   * @throws Error in words for an operator, which quote nothing of a comment */
  async post<T>(body: string, headers: Readonly<Record<string, string>>, timeoutMs: number, read: (response: Dispatcher.ResponseData, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { origin, pathname, search } = this.#url
    const signal = AbortSignal.timeout(timeoutMs)
    for (let tries = 1; ; tries++) {
      try {
        const response = await this.#agent.request({ origin, path: pathname + search, method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body, signal })
        return await read(response, signal)
      } catch (cause) {
        if (signal.aborted) throw new Error(`no answer within ${timeoutMs} ms`, { cause })
        if (tries === TRIES) throw new Error(`no answer: ${socketError(cause) ?? (cause as Error).message}`, { cause })
      }
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}
