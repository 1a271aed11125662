import { LiveError } from '../protocol/errors.js'
import { CLOSE_CODES, closeText, HEARTBEAT_MESSAGE, refusalOf, type CloseReason } from '../protocol/message.js'
import type { Encoded } from '../runtime/fan-out/encoded.js'
import { Answers } from '../runtime/http/answers.js'
import type { SocketEvents, TextSocket } from '../runtime/http/socket.js'
import type { Counted } from '../runtime/limits/streams.js'
import type { Sessions } from './sessions.js'
import type { Ending, Sink, Stay, Viewing } from './sink.js'
import type { SocketPoster, SocketPosts } from './socket-posts.js'
import type { StreamRequests } from './viewer.js'

const CLOSES: Readonly<Record<Exclude<Ending, 'left' | 'answered'>, CloseReason>> = { stopping: 'stopping', no_capacity: 'full', join_rate: 'full', expired: 'expired', slow: 'slow' }

/** A viewer's WebSocket, by which it may also post. */
export class OpenSocket implements Sink, SocketEvents {
  readonly encoding = 'messages'
  readonly #socket: TextSocket
  readonly #answers: Answers
  readonly #posts: SocketPosts
  readonly #poster: SocketPoster
  #stay: Stay | undefined
  #counted: Counted | undefined
  #isClosed = false
  /** Posts that are not answered yet. */
  #inFlight = 0
  /** Ends the connection once they are. */
  #end: (() => void) | undefined

  constructor(socket: TextSocket, posts: SocketPosts, poster: SocketPoster) {
    this.#socket = socket
    this.#answers = new Answers(socket)
    this.#posts = posts
    this.#poster = poster
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Has its viewer placed. */
  watch(sessions: Sessions, requests: StreamRequests, viewing: Viewing): void {
    this.#counted = viewing.counted
    this.#stay = sessions.open(requests, this, viewing)
  }

  /** Turns its viewer away: browsers do not show why an upgrade was refused. @param retryMs when it may come back */
  turnAway(reason: CloseReason, retryMs?: number): void {
    this.#end = () => this.#socket.end(CLOSE_CODES[reason], closeText(reason, retryMs))
    if (this.#inFlight === 0) this.#end()
  }

  /** @throws what is no LiveError: a bug */
  refuse(error: unknown): void {
    if (!(error instanceof LiveError)) throw error
    this.turnAway(refusalOf(error))
  }

  write({ bytes }: Encoded): boolean {
    return this.#socket.write(bytes)
  }

  heartbeat(): boolean {
    return this.#socket.write(HEARTBEAT_MESSAGE)
  }

  end(why: Exclude<Ending, 'left' | 'answered'>, retryMs: number): void {
    this.turnAway(CLOSES[why], retryMs)
  }

  close(): void {
    this.#socket.close()
  }

  over(): void {
    this.#counted?.ended()
  }

  /** One whose end is under way is answered nothing more, or its client could put the end off. */
  message(bytes: Buffer): void {
    if (this.#end) this.#answers.wasted()
    else void this.#answer(bytes)
  }

  pinged(): void {
    this.#answers.wasted()
  }

  drained(): void {
    if (this.#socket.unsentBytes > 0) this.#stay?.progressed()
    // Outside the library's callback: what was missed may be much.
    else setImmediate(() => this.#stay?.drained())
  }

  closed(): void {
    this.#isClosed = true
    this.#stay?.left()
  }

  async #answer(bytes: Buffer): Promise<void> {
    const { message, refuses } = await this.#posts.answer(bytes, this.#poster, this.#inFlight++)
    this.#answers.write(message, { refuses })
    if (--this.#inFlight === 0) this.#end?.()
  }
}
