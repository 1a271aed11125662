import type { Client } from 'node-zookeeper-client'
import type { BackOff } from './back-off.js'
import type { ServerAddress } from './connect-string.js'
import { chooseServers, endConnectTimer } from './connecting.js'
import {
  type ConnectionManager,
  ConnectionState,
  connectionManagerOf,
  exceptions,
  jute,
  type LibraryError,
  type Reply,
  type SetWatchesPayload,
  type WatchLists,
} from './internals.js'
import { ConnectionError, watchLosses, type Loss } from './loss.js'
import { watchConnection } from './watchdog.js'

export interface HardenOptions {
  /** Taken instead of those that the client was created with. */
  readonly servers: readonly ServerAddress[]
  readonly backOff: BackOff
  /** A connection has ended, or an attempt at one has failed; the library tries again. Called before the client's `state`
   * event. */
  readonly onLoss?: (loss: Loss) => void
  /** An answer could not be read. The connection is closed, and the library connects again. */
  readonly onProtocolError: (error: Error) => void
}

/** Repairs a client of node-zookeeper-client 1.1.3 in place; call it before `connect()`. Unrepaired, the library hangs for
 * ever, crashes the process or corrupts the stream in ordinary faults. Each function below names the defect it repairs. */
export function harden(client: Client, { servers, backOff, onLoss, onProtocolError }: HardenOptions): void {
  const manager = connectionManagerOf(client)
  chooseServers(manager, servers, backOff)
  endConnectTimer(manager)
  const noteFrame = watchLosses(manager, loss => onLoss?.(loss))
  wrapXid(manager)
  frameWhole(manager, onProtocolError, frame => {
    noteFrame(frame)
    backOff.heard(performance.now())
  })
  splitSetWatches(manager)
  failUnsentOnDisconnect(manager)
  watchConnection(manager)
}

/** Names of the error codes that servers send and the library lacks. */
const MISSING_CODES: Readonly<Record<number, string>> = {
  [-12]: 'UNKNOWN_SESSION',
  [-13]: 'NEW_CONFIG_NO_QUORUM',
  [-14]: 'RECONFIG_IN_PROGRESS',
  [-117]: 'NOTHING',
  [-118]: 'SESSION_MOVED',
  [-119]: 'NOT_READ_ONLY',
  [-120]: 'EPHEMERAL_ON_LOCAL_SESSION',
  [-121]: 'NO_WATCHER',
  [-122]: 'REQUEST_TIMEOUT',
  [-123]: 'RECONFIG_DISABLED',
  [-124]: 'SESSION_CLOSED_REQUIRE_SASL_AUTH',
  [-125]: 'QUOTA_EXCEEDED',
  [-127]: 'THROTTLED_OP',
}

nameUnknownErrors()

/** Defect: on an error code that it lacks, the library throws inside the socket's handler, uncaught. Repair: every code
 * makes an error. All clients share the library's table, so this is done once, for the whole process. */
function nameUnknownErrors(): void {
  const create = exceptions.create.bind(exceptions)
  exceptions.create = (code, path) => {
    try {
      return create(code, path)
    } catch {
      const name = MISSING_CODES[code] ?? 'UNKNOWN'
      return Object.assign(new Error(`ZooKeeper error ${code}`), { name, code, getCode: () => code })
    }
  }
}

/** Largest request number; numbers are signed 32-bit integers, and the library adds 1 after each request. */
const MAX_XID = 0x7ffffffe

/** Defect: once the request counter passes 2^31, every later call throws; and after `close()` during the first handshake,
 * the handshake's answer passes for that of request 0, which crashes the process. Repair: the counter starts at 1 and
 * wraps to 1. */
function wrapXid(manager: ConnectionManager): void {
  let xid = 1
  Object.defineProperty(manager, 'xid', {
    get: () => xid,
    set: (next: number) => {
      xid = next > MAX_XID ? 1 : next
    },
  })
}

/** Defect: when a connection is cut in the middle of an answer, the library takes that half frame for the start of the
 * next connection's first answer: the session is lost without a word, or the process crashes. It also recurses once for
 * each frame of a read. Repair: the library gets one whole frame at a time, a disconnect drops what is left over, and an
 * unreadable frame costs the connection only. Answers to `sync` end here: the library hangs up on them. */
function frameWhole(manager: ConnectionManager, onProtocolError: (error: Error) => void, onFrame: (frame: Buffer) => void): void {
  const handleFrame = manager.onSocketData.bind(manager)
  let rest: Buffer | undefined

  manager.onSocketData = chunk => {
    const { socket } = manager
    let bytes = rest ? Buffer.concat([rest, chunk]) : chunk
    rest = undefined
    while (bytes.length >= 4) {
      const frameBytes = 4 + bytes.readInt32BE(0)
      if (bytes.length < frameBytes) break
      const frame = bytes.subarray(0, frameBytes)
      bytes = bytes.subarray(frameBytes)
      manager.pendingBuffer = null
      onFrame(frame)
      try {
        if (!answerSync(manager, frame)) handleFrame(frame)
      } catch (error) {
        onProtocolError(error as Error)
        socket?.destroy(new ConnectionError('UNREADABLE'))
        return
      }
      if (manager.socket !== socket || socket?.destroyed) return
    }
    rest = bytes.length > 0 ? bytes : undefined
  }

  manager.on('state', state => {
    if (state === ConnectionState.disconnected) {
      rest = undefined
      manager.pendingBuffer = null
    }
  })
}

