import type { CopyState } from './copy-rows.js'
import { counted, number } from '../table.js'

export interface ProgressOptions {
  readonly write: (text: string) => void
  /** A bar that is drawn anew in its line; elsewhere a line now and then. */
  readonly isTerminal: boolean
  /** Monotonic, ms. */
  readonly now?: () => number
}

const BAR_EVERY_MS = 100
const LINE_EVERY_MS = 5_000
const BAR_CELLS = 30

/** Shows how far a copy has come. */
export class Progress {
  readonly #options: ProgressOptions
  readonly #now: () => number
  readonly #began: number
  #shownAt: number
  #drawn = false

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#began = this.#shownAt = this.#now()
  }

  show(state: CopyState): void {
    const { write, isTerminal } = this.#options
    const now = this.#now()
    if (now - this.#shownAt < (isTerminal ? BAR_EVERY_MS : LINE_EVERY_MS)) return
    this.#shownAt = now
    const text = this.#text(state, now)
    write(isTerminal ? `\r\x1b[K${bar(shareOf(state))} ${text}` : `${text}\n`)
    this.#drawn = isTerminal
  }

  /** Removes the bar, so that another line can follow. */
  end(): void {
    if (this.#drawn) this.#options.write('\r\x1b[K')
  }

  #text(state: CopyState, now: number): string {
    const { copied, wereThere, comments, videosDone, videos } = state
    const done = copied + wereThere
    const perSecond = Math.round((1000 * copied) / Math.max(1, now - this.#began))
    const all = comments === undefined ? '' : ` of ${number(comments)}`
    return `${Math.floor(100 * shareOf(state))}%: ${number(done)}${all} comments, ${number(videosDone)} of ${counted(videos, 'video')}, ${number(perSecond)}/s`
  }
}

/** 0 to 1: by comments where they are counted, else by videos. */
function shareOf({ copied, wereThere, comments, videosDone, videos }: CopyState): number {
  const [done, all] = comments === undefined ? [videosDone, videos] : [copied + wereThere, comments]
  return all === 0 ? 1 : Math.min(1, done / all)
}

function bar(share: number): string {
  const full = Math.round(share * BAR_CELLS)
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_CELLS - full)}]`
}
