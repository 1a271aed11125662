import { Agent } from 'undici'
import { socketError } from '../runtime/peers/peer-error.js'

/** Of an answer: some hundred verdicts with reasons. */
const MAX_ANSWER_BYTES = 128 * 1024
const CONNECTIONS = 4
/** A kept connection may be closed by its server at the moment of the call: then it is made once more. */
const TRIES = 2

/** Calls a site's review over HTTP. A redirect, or another status than 200, is no answer. */
export class ReviewClient {
  readonly #url: URL
  readonly #agent = new Agent({ connections: CONNECTIONS, maxResponseSize: MAX_ANSWER_BYTES, keepAliveTimeout: 4_000 })

  /** @param url REVIEW_URL */
  constructor(url: string) {
    this.#url = new URL(url)
  }

  /** @returns the answer's body @throws Error in words for an operator, which quote nothing of a comment */
  readonly ask = async (body: string, timeoutMs: number): Promise<string> => {
    const signal = AbortSignal.timeout(timeoutMs)
    for (let tries = 1; ; tries++) {
      try {
        return await this.#ask(body, signal)
      } catch (cause) {
        if (cause instanceof StatusError) throw cause
        if (signal.aborted) throw new Error(`no answer within ${timeoutMs} ms`, { cause })
        if (tries === TRIES) throw new Error(`no answer: ${socketError(cause) ?? (cause as Error).message}`, { cause })
      }
    }
  }

  async #ask(body: string, signal: AbortSignal): Promise<string> {
    const { origin, pathname, search } = this.#url
    const response = await this.#agent.request({ origin, path: pathname + search, method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json' }, body, signal })
    if (response.statusCode === 200) return response.body.text()
    await response.body.dump({ limit: MAX_ANSWER_BYTES, signal })
    throw new StatusError(`it answered ${response.statusCode}`)
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

class StatusError extends Error {}
