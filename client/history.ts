import { Refusal, type Requests } from './requests.js'
import { backOff, limited, rest } from './waiting.js'

/** One comment, as the stream and history have it. */
export interface Comment {
  /** Decimal, below 2^53; unique and ascending within its video. */
  readonly id: string
  readonly authorId: string
  /** The author's display name, if the poster's token had one. */
  readonly authorName?: string
  readonly content: string
  /** Unix ms. */
  readonly createdAt: number
}

export interface Page {
  /** Oldest first. */
  readonly comments: readonly Comment[]
  /** Whether others lie beyond it, in the direction of reading. */
  readonly more: boolean
}

const ANSWER_MS = 10_000
const PAGE = 200
/** The newest page of history may be a second old: only after these reads, a second apart, does it lack what it lacks. */
const READS = 3

/** A video's stored comments. */
export class History {
  readonly #requests: Requests
  readonly #url: string

  /** @param url of the video */
  constructor(requests: Requests, url: string) {
    this.#requests = requests
    this.#url = url
  }

  /** The comments next to `cursor`, or the newest ones, or the oldest.
   * @param size 1 to 200
   * @throws Refusal, Failure, and what `fetch` throws */
  page(direction: 'before' | 'after', cursor: string | undefined, size: number, signal: AbortSignal): Promise<Page> {
    return limited(signal, async (signal, limit) => {
      const at = cursor === undefined ? '' : `&cursor=${cursor}`
      const response = await this.#requests.ask(`${this.#url}?direction=${direction}&pageSize=${size}${at}`, { signal }, () => limit(ANSWER_MS))
      const { comments, nextCursor } = (await response.json()) as { readonly comments: Comment[]; readonly nextCursor: string | null }
      return { comments: direction === 'before' ? comments.reverse() : comments, more: nextCursor !== null }
    })
  }

  /** The next comments of (from, to], oldest first; `more`: others follow. Tries until it has an answer.
   * @throws Refusal, and when the signal is aborted */
  async next(from: number, to: number, signal: AbortSignal): Promise<Page> {
    for (let reads = 0, failures = 0; ; ) {
      try {
        const { comments, more } = await this.page('after', String(from), PAGE, signal)
        const last = Number(comments.at(-1)?.id ?? 0)
        if (last > from || more || ++reads === READS) return { comments: comments.filter(({ id }) => Number(id) <= to), more: last < to && reads < READS }
      } catch (error) {
        if (signal.aborted || error instanceof Refusal) throw error
        failures++
      }
      await rest(failures > 0 ? backOff(failures - 1) : 1_000, signal)
    }
  }
}
