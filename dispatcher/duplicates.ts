import { createHash } from 'node:crypto'
import { ANONYMOUS, type Draft } from '../protocol/comment.js'

/** Entries kept, about 20 MB of them; beyond, the oldest are forgotten early. */
const MAX_ENTRIES = 100_000

interface Entry {
  readonly key: string
  /** Monotonic ms. */
  readonly at: number
}

/** Who said what on which video lately. The same again from the same author is a duplicate, unless it is the same post:
 * one that comes again under its key. Anonymous posts are never one, since they have no author in common.
 *
 * In memory, of what this dispatcher stored: a video's owner sees all of its posts, and begins anew when it changes. */
export class Duplicates {
  readonly #withinMs: number
  /** The oldest first. */
  readonly #entries = new Map<string, Entry>()

  constructor(withinMs: number) {
    this.#withinMs = withinMs
  }

  get size(): number {
    return this.#entries.size
  }

  /** Notes the draft, unless it is a duplicate. @param text its content, folded. @param now monotonic ms
   * @returns whether it is one */
  isOne({ videoId, authorId, key }: Draft, text: string, now: number): boolean {
    if (authorId === ANONYMOUS) return false
    this.#forget(now - this.#withinMs)
    const place = placeOf(videoId, authorId, text)
    const entry = this.#entries.get(place)
    if (entry) return entry.key !== key
    this.#entries.set(place, { key, at: now })
    if (this.#entries.size > MAX_ENTRIES) this.#entries.delete(this.#entries.keys().next().value!)
    return false
  }

  /** The draft was not stored after all: its author may well say it again, under another key. */
  release({ videoId, authorId, key }: Draft, text: string): void {
    const place = placeOf(videoId, authorId, text)
    if (this.#entries.get(place)?.key === key) this.#entries.delete(place)
  }

  #forget(before: number): void {
    for (const [place, { at }] of this.#entries) {
      if (at > before) return
      this.#entries.delete(place)
    }
  }
}

/** A digest: an entry is small whatever was said, and nobody can make two texts one. */
function placeOf(videoId: string, authorId: string, text: string): string {
  return createHash('sha256').update(JSON.stringify([videoId, authorId, text])).digest('base64')
}
