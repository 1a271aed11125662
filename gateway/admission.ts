import type { Clock } from '../runtime/clock.js'
import { Turns } from '../runtime/limits/turns.js'

/** Placing takes this long of a turn at most, so that an edge's 10,000 viewers do not stop the process when it dies. */
const SLICE_MS = 5
/** What may come at once after a quiet time, in time of the rate. */
const BURST_MS = 250
/** A line longer than is placed in this time takes nobody more: who waits on a page for longer had better come back. */
const LINE_MS = 4_000
/** While there is a line, it moves this often. */
const MOVE_MS = 20

/** A viewer that is to be placed on an edge. */
export interface Arrival {
  /** It has been on an edge already. */
  readonly admitted: boolean
  /** The keys that its client is counted by, the widest network last. */
  readonly client: readonly string[]
  /** @returns whether it was sent to an edge */
  place(): boolean
  /** It has to come back later: its place in line is another client's. */
  turnAway(): void
}

export interface AdmissionOptions {
  readonly clock: Clock
  /** Newcomers a second that are sent to an edge: a token bucket's rate. */
  readonly rate: number
  /** Whether a client, by the key of its widest network, has to wait for a reason of its own. */
  readonly waits?: (key: string) => boolean
}

/** Who is placed next, and when. A storm of newcomers is placed at a bounded rate, by turns of the clients and each client's
 * in the order they came; those whose edge died never wait behind them, but count: newcomers have what rate they leave. A
 * token is taken when a viewer is sent to an edge, not when it is tried, so that a crowd that waited for the first edge does
 * not come to it at once. */
export class Admission {
  readonly #clock: Clock
  readonly #rate: number
  readonly #first = new Set<Arrival>()
  readonly #line = new Turns<Arrival>()
  readonly #waits: (key: string) => boolean
  #tokens: number
  #filledAt: number
  /** Until when this turn of the process may be used for placing; undefined: it has not been. */
  #until: number | undefined
  #placing = false
  /** Those in line wait for a token, or for a reason of their own. */
  #stuck = false
  #cancelMove: (() => void) | undefined

  constructor({ clock, rate, waits = () => false }: AdmissionOptions) {
    this.#clock = clock
    this.#rate = rate
    this.#waits = waits
    this.#tokens = this.#burst
    this.#filledAt = clock.now()
  }

  /** Newcomers in line. */
  get waiting(): number {
    return this.#line.size
  }

  /** Whether the line takes so many more of this client. A full one does where another client has more in it: that one's longest
   * waiting is turned away. An empty one takes any. */
  hasRoom(client: readonly string[], count = 1): boolean {
    const most = Math.ceil(Math.max(1, (this.#rate * LINE_MS) / 1_000))
    while (this.#line.size > 0 && this.#line.size + count > most) {
      const displaced = this.#line.displace(client)
      if (!displaced) return false
      displaced.turnAway()
    }
    return true
  }

  /** Places it, at once where it can be. One that is in line keeps its place. */
  add(arrival: Arrival): void {
    if (arrival.admitted) this.#first.add(arrival)
    else this.#line.add(arrival, arrival.client)
    if (this.#placing) return
    // When this turn's time is up, it waits for the next at once: each look at who is first goes by all who were before him.
    if (this.#until !== undefined && this.#turnIsOver) this.#stuck = false
    else this.#place()
  }

  delete(arrival: Arrival): void {
    this.#first.delete(arrival)
    this.#line.delete(arrival)
  }

  close(): void {
    this.#first.clear()
    this.#line.clear()
    this.#cancelMove?.()
  }

  get #burst(): number {
    return Math.max(1, (this.#rate * BURST_MS) / 1_000)
  }

  #place(): void {
    if (this.#until === undefined) {
      this.#until = this.#clock.now() + SLICE_MS
      this.#clock.soon(this.#nextTurn)
    }
    this.#placing = true
    this.#fill()
    for (const arrival of this.#first) {
      if (this.#turnIsOver) break
      this.#first.delete(arrival)
      this.#placeOne(arrival)
    }
    this.#stuck = this.#first.size === 0 && this.#placeLine()
    this.#placing = false
    if (this.#stuck) this.#cancelMove ??= this.#clock.after(Math.max(MOVE_MS, ((1 - this.#tokens) * 1_000) / this.#rate), this.#move)
  }

  /** @returns whether those who are left in line wait for a token, or for a reason of their own */
  #placeLine(): boolean {
    while (this.#line.size > 0 && !this.#turnIsOver) {
      const arrival = this.#tokens < 1 ? undefined : this.#line.next(this.#waits)
      if (!arrival) return true
      this.#placeOne(arrival)
    }
    return this.#line.size > 0 && this.#tokens < 1
  }

  readonly #nextTurn = (): void => {
    this.#until = undefined
    if (this.#first.size > 0 || (this.#line.size > 0 && !this.#stuck)) this.#place()
  }

  readonly #move = (): void => {
    this.#cancelMove = undefined
    this.#place()
  }

  get #turnIsOver(): boolean {
    return this.#clock.now() >= this.#until!
  }

  #placeOne(arrival: Arrival): void {
    if (arrival.place()) this.#tokens = Math.max(0, this.#tokens - 1)
  }

  #fill(): void {
    const now = this.#clock.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAt) * this.#rate) / 1_000)
    this.#filledAt = now
  }
}
