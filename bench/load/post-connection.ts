import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import { parseAnswer } from './answer.js'
import { receivingSocket } from './receiving-socket.js'

/** A kept-alive connection with one request at a time on it. Half the cost of a general client: posts are to be
 * sent on time while the servers have the cores. */
export class PostConnection {
  readonly #socket: Socket
  readonly #closed: (orderly: boolean) => void
  /** Of an answer that is not whole yet. */
  #received: Buffer | undefined
  #answered: ((status: number) => void) | undefined
  #isClosed = false

  /** @param closed the connection takes no more requests. `orderly`: the server said so with its last answer, which follows this
   * call; otherwise the connection broke, and a request that is under way is answered next, with status 0 */
  constructor(target: Parameters<typeof receivingSocket>[0], closed: (orderly: boolean) => void) {
    this.#closed = closed
    this.#socket = receivingSocket(target, bytes => this.#receive(bytes))
    this.#socket.on('error', () => {})
    this.#socket.once('close', () => {
      this.#close(false)
      this.#answer(0)
    })
  }

  /** @param request whole, as Latin-1 or ASCII. @param answered its status; 0: the connection broke */
  send(request: string | Buffer, answered: (status: number) => void): void {
    this.#answered = answered
    this.#socket.write(request)
  }

  close(): void {
    this.#socket.destroy()
  }

  /** @param bytes belong to the caller again when this returns */
  #receive(bytes: Buffer): void {
    const all = this.#received ? Buffer.concat([this.#received, bytes]) : bytes
    const answer = parseAnswer(all)
    if (!answer) {
      this.#received = Buffer.from(all)
      return
    }
    this.#received = undefined
    if (answer.closes) {
      this.#socket.destroy()
      this.#close(true)
    }
    this.#answer(answer.status)
  }

  #close(orderly: boolean): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closed(orderly)
  }

  #answer(status: number): void {
    const answered = this.#answered
    this.#answered = undefined
    answered?.(status)
  }
}
