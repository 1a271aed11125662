import type { Client } from 'node-zookeeper-client'
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
import { watchConnection } from './watchdog.js'

export interface HardenOptions {
  /** Told of an answer that could not be read; the connection is then made anew. */
  readonly onProtocolError: (error: Error) => void
}

/** Repairs a node-zookeeper-client 1.1.3 in place; call it before `connect()`. Bare, the library hangs for ever, crashes
 * the process or corrupts the stream in ordinary faults; each function below names the fault it mends. */
export function harden(client: Client, { onProtocolError }: HardenOptions): void {
  const manager = connectionManagerOf(client)
  wrapXid(manager)
  frameWhole(manager, onProtocolError)
  splitSetWatches(manager)
  forgetOnDisconnect(manager)
  watchConnection(manager)
}

/** Names of the codes that servers send and the library does not know. */
const UNKNOWN_TO_LIBRARY: Readonly<Record<number, string>> = {
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

/** Defect: an error code the library does not know throws inside the socket's handler, uncaught. Repair: any code makes
 * an error. One table serves every client, so this is done once, for the whole process. */
function nameUnknownErrors(): void {
  const create = exceptions.create.bind(exceptions)
  exceptions.create = (code, path) => {
    try {
      return create(code, path)
    } catch {
      const name = UNKNOWN_TO_LIBRARY[code] ?? 'UNKNOWN'
      return Object.assign(new Error(`ZooKeeper error ${code}`), { name, code, getCode: () => code })
    }
  }
}

/** Defect: the request counter passes 2^31 and every later call throws; and request 0, once closed early, crashes.
 * Repair: it counts from 1 and wraps to 1. */
function wrapXid(manager: ConnectionManager): void {
  let xid = 1
  Object.defineProperty(manager, 'xid', {
    get: () => xid,
    set: (next: number) => {
      xid = next > 0x7ffffffe ? 1 : next
    },
  })
}

/** Defect: a connection cut in the middle of an answer leaves half a frame behind, which is read as the start of the next
 * connection: the session is lost in silence, or the process ends; many frames in one read recurse. Repair: the library
 * is handed one whole frame at a time, what remains is dropped at disconnect, and an unreadable frame costs the
 * connection only. `sync` is answered here too: the library can send it but hangs up on its answer. */
function frameWhole(manager: ConnectionManager, onProtocolError: (error: Error) => void): void {
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
      try {
        if (!answerSync(manager, frame)) handleFrame(frame)
      } catch (error) {
        onProtocolError(error as Error)
        socket?.destroy()
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

/** True where the frame was the answer to our oldest request, and that a `sync`. */
function answerSync(manager: ConnectionManager, frame: Buffer): boolean {
  const oldest = manager.pendingQueue[0]
  const header = oldest?.request.header
  if (header?.type !== jute.OP_CODES.SYNC || frame.readInt32BE(4) !== header.xid) return false
  manager.pendingQueue.shift()
  const code = frame.readInt32BE(16)
  oldest?.callback?.(code === 0 ? null : exceptions.create(code))
  return true
}

/** Most bytes of paths in one SetWatches packet, as in the Java client. */
const SET_WATCHES_BYTES = 128 * 1024

/** Defect: all watches go back to the server in one packet after a reconnect; over 1 MB the server hangs up, and so for
 * ever. Repair: several packets. */
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

/** Defect: what was never sent stays queued while disconnected. A write then runs many seconds late, or its callback
 * never comes once the session has expired; and every failed handshake leaves another SetWatches packet behind.
 * Repair: a disconnect fails all of it at once. */
function forgetOnDisconnect(manager: ConnectionManager): void {
  const failUnsent = (code: number) => {
    for (const packet of manager.packetQueue.queue.splice(0)) packet.callback?.(exceptions.create(code))
  }
  manager.on('state', state => {
    if (state === ConnectionState.disconnected) failUnsent(exceptions.CONNECTION_LOSS)
    if (state === ConnectionState.sessionExpired) failUnsent(exceptions.SESSION_EXPIRED)
  })
}

/** Asks the server to catch up with its leader on `path`; the library has the code of the call but not the call. */
export function sync(client: Client, path: string, done: (error: LibraryError | null) => void): void {
  const payload = Object.assign(new jute.protocol.GetACLRequest(), { path })
  const header = Object.assign(new jute.protocol.RequestHeader(), { type: jute.OP_CODES.SYNC })
  const reply: Reply = error => done(error)
  connectionManagerOf(client).queue(new jute.Request(header, payload), reply)
}

/** A farewell unanswered for this long is cut short. */
const farewellMs = 1_000

/** Ends a client in whatever state it is: where connected, its session and its ephemeral nodes at once.
 * Defect: `close()` while not connected throws, or crashes the process later, and tells nobody. */
export function abandon(client: Client): Promise<void> {
  const manager = connectionManagerOf(client)
  return new Promise(resolve => {
    if (manager.state !== ConnectionState.connected) {
      cut(manager)
      resolve()
      return
    }
    const late = setTimeout(() => cut(manager), farewellMs)
    manager.on('state', state => {
      if (state !== ConnectionState.closed) return
      clearTimeout(late)
      resolve()
    })
    client.close()
  })
}

/** Ends a client without a word to the server, also one whose next attempt to connect is already under way. */
function cut(manager: ConnectionManager): void {
  const stopWaiting = () => clearTimeout(manager.connectTimeoutHandler ?? undefined)
  stopWaiting()
  manager.connect = () => {}
  manager.onSocketConnected = () => {
    stopWaiting()
    manager.socket?.destroy()
  }
  manager.setState(ConnectionState.closing)
  manager.socket?.destroy()
  manager.setState(ConnectionState.closed)
}
