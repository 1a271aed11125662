import { connect } from './connection.js'
import type { Delivery } from './delivery.js'
import { Failure, Refusal, type Requests } from './requests.js'
import { here, isHidden, isOffline } from './surroundings.js'
import { backOff, rest } from './waiting.js'

/** How the stream is. */
export type State =
  | { readonly is: 'connecting' }
  /** What was missed is on its way. */
  | { readonly is: 'catching up' }
  | { readonly is: 'live' }
  /** @param againMs when it is tried again */
  | { readonly is: 'lost'; readonly error: Error; readonly againMs: number }
  /** As `lost`, and the machine says that it has no network. */
  | { readonly is: 'offline'; readonly error: Error; readonly againMs: number }
  /** Nobody sees the page: it has no stream until somebody does. */
  | { readonly is: 'hidden' }
  /** The server will not have it: nothing is tried before `retry()`. */
  | { readonly is: 'refused'; readonly error: Refusal }
  | { readonly is: 'closed' }

export interface StreamOptions {
  readonly requests: Requests
  /** Of the video. */
  readonly url: string
  /** How many of the newest comments a stream without a cursor begins with. */
  readonly recent: number
  readonly delivery: Delivery
  state(state: State): void
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
    here.document?.addEventListener?.('visibilitychange', turn)
    for (const name of ['online', 'offline']) here.addEventListener?.(name, turn)
    signal.addEventListener('abort', () => {
      here.document?.removeEventListener?.('visibilitychange', turn)
      for (const name of ['online', 'offline']) here.removeEventListener?.(name, turn)
      turn()
    })
    void this.#run()
  }

  /** Ends the connection, or the pause: what comes next is decided anew. */
  wake(): void {
    this.#failures = 0
    this.#now.abort()
  }

  ready(): void {
    this.#failures = 0
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
      await rest('againMs' in after ? after.againMs : Infinity, now)
    }
  }

  /** @returns the state after it; undefined: to be decided anew */
  async #connect(now: AbortSignal): Promise<State | undefined> {
    const { requests, url, recent, delivery, state } = this.#options
    if (isHidden()) return { is: 'hidden' }
    state({ is: 'connecting' })
    let error = new Failure('the server ended the stream')
    try {
      const { cursor } = delivery
      const retryMs = await connect(requests, url, cursor === undefined ? `?recent=${recent}` : `?lastEventId=${cursor}`, { opened: () => state({ is: 'catching up' }), take: event => delivery.take(event) }, now)
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
