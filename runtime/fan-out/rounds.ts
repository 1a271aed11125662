import type { Clock } from '../clock.js'
import { Pace } from './pace.js'
import type { Job, Pacer } from './pacer.js'

/** Receivers visited between two looks at the clock: about a quarter of a millisecond of writes. */
export const LOOK_EVERY = 64

/** Receivers, and what is done with each. */
export interface Visits<Receiver> {
  /** Those whose turn is still to come. */
  readonly receivers: Iterator<Receiver>
  /** Writes what one receiver lacks. Called for many: it must not allocate. */
  visit(receiver: Receiver): void
}

/** One round of writes: what has gathered goes to every receiver. */
export interface Round<Receiver> extends Visits<Receiver> {
  /** All had their turn. */
  done(): void
}

/** The hottest loop there is. @param until monotonic ms: pause when this has passed @returns whether all had their turn */
export function visit<Receiver>(visits: Visits<Receiver>, clock: Clock, until: number): boolean {
  const { receivers } = visits
  for (let i = 1; ; i++) {
    const next = receivers.next()
    if (next.done) return true
    visits.visit(next.value)
    if (i % LOOK_EVERY === 0 && clock.now() >= until) return false
  }
}

export interface RoundsOptions<Receiver> {
  readonly clock: Clock
  readonly pacer: Pacer
  /** Takes what has gathered by the first turn. @returns undefined where there is nothing to write */
  begin(): Round<Receiver> | undefined
  /** Optional hook: a round is over. @param costMs time spent on it @param intervalMs from its start to that of the next */
  ended?(costMs: number, intervalMs: number): void
  /** Whether something has gathered since the round began. */
  more(): boolean
}

/** The fan-out of an edge's room and of a gateway's group: one round at a time, in slices between which the process does other
 * work, and as often as the pace allows. What comes during a round or before the next one waits for that one. */
export class Rounds<Receiver> {
  readonly #options: RoundsOptions<Receiver>
  readonly #pace = new Pace()
  /** A round is due or under way. */
  #busy = false
  #nextAt = 0

  constructor(options: RoundsOptions<Receiver>) {
    this.#options = options
  }

  /** Something has gathered. */
  schedule(): void {
    if (this.#busy) return
    this.#busy = true
    const { clock, pacer } = this.#options
    const wait = this.#nextAt - clock.now()
    if (wait <= 0) pacer.add(this.#job())
    else clock.after(wait, () => pacer.add(this.#job()))
  }

  #job(): Job {
    const { clock } = this.#options
    let round: Round<Receiver> | undefined
    let costMs = 0
    return until => {
      const start = clock.now()
      round ??= this.#options.begin()
      if (!round) {
        this.#busy = false
        return true
      }
      const done = visit(round, clock, until)
      costMs += clock.now() - start
      if (done) this.#end(round, costMs)
      return done
    }
  }

  #end(round: Round<Receiver>, costMs: number): void {
    const now = this.#options.clock.now()
    const intervalMs = this.#pace.interval(costMs, now)
    this.#busy = false
    this.#nextAt = now + intervalMs - Math.min(costMs, intervalMs)
    round.done()
    this.#options.ended?.(costMs, intervalMs)
    if (this.#options.more()) this.schedule()
  }
}