/** @returns whether the frame answers our oldest request and that is a `sync` */
function answerSync(manager: ConnectionManager, frame: Buffer): boolean {
  const oldest = manager.pendingQueue[0]
  const header = oldest?.request.header
  if (header?.type !== jute.OP_CODES.SYNC || frame.readInt32BE(4) !== header.xid) return false
  manager.pendingQueue.shift()
  const code = frame.readInt32BE(16)
  oldest?.callback?.(code === 0 ? null : exceptions.create(code))
  return true
}

/** A SetWatches packet is full from this many bytes of paths on, as in the Java client. */
const SET_WATCHES_BYTES = 128 * 1024

/** Defect: after a reconnect the library sends all watches in one packet. The server hangs up on one over 1 MB, at every
 * reconnect. Repair: several packets. */
function splitSetWatches(manager: ConnectionManager): void {
  const queue = manager.queue.bind(manager)
  manager.queue = (request, reply) => {
    if (request.header?.type !== jute.OP_CODES.SET_WATCHES) {
      queue(request, reply)
      return
    }
    const all = request.payload as SetWatchesPayload
    for (const part of partsOf(all)) {
      const payload = Object.assign(new jute.protocol.SetWatches(), part, { relativeZxid: all.relativeZxid })
      const header = Object.assign(new jute.protocol.RequestHeader(), { type: jute.OP_CODES.SET_WATCHES })
      queue(new jute.Request(header, payload), () => {})
    }
  }
}

function partsOf(all: WatchLists): WatchLists[] {
  const parts: WatchLists[] = []
  let part: WatchLists | undefined
  let bytes = 0
  for (const kind of ['dataWatches', 'existWatches', 'childWatches'] as const) {
    for (const path of all[kind]) {
      if (!part || bytes >= SET_WATCHES_BYTES) {
        part = { dataWatches: [], existWatches: [], childWatches: [] }
        parts.push(part)
        bytes = 0
      }
      part[kind].push(path)
      bytes += 4 + Buffer.byteLength(path)
    }
  }
  return parts
}

/** Defect: requests that were not sent stay queued while disconnected. A write then runs many seconds late, or never calls
 * back if the session has expired; and every failed handshake adds a SetWatches packet to the queue. Repair: a disconnect
 * fails everything that is queued. */
function failUnsentOnDisconnect(manager: ConnectionManager): void {
  const failUnsent = (code: number) => {
    for (const packet of manager.packetQueue.queue.splice(0)) packet.callback?.(exceptions.create(code))
  }
  manager.on('state', state => {
    if (state === ConnectionState.disconnected) failUnsent(exceptions.CONNECTION_LOSS)
    if (state === ConnectionState.sessionExpired) failUnsent(exceptions.SESSION_EXPIRED)
  })
}

/** Asks the server to catch up with its leader on `path`. The library knows the request's number and has no such call. */
export function sync(client: Client, path: string, done: (error: LibraryError | null) => void): void {
  const payload = Object.assign(new jute.protocol.GetACLRequest(), { path })
  const header = Object.assign(new jute.protocol.RequestHeader(), { type: jute.OP_CODES.SYNC })
  const reply: Reply = error => done(error)
  connectionManagerOf(client).queue(new jute.Request(header, payload), reply)
}

/** How long the server may take to confirm the end of a session. */
const FAREWELL_MS = 1_000

/** Ends a client, whatever its state. If it is connected, the server ends its session and removes its ephemeral nodes.
 * Defect: `close()` while not connected throws, or crashes the process later, and no event follows. Repair: a client that
 * is not connected, or gets no confirmation, ends without the server. */
export function abandon(client: Client): Promise<void> {
  const manager = connectionManagerOf(client)
  return new Promise(resolve => {
    if (manager.state !== ConnectionState.connected) {
      cut(manager)
      resolve()
      return
    }
    const timer = setTimeout(() => cut(manager), FAREWELL_MS)
    manager.on('state', state => {
      if (state !== ConnectionState.closed) return
      clearTimeout(timer)
      resolve()
    })
    client.close()
  })
}

/** Ends a client without telling the server. An attempt to connect may be under way; its socket is closed once it is
 * open. */
function cut(manager: ConnectionManager): void {
  const stopConnectTimer = () => clearTimeout(manager.connectTimeoutHandler ?? undefined)
  stopConnectTimer()
  manager.connect = () => {}
  manager.onSocketConnected = () => {
    stopConnectTimer()
    manager.socket?.destroy()
  }
  manager.setState(ConnectionState.closing)
  manager.socket?.destroy()
  manager.setState(ConnectionState.closed)
}
