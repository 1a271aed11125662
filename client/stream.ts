import { connect } from './connection.js'
import type { Delivery } from './delivery.js'
import type { State } from './events.js'
import { Failure, Refusal, type Requests } from './requests.js'
import { here, isHidden, isOffline } from './surroundings.js'
import { backOff, FOREVER_MS, rest } from './waiting.js'

export interface StreamOptions {
  readonly requests: Requests
  /** Of the video, or of several. */
  readonly url: string
  /** Where the next connection begins. */
  readonly query: () => string
  readonly delivery: Pick<Delivery, 'take' | 'lost' | 'settled'>
  readonly state: (state: State) => void
  readonly signal: AbortSignal
}

/** Keeps a stream open as long as somebody looks, each connection going on where the last one ended. */
export class Stream {
  /** Of the connection, or of the pause after it. */
  #now = new AbortController()
  #failures = 0
  readonly #options: StreamOptions

  constructor(options: StreamOptions) {
    this.#options = options
    const { signal } = options
    const turn = () => this.wake()
    const listen = (how: 'addEventListener' | 'removeEventListener') => {
      here.document?.[how]?.('visibilitychange', turn)
      here[how]?.('online', turn)
      here[how]?.('offline', turn)
    }
    listen('addEventListener')
    signal.addEventListener('abort', () => {
      listen('removeEventListener')
      turn()
    })
    void this.#run()
  }

  /** Ends the connection, or the pause: what comes next is decided anew. */
  wake(): void {
    this.#failures = 0
    this.#now.abort()
  }

  async #run(): Promise<void> {
    const { delivery, state, signal } = this.#options
    while (!signal.aborted) {
      const { signal: now } = (this.#now = new AbortController())
      const after = await this.#connect(now)
      delivery.lost()
      await delivery.settled
      if (now.aborted || !after) continue
      state(after)
      await rest('againMs' in after ? after.againMs : FOREVER_MS, now)
    }
  }

  /** @returns the state after it; undefined: to be decided anew */
  async #connect(now: AbortSignal): Promise<State | undefined> {
    const { requests, url, query, delivery, state } = this.#options
    if (isHidden()) return { is: 'hidden' }
    state({ is: 'connecting' })
    let error = new Failure('the server ended the stream')
    try {
      const retryMs = await connect(requests, url, `?${query()}`, () => state({ is: 'catching up' }), event => {
        delivery.take(event)
        if (event.name === 'ready') this.#failures = 0
      }, now)
      // Random for each viewer. The first comes in time, and a server that goes on ending streams is given more.
      if (retryMs) error = new Failure(error.message, retryMs * 2 ** Math.min(this.#failures++, 4))
    } catch (thrown) {
      if (now.aborted) return undefined
      if (thrown instanceof Refusal) return { is: 'refused', error: thrown }
      error = thrown as Failure
    }
    return { is: isOffline() ? 'offline' : 'lost', error, againMs: error.afterMs ?? backOff(this.#failures++) }
  }
}
