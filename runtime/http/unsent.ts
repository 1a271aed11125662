/** Limit on the bytes of all answers that are not fully sent yet. */
const MAX_BYTES = 64 * 1024 * 1024

/** Answers that slow readers have not taken yet. Beyond the limit the connection of the oldest one is closed: a client that
 * reads at all has long been done. */
export class Unsent {
  readonly #maxBytes: number
  /** Oldest first. */
  readonly #answers = new Map<object, { readonly bytes: number; readonly close: () => void }>()
  #bytes = 0

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @param answer the key to `delete` once the reader has taken the answer or left @param close must delete it too */
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
