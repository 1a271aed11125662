import { createHash } from 'node:crypto'
import type { Row } from './copied-store.js'

/** A number of rows, or of what stands beside them, and a hash of all that is in them, as far as they have been added. */
export class Digest {
  count = 0
  readonly #hash = createHash('sha256')

  add(rows: readonly Row[]): void {
    for (const { id, prev, columns } of rows) {
      const named = Object.entries(columns).map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString('base64') : value])
      this.note(JSON.stringify([id, prev, named.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))]))
    }
  }

  /** @param text all of one */
  note(text: string): void {
    this.#hash.update(text)
    this.count++
  }

  /** Whether both have the same rows so far. */
  equals(other: Digest): boolean {
    return this.count === other.count && this.hash === other.hash
  }

  /** Of the rows so far; more may follow. */
  get hash(): string {
    return this.#hash.copy().digest('hex')
  }
}
