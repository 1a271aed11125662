import { LiveError } from '../protocol/errors.js'
import type { Cursor } from '../protocol/id.js'
import { CLOSE_CODES, closeText, errorMessage, HEARTBEAT_MESSAGE, MessageError, parsePostMessage, refusalOf, type CloseReason } from '../protocol/message.js'
import { retryMs } from '../protocol/sse.js'
import type { Encoded } from '../runtime/fan-out/encoded.js'
import { Answers } from '../runtime/http/answers.js'
import type { SocketEvents, TextSocket } from '../runtime/http/socket.js'
import type { Charges } from './charges.js'
import type { Edge } from './edge.js'
import type { Ending, Outlet, Start, Viewer } from './viewer.js'

const CLOSES: Readonly<Record<Exclude<Ending, 'slow'>, CloseReason>> = { drain: 'stopping', full: 'full', expired: 'expired' }

/** A viewer's WebSocket. */
export class SocketConnection implements Outlet, SocketEvents {
  readonly encoding = 'messages'
  readonly #edge: Edge
  readonly #socket: TextSocket
  readonly #answers: Answers
  #charges: Charges | undefined
  #viewer: Viewer | undefined
  #isClosed = false

  constructor(edge: Edge, socket: TextSocket) {
    this.#edge = edge
    this.#socket = socket
    this.#answers = new Answers(socket)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Has its viewer join. @param later its client was sent more than its share, and has to come back */
  watch(videoId: string, start: Start, { charges, later }: { readonly charges: Charges; readonly later: boolean }): void {
    this.#charges = charges
    if (later) this.end('full')
    else this.#viewer = this.#edge.join(videoId, start, this)
  }

  /** @throws what is no LiveError: a bug */
  refuse(error: unknown): void {
    if (!(error instanceof LiveError)) throw error
    this.#close(refusalOf(error))
  }

  /** Events and `ready` are a message each: what others are written too cannot be joined with what is not theirs. */
  write({ bytes }: Encoded, _from?: Cursor, _to?: Cursor, ready?: Encoded): boolean {
    this.#charges?.sent(bytes.length, ready !== undefined)
    const taken = bytes.length === 0 || this.#socket.write(bytes)
    return ready ? this.#socket.write(ready.bytes) : taken
  }

  heartbeat(): boolean {
    return this.#socket.write(HEARTBEAT_MESSAGE)
  }

  end(reason: Ending): void {
    // One that takes nothing would not take a farewell.
    if (reason === 'slow') this.#socket.close()
    else this.#close(CLOSES[reason], retryMs())
    this.#charges?.ended()
  }

  message(bytes: Buffer): void {
    this.#answers.write(answerTo(bytes), { refuses: true })
  }

  pinged(): void {
    this.#answers.wasted()
  }

  drained(): void {
    if (this.#socket.unsentBytes > 0) this.#viewer?.progressed()
    // Outside the library's callback: what was missed may be much.
    else setImmediate(() => this.#viewer && this.#edge.drained(this.#viewer))
  }

  closed(): void {
    this.#isClosed = true
    if (this.#viewer) this.#edge.leave(this.#viewer)
    this.#charges?.ended()
  }

  #close(reason: CloseReason, retryMs?: number): void {
    this.#socket.end(CLOSE_CODES[reason], closeText(reason, retryMs))
  }
}

/** A refusal, whatever it is. */
function answerTo(bytes: Buffer): string {
  try {
    const { ref } = parsePostMessage(bytes.toString())
    return errorMessage(ref, new LiveError('NOT_FOUND', 'an edge takes no posts: ask a gateway'))
  } catch (error) {
    if (error instanceof MessageError) return errorMessage(error.ref, error.cause)
    throw error
  }
}
