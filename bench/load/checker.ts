import type { SeenComment } from './block-reader.js'

/** What was wrong with what viewers got. */
export interface Faults {
  missing: number
  doubled: number
  /** Came after one that belongs behind it: by its id, or by the order in which others got it. */
  misplaced: number
  /** Events that could not be read. */
  malformed: number
  /** Viewers whose stream ended. */
  lost: number
  /** Viewers that were not checked event by event and whose count was not what it should be. */
  wrongCount: number
}

export const noFaults = (): Faults => ({ missing: 0, doubled: 0, misplaced: 0, malformed: 0, lost: 0, wrongCount: 0 })

export function addFaults(to: Faults, more: Faults): void {
  for (const name of Object.keys(to) as (keyof Faults)[]) to[name] += more[name]
}

export function isFaultless(faults: Faults): boolean {
  return Object.values(faults).every(count => count === 0)
}

/** Follows one viewer: each comment of its video once, none missing, in the order that everyone gets. */
export class Checker {
  #seen = new Uint8Array(1024)
  #lastId = -1
  /** Of the numbers in the order they came: equal for viewers that got the same. */
  order = 0
  count = 0
  doubled = 0
  misplaced = 0

  take({ number, id }: SeenComment): void {
    if (number >= this.#seen.length) this.#grow(number)
    if (this.#seen[number]) {
      this.doubled++
      return
    }
    this.#seen[number] = 1
    this.count++
    this.order = (Math.imul(this.order, 31) + number + 1) | 0
    if (id === undefined) return
    if (id <= this.#lastId) this.misplaced++
    else this.#lastId = id
  }

  /** @param accepted 1 for each post that the system said it took, by its number
   * @param belongs whether the post went to this viewer's video */
  missing(accepted: Uint8Array, belongs: (number: number) => boolean): number {
    let missing = 0
    for (let number = 0; number < accepted.length; number++) {
      if (accepted[number] && belongs(number) && !this.#seen[number]) missing++
    }
    return missing
  }

  #grow(number: number): void {
    const grown = new Uint8Array(Math.max(number + 1, this.#seen.length * 2))
    grown.set(this.#seen)
    this.#seen = grown
  }
}
