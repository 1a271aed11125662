
const FIRST_MS = 1_000
/** However fast comments come, a screen reader is not given more to say than one line in this time. */
const PAUSE_MS = 10_000
const READ_OUT = 2
const LONGEST = 160

/** Tells a screen reader what is new: the comments themselves where they are few, else how many and the last. */
export class Crier {
  #last = []
  #count = 0
  #timer = 0
  #spokeAt = -Infinity
  #region

  constructor(region) {
    this.#region = region
  }

  heard(comment) {
    this.#count++
    this.#last = [...this.#last, comment].slice(-READ_OUT)
    this.#timer ||= setTimeout(() => this.#speak(), Math.max(FIRST_MS, this.#spokeAt + PAUSE_MS - performance.now()))
  }

  #speak() {
    const words = this.#last.map(({ authorId, content }) => `${authorId}: ${content.slice(0, LONGEST)}`)
    this.#region.textContent = this.#count <= READ_OUT ? words.join('. ') : `${this.#count} new comments. The last: ${words.at(-1)}`
    this.#count = this.#timer = 0
    this.#last = []
    this.#spokeAt = performance.now()
  }
}
