import type { Gap, State, Tell } from './events.js'
import type { Comment, History } from './history.js'
import type { ServerEvent } from './parser.js'
import { limited } from './waiting.js'

export interface DeliveryOptions {
  readonly history: Pick<History, 'next'>
  readonly tell: Tell
  /** All that was missed is delivered, or some of it is missing again. */
  readonly state: (state: State) => void
  readonly signal: AbortSignal
}

/** An event with its data parsed: that of a comment, a gap, `ready` or `viewers`. */
interface Said {
  readonly name: string
  readonly id: string
  readonly data: Comment & Gap & { readonly viewers: number }
}

/** The most that is read from history for one gap, in comments and ms. The rest is told as a gap. */
const MOST_FILLED = 1_000
const FILL_MS = 10_000

/** Makes one order of what the stream and history say: each comment once, ascending. Ids are exact as numbers. */
export class Delivery {
  /** The id that the stream goes on after; undefined: nothing has come yet. */
  cursor: number | undefined
  /** Resolves when no gap is being filled. */
  settled: Promise<void> = Promise.resolve()
  #live = false
  /** What came after a gap that is being filled: no more than comes in FILL_MS. */
  #held: Said[] | undefined
  readonly #options: DeliveryOptions

  constructor(options: DeliveryOptions, cursor: number | undefined) {
    this.#options = options
    this.cursor = cursor
  }

  /** @throws SyntaxError for data that is no JSON */
  take({ name, id, data }: ServerEvent): void {
    this.#accept({ name, id, data: JSON.parse(data) as Said['data'] })
  }

  /** The connection has ended. What is held comes again on the next one. */
  lost(): void {
    this.#live = false
    if (this.#held) this.#held = []
  }

  #accept(said: Said): void {
    if (this.#held) this.#held.push(said)
    else this.#deliver(said)
  }

  #deliver({ name, id, data }: Said): void {
    const cursor = this.cursor ?? 0
    if (name === 'message') this.#comment(data)
    else if (name === 'gap') {
      const from = Math.max(cursor, Number(data.from))
      const to = Number(data.to)
      if (to < cursor) this.#rewind(to)
      else if (to > from) this.#fill(from, to)
    } else if (name === 'viewers' || name === 'ready') {
      this.#options.tell('viewers', data.viewers)
      if (name === 'viewers') return
      // The server has given up on our cursor: its store does not know it.
      if (Number(id) < cursor) this.#rewind(Number(id))
      this.cursor = Number(id)
      this.#live = true
      this.#options.state({ is: 'live' })
    }
  }

  #comment(comment: Comment): void {
    const id = Number(comment.id)
    if (id <= (this.cursor ?? 0)) return
    this.cursor = id
    this.#options.tell('comment', comment, this.#live && !this.#held)
  }

  #rewind(to: number): void {
    const from = String(this.cursor)
    this.cursor = to
    this.#options.tell('rewind', { from, to: String(to) })
  }

  #fill(from: number, to: number): void {
    this.cursor = from
    this.#held = []
    this.#options.state({ is: 'catching up' })
    this.settled = this.#read(to).then(() => {
      const held = this.#held!
      this.#held = undefined
      if (this.#options.signal.aborted) return
      if (this.cursor! < to) this.#options.tell('gap', { from: String(this.cursor), to: String(to) })
      this.cursor = to
      if (this.#live) this.#options.state({ is: 'live' })
      for (const said of held) this.#accept(said)
    })
  }

  /** Delivers what history has up to `to`, within the bounds. Then the cursor is at `to` if that was all. */
  async #read(to: number): Promise<void> {
    try {
      await limited(this.#options.signal, async (signal, limit) => {
        limit(FILL_MS)
        for (let left = MOST_FILLED, more = true; more; ) {
          if (left <= 0) return
          const page = await this.#options.history.next(this.cursor!, to, signal)
          more = page.more
          left -= page.comments.length
          for (const comment of page.comments) this.#comment(comment)
        }
        this.cursor = to
      })
    } catch {
      // What is missing is told as a gap.
    }
  }
}
