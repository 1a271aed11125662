import type { Clock } from '../clock.js'

/** How often debts are paid off: a client's share need be no more exact than this. */
const PAY_MS = 50

export interface SharesOptions {
  readonly clock: Clock
  /** What is paid off in all. */
  readonly bytesPerSecond: number
  /** What a client may owe before it has to wait. */
  readonly allowance: number
}

/** Divides a bandwidth among the clients that use it. What a client was sent is its debt, and all who have one pay it off
 * at the same rate (generalized processor sharing; Parekh and Gallager, 1993): one client alone has all of the bandwidth,
 * ten have a tenth each, and one that takes little is never in the way of its own next request. */
export class Shares {
  readonly #options: SharesOptions
  /** Client → what each must have paid, since the start, until it owes nothing. */
  readonly #marks = new Map<string, number>()
  /** What each client in debt has paid since the start, bytes. */
  #paid = 0
  #paidAt: number

  constructor(options: SharesOptions) {
    this.#options = options
    this.#paidAt = options.clock.now()
  }

  /** Clients in debt. */
  get size(): number {
    return this.#marks.size
  }

  /** @param bytes what it was sent, or will be; less than 0 for what was charged and not sent */
  charge(client: string, bytes: number): void {
    this.#pay()
    const mark = Math.max(this.#paid, this.#marks.get(client) ?? 0) + bytes
    if (mark > this.#paid) this.#marks.set(client, mark)
    else this.#marks.delete(client)
  }

  /** How long the client should wait now, ms; 0 where it need not. */
  waitMs(client: string): number {
    this.#pay()
    const mark = this.#marks.get(client)
    if (mark === undefined) return 0
    const excess = mark - this.#paid - this.#options.allowance
    return Math.max(0, (excess * this.#marks.size * 1_000) / this.#options.bytesPerSecond)
  }

  #pay(): void {
    const { clock, bytesPerSecond } = this.#options
    const now = clock.now()
    if (now - this.#paidAt < PAY_MS) return
    this.#paid += ((now - this.#paidAt) * bytesPerSecond) / 1_000 / Math.max(1, this.#marks.size)
    this.#paidAt = now
    for (const [client, mark] of this.#marks) if (mark <= this.#paid) this.#marks.delete(client)
  }
}
