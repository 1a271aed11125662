import { Buffer } from 'node:buffer'
import type { OpenSocket, Socket, SocketLimits } from '../../runtime/http/socket.js'
import type { Channel } from './channel.js'
import type { Process } from './process.js'

/** Messages on a channel of bytes, each after its length: a WebSocket's framing, in short. */
export class Messages {
  #rest = Buffer.alloc(0)
  readonly #take: (message: Buffer) => void

  constructor(take: (message: Buffer) => void) {
    this.#take = take
  }

  static framed(message: Uint8Array): Buffer {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(message.length)
    return Buffer.concat([length, message])
  }

  push(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 4) {
      const end = 4 + this.#rest.readUInt32BE(0)
      if (this.#rest.length < end) return
      const message = Buffer.from(this.#rest.subarray(4, end))
      this.#rest = this.#rest.subarray(end)
      this.#take(message)
    }
  }
}

/** A server's end of a WebSocket whose messages leave by `out`. A server that is not read keeps what it sends up to its limit, and
 * then drops messages; one that hears nothing for its idle time closes. */
export function socketOver(out: Channel, { limits, open }: { readonly limits: SocketLimits; readonly open: OpenSocket }, process: Process): { data(chunk: Buffer): void; close(): void; onClosed: () => void } {
  let isOpen = true
  let heardAt = process.clock.now()
  const over = () => {
    if (!isOpen) return
    isOpen = false
    end.onClosed()
    events.closed()
  }
  const socket: Socket = {
    get unsentBytes() {
      return isOpen ? out.heldBytes : 0
    },
    send(message) {
      if (!isOpen) return false
      if (out.heldBytes > limits.maxUnsentBytes) return false
      out.write(Messages.framed(message))
      return true
    },
    close: over,
  }
  const events = open(socket)
  const messages = new Messages(message => {
    if (isOpen) events.message(message)
  })
  out.sendsByItself = true
  out.onWritable = () => {
    if (isOpen) events.drained()
  }
  out.onAborted = over
  const watch = (): void => {
    if (!isOpen) return
    if (process.clock.now() - heardAt >= limits.idleSeconds * 1_000) return over()
    process.clock.after(1_000, watch)
  }
  process.clock.after(1_000, watch)
  const end = {
    data(chunk: Buffer) {
      heardAt = process.clock.now()
      messages.push(chunk)
    },
    close: over,
    onClosed: () => {},
  }
  return end
}
