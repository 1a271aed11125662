import type { Settings, Skipped, State, Tell } from './events.js'
import type { Comment, History } from './history.js'
import type { ServerEvent } from './parser.js'
import { limited } from './waiting.js'

export interface DeliveryOptions {
  readonly history: Pick<History, 'next'>
  readonly tell: Tell
  /** All that was missed is delivered, or some of it is missing again. */
  readonly state: (state: State) => void
  readonly signal: AbortSignal
  /** The most comments that are read from history for one gap. The rest is told as a gap. */
  readonly fill: number
}

interface Acts {
  readonly target: string
  readonly comment: Comment | null
}

/** What moderators have done, as `ready` says it. */
interface VideoState {
  readonly settings?: Settings
  readonly pinned?: Comment | null
}

/** An event with its data parsed: that of a comment, a gap, comments that were left out, `ready`, `viewers`, or an act of a moderator. */
interface Said {
  readonly name: string
  readonly id: string
  readonly data: Comment & Skipped & Settings & Acts & VideoState & { readonly viewers: number }
}

/** The longest that is read from history for one gap, ms. */
const FILL_MS = 10_000
/** After a gap so many of the newest comments are asked for again. */
const MOST_SHOWN = 200

const DEFAULTS: Settings = { slowModeSeconds: 0, closed: false, signedInOnly: false }

/** Makes one order of what the stream and history say: each comment once, ascending. Ids are exact as numbers. */
export class Delivery {
  /** The id that the stream goes on after; undefined: nothing has come yet. */
  cursor: number | undefined
  /** Resolves when no gap is being filled. */
  settled: Promise<void> = Promise.resolve()
  #live = false
  /** What came after a gap that is being filled: no more than comes in FILL_MS. */
  #held: Said[] | undefined
  /** Ids of the newest comments that were told and are not deleted: what a list of them shows. */
  #shown: number[] = []
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

  /** A gap can have hidden deletions: asks for these comments again, by default for the newest that were told.
   * @param ids ascending */
  async recheck(ids: readonly number[] = this.#shown): Promise<void> {
    const { history, signal } = this.#options
    try {
      for (let next = ids[0]; next !== undefined; ) {
        const part = await history.next(next - 1, ids.at(-1)!, signal)
        for (const id of part.deleted) this.#delete(id)
        next = part.more ? ids.find(id => id > part.to) : undefined
      }
    } catch {
      // The server will not say, or this is closed.
    }
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
    } else if (name === 'deleted' || name === 'pinned' || name === 'settings' || name === 'skipped') {
      if (Number(id) <= cursor) return
      this.cursor = Number(id)
      if (name === 'deleted') this.#delete(data.target)
      else if (name === 'pinned') this.#options.tell(name, data.comment ?? undefined)
      else this.#options.tell(name, data)
    } else if (name === 'viewers' || name === 'ready') {
      this.#options.tell('viewers', data.viewers)
      if (name === 'viewers') return
      // The server has given up on our cursor: its store does not know it.
      if (Number(id) < cursor) this.#rewind(Number(id))
      this.cursor = Number(id)
      this.#live = true
      this.#options.tell('settings', data.settings ?? DEFAULTS)
      this.#options.tell('pinned', data.pinned ?? undefined)
      this.#options.state({ is: 'live' })
    }
  }

  #comment(comment: Comment): void {
    const id = Number(comment.id)
    if (id <= (this.cursor ?? 0)) return
    this.cursor = id
    if (this.#shown.push(id) > MOST_SHOWN) this.#shown.shift()
    this.#options.tell('comment', comment, this.#live && !this.#held)
  }

  #delete(id: string): void {
    this.#shown = this.#shown.filter(each => each !== Number(id))
    this.#options.tell('deleted', id)
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
    void this.recheck()
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
        for (let left = this.#options.fill, more = true; more; ) {
          if (left <= 0) return
          const part = await this.#options.history.next(this.cursor!, to, signal)
          more = part.more
          left -= part.comments.length
          for (const comment of part.comments) this.#comment(comment)
          this.cursor = part.to
        }
        this.cursor = to
      })
    } catch {
      // What is missing is told as a gap.
    }
  }
}
