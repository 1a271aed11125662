import { Agent } from 'undici'
import { socketError } from '../../runtime/peers/peer-error.js'

/** Of an answer, whose body nobody reads. */
const MAX_ANSWER_BYTES = 64 * 1024
/** A kept connection may be closed by its server at the moment of the call: then it is made once more. */
const TRIES = 2

/** Calls a site's web hook over HTTP. Redirects are not followed. */
export class HookClient {
  readonly #url: URL
  readonly #agent = new Agent({ connections: 1, maxResponseSize: MAX_ANSWER_BYTES, keepAliveTimeout: 4_000 })

  /** @param url HOOK_URL */
  constructor(url: string) {
    this.#url = new URL(url)
  }

  /** @returns the answer's status @throws Error in words for an operator, which quote nothing of a comment */
  readonly post = async (body: string, headers: Readonly<Record<string, string>>, timeoutMs: number): Promise<number> => {
    const signal = AbortSignal.timeout(timeoutMs)
    for (let tries = 1; ; tries++) {
      try {
        return await this.#post(body, headers, signal)
      } catch (cause) {
        if (signal.aborted) throw new Error(`no answer within ${timeoutMs} ms`, { cause })
        if (tries === TRIES) throw new Error(`no answer: ${socketError(cause) ?? (cause as Error).message}`, { cause })
      }
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #post(body: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<number> {
    const { origin, pathname, search } = this.#url
    const response = await this.#agent.request({ origin, path: pathname + search, method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body, signal })
    await response.body.dump({ limit: MAX_ANSWER_BYTES, signal }).catch(() => {}) // the status says all
    return response.statusCode
  }
}
