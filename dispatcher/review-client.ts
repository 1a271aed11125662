import { SiteClient } from './site-client.js'

/** Of an answer: some hundred verdicts with reasons. */
const MAX_ANSWER_BYTES = 128 * 1024
const CONNECTIONS = 4

/** Calls a site's review. Another status than 200 is no answer. */
export class ReviewClient {
  readonly #site: SiteClient

  /** @param url REVIEW_URL */
  constructor(url: string) {
    this.#site = new SiteClient({ url, connections: CONNECTIONS, maxAnswerBytes: MAX_ANSWER_BYTES })
  }

  /** @returns the answer's body @throws Error in words for an operator, which quote nothing of a comment */
  readonly ask = async (body: string, timeoutMs: number): Promise<string> => {
    const said = await this.#site.post(body, { accept: 'application/json' }, timeoutMs, async (response, signal) => {
      if (response.statusCode === 200) return response.body.text()
      await response.body.dump({ limit: MAX_ANSWER_BYTES, signal })
      return response.statusCode
    })
    if (typeof said === 'number') throw new Error(`it answered ${said}`)
    return said
  }

  close(): Promise<void> {
    return this.#site.close()
  }
}
