export const PAGE = 100
const TIMEOUT_MS = 10_000

/** The comments of one video as they are stored, a page at a time, oldest first. Throws what cannot be read. */
export class History {
  #path

  constructor(path) {
    this.#path = path
  }

  /** The ones just before an id; `more`: there are older ones. */
  async before(id) {
    const { comments, more } = await this.#read('before', id)
    return { comments: comments.reverse(), more }
  }

  /** The ones just after an id; `more`: there are newer ones. */
  after(id) {
    return this.#read('after', id)
  }

  async #read(direction, cursor) {
    const response = await fetch(`${this.#path}?direction=${direction}&cursor=${cursor}&pageSize=${PAGE}`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    if (!response.ok) throw new Error(`history answered ${response.status}`)
    const { comments, nextCursor } = await response.json()
    return { comments, more: nextCursor !== null }
  }
}
