/** Bytes of answers that their readers have not taken yet, all together. */
const MAX_BYTES = 64 * 1024 * 1024

/** Answers that are on their way to slow readers. Beyond the limit the connection of the one that has been so for longest is
 * closed: who reads at all is not it. */
export class Unsent {
  readonly #maxBytes: number
  /** The longest under way first. */
  readonly #answers = new Map<object, { readonly bytes: number; readonly close: () => void }>()
  #bytes = 0

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @param answer what to `delete` once it has been taken, or its reader has left. @param close calls that */
  add(answer: object, bytes: number, close: () => void): void {
    this.#answers.set(answer, { bytes, close })
    this.#bytes += bytes
    while (this.#bytes > this.#maxBytes && this.#answers.size > 1) {
      const [oldest, { close }] = this.#answers.entries().next().value!
      this.delete(oldest)
      close()
    }
  }

  delete(answer: object): void {
    this.#bytes -= this.#answers.get(answer)?.bytes ?? 0
    this.#answers.delete(answer)
  }
}
