import type { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import { connect as connectSecure } from 'node:tls'

const HEAD_END = '\r\n\r\n'

/** A kept-alive connection with one request at a time on it. Half the cost of a general client: posts are to be
 * sent on time while the servers have the cores. */
export class PostConnection {
  readonly #socket: Socket
  #received = ''
  #answered: ((status: number) => void) | undefined

  /** @param closed the connection is gone, and takes no more requests; one under way is answered next, with status 0 */
  constructor({ host, port, secure = false }: { readonly host: string; readonly port: number; readonly secure?: boolean }, closed: () => void) {
    this.#socket = secure ? connectSecure({ host, port, rejectUnauthorized: false }).setNoDelay() : connect({ host, port, noDelay: true })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text: string) => this.#receive(text))
    this.#socket.on('error', () => {})
    this.#socket.once('close', () => {
      closed()
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

  #receive(text: string): void {
    this.#received += text
    const end = this.#received.indexOf(HEAD_END)
    if (end < 0) return
    const head = this.#received.slice(0, end)
    const status = Number(head.slice(9, 12))
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (length === undefined ? status !== 204 && !this.#received.endsWith('0\r\n\r\n') : this.#received.length < end + HEAD_END.length + Number(length)) return
    this.#received = ''
    this.#answer(status)
  }

  #answer(status: number): void {
    const answered = this.#answered
    this.#answered = undefined
    answered?.(status)
  }
}
