import type { Socket } from 'node:net'
import { systemClock } from '../../runtime/clock.js'
import { ConnectionState, jute, type ConnectionManager } from './internals.js'
import { ConnectionError } from './loss.js'

/** A tick is this part of the session timeout, within the two limits. */
const TICK_SHARE = 1 / 20
const MIN_TICK_MS = 50
const MAX_TICK_MS = 500
/** A tick that comes later than this many ticks after the last one: this process was stopped. */
const STOPPED_TICKS = 3

/** The parts of the session timeout after which a silent connection is closed, and after which an idle one is pinged. */
const SILENT_SHARE = 2 / 3
const PING_SHARE = 1 / 3

/** Least time that a server has to answer the handshake. */
const MIN_HANDSHAKE_MS = 500
/** The part of the session timeout that the first handshake after a loss may take; each failed one doubles it. */
const FIRST_HANDSHAKE_SHARE = 1 / 8

/** Watches the connection of one client until that client ends.
 *
 * Defect: the library has no time limit for reads and none for the handshake. With a frozen server it stays "connected"
 * and its calls pend; a peer that accepts and then says nothing holds it for ever, though another server may be well. And
 * while it only receives, it sends no pings, so that the server expires the session. Repair: a connection that is silent
 * for 2/3 of the session timeout, and one whose handshake is overdue, is destroyed, and the library tries the next server;
 * when nothing was sent for 1/3, a ping is.
 *
 * A server that is just starting loses some handshakes. Waiting the whole timeout for one of those would cost the session,
 * so the first limit is short; it grows, so that a slow server is not cut off again and again. */
export function watchConnection(manager: ConnectionManager): void {
  const tickMs = Math.max(MIN_TICK_MS, Math.min(MAX_TICK_MS, manager.sessionTimeout * TICK_SHARE))
  let tickedAt = performance.now()
  let traffic = newTraffic(undefined, tickedAt)
  let handshakeMs = manager.sessionTimeout * FIRST_HANDSHAKE_SHARE

  const tick = () => {
    cancel = systemClock.tick(tickMs, tick)
    const now = performance.now()
    const wasStopped = now - tickedAt > STOPPED_TICKS * tickMs
    tickedAt = now
    const { socket, sessionTimeout } = manager
    if (!socket || socket.destroyed) return
    // If this process was stopped, the silence was ours: what waits in the kernel is read first.
    if (socket !== traffic.socket || wasStopped) traffic = newTraffic(socket, now)
    if (socket.bytesRead !== traffic.bytesRead) Object.assign(traffic, { bytesRead: socket.bytesRead, heardAt: now })
    if (socket.bytesWritten !== traffic.bytesWritten) Object.assign(traffic, { bytesWritten: socket.bytesWritten, wroteAt: now })

    if (manager.state === ConnectionState.connecting) {
      if (now - traffic.since < Math.max(MIN_HANDSHAKE_MS, handshakeMs)) return
      handshakeMs = Math.min(2 * handshakeMs, Math.max(handshakeMs, manager.connectTimeout))
      socket.destroy(new ConnectionError('NO_HANDSHAKE'))
    } else if (manager.state === ConnectionState.connected) {
      handshakeMs = sessionTimeout * FIRST_HANDSHAKE_SHARE
      if (now - traffic.heardAt > sessionTimeout * SILENT_SHARE) socket.destroy(new ConnectionError('SILENT'))
      else if (now - traffic.wroteAt >= sessionTimeout * PING_SHARE) ping(manager)
    }
  }

  let cancel = systemClock.tick(tickMs, tick)
  manager.on('state', state => {
    if (ENDED.includes(state)) cancel()
  })
}

const ENDED: readonly number[] = [ConnectionState.closed, ConnectionState.sessionExpired, ConnectionState.authenticationFailed]

/** What one socket has carried, as seen at the last tick. Times are monotonic ms. */
interface Traffic {
  readonly socket: Socket | undefined
  /** When we first saw the socket, or last found that this process had been stopped. */
  readonly since: number
  bytesRead: number
  bytesWritten: number
  heardAt: number
  wroteAt: number
}

function newTraffic(socket: Socket | undefined, now: number): Traffic {
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
