import type { Replay } from '../runtime/limits/replays.js'
import type { Counted } from '../runtime/limits/streams.js'

/** What a viewer of the public port is counted against: its stream until that ends, its replay until it is live. */
export class Charges {
  #counted: Counted | undefined
  #replay: Replay | undefined

  constructor(counted: Counted | undefined, replay: Replay | undefined) {
    this.#counted = counted
    this.#replay = replay
  }

  /** @param bytes of text @param ready it is live from now on */
  sent(bytes: number, ready: boolean): void {
    this.#replay?.sent(bytes)
    if (ready) this.#replayed()
  }

  /** The stream has ended, once or more often. */
  ended(): void {
    this.#replayed()
    const counted = this.#counted
    this.#counted = undefined
    counted?.ended()
  }

  #replayed(): void {
    const replay = this.#replay
    this.#replay = undefined
    replay?.ended()
  }
}
