import { Buffer } from 'node:buffer'
import type { WebSocket, WebSocketBehavior } from 'uWebSockets.js'

/** One open WebSocket (RFC 6455) of binary messages. */
export interface Socket {
  /** Bytes that the operating system has not taken yet. */
  readonly unsentBytes: number
  /** @returns false if the message is lost, because more is unsent than may be */
  send(message: Uint8Array): boolean
  close(): void
}

export interface SocketEvents {
  /** @param bytes only until this returns */
  message(bytes: Buffer): void
  /** Some of what was unsent has been sent. */
  drained(): void
  /** Called once, whoever closed it. */
  closed(): void
}

export interface SocketLimits {
  /** Of a message that comes. */
  readonly maxMessageBytes: number
  readonly maxUnsentBytes: number
  /** Without a message for this long it is closed: 8 to 960, s. */
  readonly idleSeconds: number
}

export type OpenSocket = (socket: Socket) => SocketEvents

/** Where sockets are mounted: an HttpServer, or a simulation's replacement. */
export interface SocketRouter {
  socket(pattern: string, limits: SocketLimits, open: OpenSocket): SocketRouter
}

/** What the library keeps with a socket. */
export interface Held {
  socket?: UwsSocket
  events?: SocketEvents
}

/** What the library calls. @param ended a socket has ended */
export function behaviourOf(limits: SocketLimits, open: OpenSocket, ended: () => void): WebSocketBehavior<Held> {
  return {
    maxPayloadLength: limits.maxMessageBytes,
    maxBackpressure: limits.maxUnsentBytes,
    idleTimeout: limits.idleSeconds,
    sendPingsAutomatically: false,
    open(ws) {
      const held = ws.getUserData()
      held.socket = new UwsSocket(ws)
      const events = open(held.socket)
      if (held.socket.isOver) events.closed() // it was closed before the library could tell
      else held.events = events
    },
    message(ws, message, isBinary) {
      if (!isBinary) return ws.close()
      ws.getUserData().events?.message(Buffer.from(message))
    },
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
class UwsSocket implements Socket {
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
    return sent !== 2
  }

  close(): void {
    this.#ws?.close()
  }

  over(): void {
    this.#ws = undefined
  }
}
