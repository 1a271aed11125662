import type { Gap } from './events.js'
import type { Comment, History } from './history.js'

/** The most comments that wait for a reader. */
const MOST_WAITING = 1_000

/** The comments of a `for await`. A reader that is too slow for the stream, or before whom there is a gap, reads on from
 * its own place in history until it has caught up: it misses none, whatever it takes. */
export class Loop implements AsyncIterableIterator<Comment> {
  #waiting: Comment[] = []
  /** Of the last comment that came to wait. */
  #cursor: number | undefined
  /** The newest comment that did not come to wait; undefined: the reader is with the stream. */
  #behind: number | undefined
  #wake = () => {}
  readonly #history: Pick<History, 'next'>
  readonly #signal: AbortSignal
  readonly #left: (loop: Loop) => void

  /** @param left is called when the reader leaves the loop */
  constructor(history: Pick<History, 'next'>, cursor: number | undefined, signal: AbortSignal, left: (loop: Loop) => void) {
    this.#history = history
    this.#cursor = cursor
    this.#signal = signal
    this.#left = left
  }

  /** What all listeners are told, and that the signal has been aborted. */
  hear(name: string, told: unknown): void {
    const { from, to, id } = (told ?? {}) as Gap & Comment
    if (name === 'deleted') this.#waiting = this.#waiting.filter(({ id }) => id !== told)
    else if (name === 'gap') {
      this.#cursor ??= Number(from)
      this.#behind = Number(to)
    } else if (name === 'rewind') {
      // Those that wait have been, and are passed on.
      if (this.#cursor! > Number(to)) this.#cursor = Number(to)
      this.#behind &&= Math.min(this.#behind, Number(to))
    } else if (name === 'comment') {
      if (this.#behind !== undefined || this.#waiting.length >= MOST_WAITING) this.#behind = Number(id)
      else {
        this.#cursor = Number(id)
        this.#waiting.push(told as Comment)
      }
    }
    this.#wake()
  }

  /** @throws Refusal if the server refuses to give what is missing */
  async next(): Promise<IteratorResult<Comment, undefined>> {
    for (;;) {
      if (this.#signal.aborted) return { value: undefined, done: true }
      const value = this.#waiting.shift()
      if (value) return { value, done: false }
      if (this.#behind !== undefined) await this.#read(this.#behind)
      else await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  return(): Promise<IteratorResult<Comment, undefined>> {
    this.#left(this)
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #read(to: number): Promise<void> {
    const from = this.#cursor ?? 0
    try {
      const { comments, more, to: end } = await this.#history.next(from, to, this.#signal)
      if (this.#cursor !== from) return // set back meanwhile
      this.#waiting.push(...comments)
      this.#cursor = more ? end : to
      if (this.#behind === this.#cursor) this.#behind = undefined
    } catch (error) {
      if (!this.#signal.aborted) throw error
    }
  }
}
