import { STALE_MS } from '../protocol/limits.js'
import type { MemberNode } from '../protocol/nodes.js'
import type { Clock } from '../runtime/clock.js'
import type { Ping } from '../runtime/peers/failover.js'

/** An edge that has nothing to sync asks for a sign of life after this time. */
const QUIET_MS = 1_000

export interface FreshnessDeps {
  readonly clock: Clock
  readonly dispatchers: () => Iterable<MemberNode>
  readonly ping: Ping
  /** It has become stale, or no longer is. */
  readonly changed: (stale: boolean) => void
}

/** How old what this edge knows may be: for how long no dispatcher has answered it. */
export class Freshness {
  readonly #deps: FreshnessDeps
  #answeredAt: number
  #pinging = false
  #stale = false

  constructor(deps: FreshnessDeps) {
    this.#deps = deps
    this.#answeredAt = deps.clock.now()
  }

  /** Ms since a dispatcher last answered. */
  get ageMs(): number {
    return this.#deps.clock.now() - this.#answeredAt
  }

  get stale(): boolean {
    return this.#stale
  }

  /** A dispatcher has answered a sync, a replay or a ping. */
  answered(): void {
    this.#answeredAt = this.#deps.clock.now()
    this.#judge()
  }

  /** Several times a second. */
  tick(): void {
    this.#judge()
    if (this.ageMs >= QUIET_MS && !this.#pinging) void this.#ping()
  }

  /** All at once: any answer will do. */
  async #ping(): Promise<void> {
    const { dispatchers, ping } = this.#deps
    this.#pinging = true
    await Promise.all(Array.from(dispatchers(), async dispatcher => {
      if ((await ping(dispatcher, QUIET_MS)) === undefined) this.answered()
    }))
    this.#deps.clock.after(QUIET_MS / 4, () => (this.#pinging = false))
  }

  #judge(): void {
    const stale = this.ageMs >= STALE_MS
    if (stale === this.#stale) return
    this.#stale = stale
    this.#deps.changed(stale)
  }
}
