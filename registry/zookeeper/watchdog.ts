import type { Socket } from 'node:net'
import { ConnectionState, jute, type ConnectionManager } from './internals.js'

/** Least time a server is given to answer the handshake, ms. */
const minHandshakeMs = 500
/** The part of the session timeout that the first handshake after a loss is given; each one that fails doubles it. */
const firstHandshakeShare = 1 / 8

/** Watches the connection of one client until that client ends.
 *
 * Defect: the library has no read time-out and none for the handshake. A frozen server keeps it "connected" with its
 * calls pending, a peer that accepts and is silent holds it for ever though another server is well; and while it only
 * receives, it sends no pings, so the server expires the session. Repair: a connection silent for 2/3 of the session
 * timeout, or an overdue handshake, is destroyed, whereupon the library tries the next server; a ping goes out whenever
 * nothing was sent for 1/3. Patience with the handshake begins small: a server that is just starting loses some, and
 * waiting the whole timeout for one of those would cost the session; it grows, so that a slow server is not hounded. */
export function watchConnection(manager: ConnectionManager): void {
  const everyMs = Math.max(50, Math.min(500, manager.sessionTimeout / 20))
  let lastTick = performance.now()
  let seen = sight(undefined, lastTick)
  let handshakeMs = manager.sessionTimeout * firstHandshakeShare

  const tick = () => {
    const now = performance.now()
    const wasStopped = now - lastTick > 3 * everyMs
    lastTick = now
    const { socket, sessionTimeout } = manager
    if (!socket || socket.destroyed) return
    // Where this process was stopped, the silence was ours: what the kernel holds for us is read first.
    if (socket !== seen.socket || wasStopped) seen = sight(socket, now)
    if (socket.bytesRead !== seen.bytesRead) Object.assign(seen, { bytesRead: socket.bytesRead, heardAt: now })
    if (socket.bytesWritten !== seen.bytesWritten) Object.assign(seen, { bytesWritten: socket.bytesWritten, wroteAt: now })

    if (manager.state === ConnectionState.connecting) {
      if (now - seen.since < Math.max(minHandshakeMs, handshakeMs)) return
      handshakeMs = Math.min(2 * handshakeMs, Math.max(handshakeMs, manager.connectTimeout))
      socket.destroy()
    } else if (manager.state === ConnectionState.connected) {
      handshakeMs = sessionTimeout * firstHandshakeShare
      if (now - seen.heardAt > (sessionTimeout * 2) / 3) socket.destroy()
      else if (now - seen.wroteAt >= sessionTimeout / 3) ping(manager)
    }
  }

  const timer = setInterval(tick, everyMs).unref()
  manager.on('state', state => {
    const ended: readonly number[] = [
      ConnectionState.closed,
      ConnectionState.sessionExpired,
      ConnectionState.authenticationFailed,
    ]
    if (ended.includes(state)) clearInterval(timer)
  })
}

interface Sight {
  readonly socket: Socket | undefined
  readonly since: number
  bytesRead: number
  bytesWritten: number
  heardAt: number
  wroteAt: number
}

function sight(socket: Socket | undefined, now: number): Sight {
  return {
    socket,
    since: now,
    bytesRead: socket?.bytesRead ?? 0,
    bytesWritten: socket?.bytesWritten ?? 0,
    heardAt: now,
    wroteAt: now,
  }
}

function ping(manager: ConnectionManager): void {
  const header = new jute.protocol.RequestHeader(jute.XID_PING, jute.OP_CODES.PING)
  manager.queue(new jute.Request(header, null))
}
