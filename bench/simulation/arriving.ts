import type { Arrival } from '../../gateway/admission.js'

/** One client for all: nobody takes turns. */
export const ANYONE = ['']

export interface ArrivingOptions<Gateway> {
  readonly viewer: number
  readonly gateway: Gateway
  /** It has been on an edge already. */
  readonly admitted: boolean
  /** @returns whether it was sent to an edge */
  readonly place: (arriving: Arriving<Gateway>) => boolean
  readonly turnAway: (viewer: number) => void
}

/** A viewer in its gateway's line. */
export class Arriving<Gateway> implements Arrival {
  readonly client = ANYONE
  readonly viewer: number
  readonly gateway: Gateway
  readonly #options: ArrivingOptions<Gateway>
  #admitted: boolean
  /** Edge that said `full` → until when it is not asked again. */
  #full: Map<string, number> | undefined

  constructor(options: ArrivingOptions<Gateway>) {
    this.#options = options
    this.viewer = options.viewer
    this.gateway = options.gateway
    this.#admitted = options.admitted
  }

  get admitted(): boolean {
    return this.#admitted
  }

  avoids(edgeId: string, now: number): boolean {
    return (this.#full?.get(edgeId) ?? -Infinity) > now
  }

  refusedBy(edgeId: string, until: number): void {
    this.#admitted = true
    this.#full ??= new Map()
    this.#full.set(edgeId, until)
  }

  place(): boolean {
    return this.#options.place(this)
  }

  turnAway(): void {
    this.#options.turnAway(this.viewer)
  }
}
