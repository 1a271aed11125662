import { Refusal, type Requests } from './requests.js'
import { backOff, limited, rest } from './waiting.js'

/** One comment, as the stream and history have it. */
export interface Comment {
  /** Decimal, below 2^53; unique and ascending within its video. */
  readonly id: string
  readonly authorId: string
  /** The author's display name, if the poster's token had one. */
  readonly authorName?: string
  /** As whom it was written, where the author is no plain viewer. */
  readonly by?: 'moderator'
  readonly content: string
  /** Unix ms. */
  readonly createdAt: number
}

export interface Page {
  /** Oldest first. Empty only if there are none in this direction. */
  readonly comments: readonly Comment[]
  /** Ids of comments in between that were deleted, oldest first. */
  readonly deleted: readonly string[]
  /** Whether others lie beyond it, in the direction of reading. */
  readonly more: boolean
}

/** A part of a range of comments. */
export interface Part extends Page {
  /** The end of this part. */
  readonly to: number
}

/** Of a deleted comment only its place is left. */
type Row = Comment & { readonly deleted?: true }

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

  /** The comments next to a place: `cursor=` and an id, or `at=` and Unix ms. Without one the newest, or the oldest.
   * @param size 1 to 200
   * @throws Refusal, Failure, and what `fetch` throws */
  page(direction: 'before' | 'after', place: string | undefined, size: number, signal: AbortSignal): Promise<Page> {
    return limited(signal, async (signal, limit) => {
      const rows: Row[] = []
      for (let next = place; ; ) {
        const response = await this.#requests.ask(`${this.#url}?direction=${direction}&pageSize=${size}${next ? `&${next}` : ''}`, { signal }, () => limit(ANSWER_MS))
        const { comments, nextCursor } = (await response.json()) as { readonly comments: readonly Row[]; readonly nextCursor: string | null }
        rows.push(...comments)
        next = `cursor=${nextCursor}`
        if (nextCursor !== null && comments.every(({ deleted }) => deleted)) continue
        if (direction === 'before') rows.reverse()
        return { comments: rows.filter(({ deleted }) => !deleted), deleted: rows.flatMap(({ id, deleted }) => (deleted ? id : [])), more: nextCursor !== null }
      }
    })
  }

  /** The next comments of (from, to]; `more`: others follow. Tries until it has an answer.
   * @throws Refusal, and when the signal is aborted */
  async next(from: number, to: number, signal: AbortSignal): Promise<Part> {
    for (let reads = 0, failures = 0; ; ) {
      try {
        const { comments, deleted, more } = await this.page('after', `cursor=${from}`, PAGE, signal)
        const last = Math.max(from, Number(comments.at(-1)?.id ?? 0), Number(deleted.at(-1) ?? 0))
        if (last > from || more || ++reads === READS) return { comments: comments.filter(({ id }) => Number(id) <= to), deleted, more: last < to && reads < READS, to: Math.min(last, to) }
      } catch (error) {
        if (signal.aborted || error instanceof Refusal) throw error
        failures++
      }
      await rest(failures > 0 ? backOff(failures - 1) : 1_000, signal)
    }
  }
}
