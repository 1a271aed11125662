import { LiveError, type ErrorCode } from '../../protocol/errors.js'
import type { Clock } from '../clock.js'
import { Turns } from './turns.js'

export interface BudgetOptions {
  readonly clock: Clock
  /** What is under way at a time, at most. */
  readonly atOnce: number
  /** What may wait for its turn, at most. */
  readonly inLine: number
  /** How long it may wait, ms. */
  readonly waitMs: number
  /** What is beyond the budget is refused with this code. */
  readonly code: Extract<ErrorCode, 'OVERLOADED' | 'RATE_LIMITED'>
  /** What goes before all of it; it is waited for before each begins. */
  readonly first?: () => Promise<void>
  /** Called for each refusal. */
  readonly refused?: () => void
}

interface Waiting {
  readonly wanted: () => boolean
  readonly begin: () => void
  readonly refuse: (error: Error) => void
}

/** Bounds work of one kind: so much at once, the rest by turns of the clients, and beyond that a refusal at once, so that
 * other work on the same thread never waits behind more than is under way. */
export class Budget {
  readonly #options: BudgetOptions
  readonly #line = new Turns<Waiting>()
  #running = 0

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  /** Under way. */
  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#line.size
  }

  /** @param keys of the client, the widest network last
   * @param wanted whether anyone still waits for it, asked when its turn has come: where nobody does it is not begun
   * @throws LiveError where there is no room for it in line, or its turn did not come in time; what `work` throws */
  async run<T>(keys: readonly string[], work: () => Promise<T>, wanted: () => boolean = () => true): Promise<T> {
    if (this.#running >= this.#options.atOnce) await this.#turn(keys, wanted)
    else this.#running++
    try {
      if (this.#options.first) await this.#options.first()
      return await work()
    } finally {
      this.#ended()
    }
  }

  #turn(keys: readonly string[], wanted: () => boolean): Promise<void> {
    const { clock, inLine, waitMs } = this.#options
    if (this.#line.size >= inLine) {
      const displaced = this.#line.displace(keys)
      if (!displaced) return Promise.reject(this.#refusal())
      displaced.refuse(this.#refusal())
    }
    return new Promise((resolve, reject) => {
      const cancel = clock.after(waitMs, () => {
        this.#line.delete(waiting)
        reject(this.#refusal())
      })
      const waiting: Waiting = {
        wanted,
        begin() {
          cancel()
          resolve()
        },
        refuse(error) {
          cancel()
          reject(error)
        },
      }
      this.#line.add(waiting, keys)
    })
  }

  /** Its place goes to the next that anyone still waits for. */
  #ended(): void {
    for (let next = this.#line.next(); next; next = this.#line.next()) {
      if (next.wanted()) return next.begin()
      next.refuse(new LiveError(this.#options.code, 'nobody waits for it any more'))
    }
    this.#running--
  }

  #refusal(): LiveError {
    this.#options.refused?.()
    return new LiveError(this.#options.code, 'too many reads are waiting: try again in a moment', { headers: { 'retry-after': '1' } })
  }
}
