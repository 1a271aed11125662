import { createHash } from 'node:crypto'
import type { Row } from './copied-store.js'

/** The number of rows and a hash of all that is in them, as far as they have been added. */
export class Digest {
  count = 0
  readonly #hash = createHash('sha256')

  add(rows: readonly Row[]): void {
    for (const { id, prev, columns } of rows) {
      const named = Object.entries(columns).map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString('base64') : value])
      this.#hash.update(JSON.stringify([id, prev, named.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))]))
      this.count++
    }
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
