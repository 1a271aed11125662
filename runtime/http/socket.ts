import { Buffer } from 'node:buffer'
import type { WebSocket, WebSocketBehavior } from 'uWebSockets.js'
import { CLOSE_CODES, closeText } from '../../protocol/message.js'

/** What the library says of a message. */
const TAKEN = 1
const DROPPED = 2

/** One open WebSocket (RFC 6455) of binary messages. */
export interface Socket {
  /** Bytes that the operating system has not taken yet. */
  readonly unsentBytes: number
  /** @returns false if the message is lost, because more is unsent than may be */
  send(message: Uint8Array): boolean
  close(): void
}

/** One open WebSocket of text messages, which are shown and read by anyone. */
export interface TextSocket extends Pick<Socket, 'unsentBytes' | 'close'> {
  /** @param message in UTF-8 @returns false when it was the last that the socket takes for now: it is kept, and nothing more until
   * `drained` */
  write(message: string | Uint8Array): boolean
  /** Closes it with a code and a text, once all that was written has been sent. */
  end(code: number, text: string): void
}

export interface SocketEvents {
  /** @param bytes only until this returns */
  message(bytes: Buffer): void
  /** The peer has pinged, and the library has answered. */
  pinged?(): void
  /** Some of what was unsent has been sent. */
  drained(): void
  /** Called once, whoever closed it. */
  closed(): void
}

export interface SocketLimits {
  /** Of a message that comes: a longer one is not read, and the connection ends without a word. */
  readonly maxMessageBytes: number
  readonly maxUnsentBytes: number
  /** Without a message for this long it is closed: 8 to 960, s. */
  readonly idleSeconds: number
  /** Optional: the peer is pinged in time, so that only one that is gone is closed. */
  readonly pings?: boolean
}

export type OpenSocket = (socket: Socket) => SocketEvents
/** Of viewers. A client is pinged after half of the time, and closed where it has not answered by the end of it. Whoever writes
 * stops at the first write that is not taken, so that only one can be unsent, however large. A message of which a part has come is
 * kept until the rest comes or the connection ends: that is why the limit is low. */
export const VIEWER_SOCKETS: SocketLimits = { maxMessageBytes: 16_384, maxUnsentBytes: 64 << 20, idleSeconds: 32, pings: true }

/** Binary messages close a socket of text: 1003. */
export type OpenTextSocket = (socket: TextSocket) => SocketEvents
/** What a socket is opened with. */
export type Opening = { readonly binary: OpenSocket } | { readonly text: OpenTextSocket }

/** Where sockets are mounted: an HttpServer, or a simulation's replacement. */
export interface SocketRouter {
  socket(pattern: string, limits: SocketLimits, open: OpenSocket): SocketRouter
}

/** What the library keeps with a socket. */
export interface Held {
  readonly opening: Opening
  socket?: UwsSocket
  events?: SocketEvents
}

/** What the library calls. @param ended a socket has ended */
export function behaviourOf(limits: SocketLimits, ended: () => void): WebSocketBehavior<Held> {
  return {
    maxPayloadLength: limits.maxMessageBytes,
    maxBackpressure: limits.maxUnsentBytes,
    idleTimeout: limits.idleSeconds,
    sendPingsAutomatically: limits.pings === true,
    open(ws) {
      const held = ws.getUserData()
      const { opening } = held
      const socket = (held.socket = new UwsSocket(ws))
      const events = 'text' in opening ? opening.text(socket) : opening.binary(socket)
      if (socket.isOver) events.closed() // it was closed before the library could tell
      else held.events = events
    },
    message(ws, message, isBinary) {
      const { opening, events } = ws.getUserData()
      const isText = 'text' in opening
      if (isBinary !== isText) events?.message(Buffer.from(message))
      else if (isText) ws.end(CLOSE_CODES.binary, closeText('binary'))
      else ws.close()
    },
    ping: ws => ws.getUserData().events?.pinged?.(),
    drain: ws => ws.getUserData().events?.drained(),
    close(ws) {
      const { socket, events } = ws.getUserData()
      socket?.over()
      ended()
      events?.closed()
    },
  }
}

/** The library throws at any use of a socket that is closed. */
class UwsSocket implements Socket, TextSocket {
  #ws: WebSocket<Held> | undefined

  constructor(ws: WebSocket<Held>) {
    this.#ws = ws
  }

  get isOver(): boolean {
    return !this.#ws
  }

  get unsentBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0
  }

  send(message: Uint8Array): boolean {
    const ws = this.#ws
    if (!ws) return false
    let sent = 0
    ws.cork(() => {
      sent = ws.send(message, true)
    })
    return sent !== DROPPED
  }

  /** Without a cork: the library corks one message by itself, and a cork of ours would hide that it was not taken. */
  write(message: string | Uint8Array): boolean {
    const sent = this.#ws?.send(message, false)
    if (sent === DROPPED) this.close() // what follows would have a hole before it
    return sent === TAKEN
  }

  end(code: number, text: string): void {
    this.#ws?.end(code, text)
  }

  close(): void {
    this.#ws?.close()
  }

  over(): void {
    this.#ws = undefined
  }
}
