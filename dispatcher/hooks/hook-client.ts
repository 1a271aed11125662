import { SiteClient } from '../site-client.js'

/** Of an answer, whose body nobody reads. */
const MAX_ANSWER_BYTES = 64 * 1024

/** Calls a site's web hook. */
export class HookClient {
  readonly #site: SiteClient

  /** @param url HOOK_URL */
  constructor(url: string) {
    this.#site = new SiteClient({ url, connections: 1, maxAnswerBytes: MAX_ANSWER_BYTES })
  }

  /** @returns the answer's status @throws Error in words for an operator, which quote nothing of a comment */
  readonly post = (body: string, headers: Readonly<Record<string, string>>, timeoutMs: number): Promise<number> =>
    this.#site.post(body, headers, timeoutMs, async (response, signal) => {
      await response.body.dump({ limit: MAX_ANSWER_BYTES, signal }).catch(() => {}) // the status says all
      return response.statusCode
    })

  close(): Promise<void> {
    return this.#site.close()
  }
}
