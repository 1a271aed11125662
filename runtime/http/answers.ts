import { Buffer } from 'node:buffer'
import type { TextSocket } from './socket.js'

/** What a client may leave unread of its answers, bytes. */
const MOST_UNREAD = 1 << 20
/** What a client may waste at once, and a second from then on: messages that are refused, and pings. */
const WASTED_AT_ONCE = 20
const WASTED_PER_SECOND = 5

/** Answers to what a client sends by its WebSocket. Nothing makes the client wait for one, so that it could send on without
 * reading any, or regardless of them: then it is cut off. A farewell would leave the connection to the client, and the library
 * would read on. */
export class Answers {
  readonly #socket: Pick<TextSocket, 'write' | 'unsentBytes' | 'close'>
  /** Of answers since the client last had all that was written, bytes. */
  #unread = 0
  #wasted = 0
  #wastedAt = 0

  constructor(socket: Pick<TextSocket, 'write' | 'unsentBytes' | 'close'>) {
    this.#socket = socket
  }

  /** @param now monotonic, ms */
  write(answer: string, { refuses, now = performance.now() }: { refuses: boolean; now?: number }): void {
    this.#socket.write(answer)
    this.#unread = this.#socket.unsentBytes === 0 ? 0 : this.#unread + Buffer.byteLength(answer)
    if (this.#unread > MOST_UNREAD) this.#socket.close()
    else if (refuses) this.wasted(now)
  }

  /** The client has pinged, which the library answers, or has sent what is not read any more. */
  wasted(now = performance.now()): void {
    this.#wasted = 1 + Math.max(0, this.#wasted - ((now - this.#wastedAt) * WASTED_PER_SECOND) / 1_000)
    this.#wastedAt = now
    if (this.#wasted > WASTED_AT_ONCE) this.#socket.close()
  }
}
