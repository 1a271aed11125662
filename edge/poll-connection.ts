import { LiveError } from '../protocol/errors.js'
import type { Cursor } from '../protocol/id.js'
import type { Encoded } from '../runtime/fan-out/encoded.js'
import type { Exchange } from '../runtime/http/exchange.js'
import { PollAnswer } from '../runtime/http/poll.js'
import type { Reply } from '../runtime/http/reply.js'
import type { Charges } from './charges.js'
import type { Edge } from './edge.js'
import type { Ending, Outlet, Start, Viewer } from './viewer.js'

const RETRY = { headers: { 'retry-after': '1' } }

/** Takes a viewer in until there is something after its cursor, for `waitMs` at most.
 * @returns the answer; undefined where the client has left
 * @throws LiveError NO_CAPACITY, UNAVAILABLE: it cannot be taken in now */
export function openPoll(edge: Edge, exchange: Exchange, videoId: string, start: Start, waitMs: number, charges: Charges): Promise<Reply | undefined> {
  return new Promise((resolve, reject) => {
    const poll = new PollConnection(edge, start.after, charges, resolve, reject)
    poll.join(videoId, start, waitMs)
    exchange.whenGone(() => poll.left())
  })
}

/** A viewer's long-poll: one write, and it is answered. */
class PollConnection implements Outlet {
  readonly encoding = 'messages'
  readonly #edge: Edge
  readonly #charges: Charges
  readonly #resolve: (reply: Reply | undefined) => void
  readonly #reject: (error: LiveError) => void
  readonly #answer = new PollAnswer()
  #cursor: Cursor | undefined
  #viewer: Viewer | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(edge: Edge, cursor: Cursor | undefined, charges: Charges, resolve: (reply: Reply | undefined) => void, reject: (error: LiveError) => void) {
    this.#edge = edge
    this.#cursor = cursor
    this.#charges = charges
    this.#resolve = resolve
    this.#reject = reject
  }

  join(videoId: string, start: Start, waitMs: number): void {
    this.#viewer = this.#edge.join(videoId, start, this)
    if (this.#viewer) this.#timer = setTimeout(() => this.#finish(), waitMs)
  }

  /** Answered in the next turn, since the room goes on with its viewer. What follows is for the next poll. */
  write({ bytes }: Encoded, _from: Cursor | undefined, to: Cursor | undefined, ready?: Encoded): boolean {
    this.#charges.sent(bytes.length, ready !== undefined)
    this.#cursor = to
    if (bytes.length > 0) this.#answer.take(bytes)
    if (ready) this.#answer.take(ready.bytes)
    if (this.#answer.isDue) setImmediate(() => this.#finish())
    return !this.#answer.isDue
  }

  /** There is no line to keep alive. */
  heartbeat(): boolean {
    return true
  }

  /** A client that is to go elsewhere, or to show another token, finds that out by its next poll. */
  end(reason: Ending): void {
    this.#over()
    if (this.#viewer) this.#reply(reason === 'drain')
    else if (reason === 'full') this.#reject(new LiveError('NO_CAPACITY', 'this edge has no room for another viewer', RETRY))
    else this.#reject(new LiveError('UNAVAILABLE', 'this edge is about to stop', RETRY))
  }

  left(): void {
    this.#leave()
    this.#resolve(undefined)
  }

  #finish(): void {
    this.#leave()
    this.#reply(false)
  }

  #leave(): void {
    if (this.#viewer) this.#edge.leave(this.#viewer)
    this.#over()
  }

  #over(): void {
    clearTimeout(this.#timer)
    this.#charges.ended()
  }

  #reply(close: boolean): void {
    if (this.#cursor !== undefined) this.#resolve(this.#answer.reply(this.#cursor, close))
    else this.#reject(new LiveError('UNAVAILABLE', 'no dispatcher can be reached', RETRY))
  }
}
