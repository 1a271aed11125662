import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import zookeeper, { type Client } from 'node-zookeeper-client'
import type { ServerAddress } from './connect-string.js'

/** The parts of node-zookeeper-client 1.1.3 that the repairs touch. Another version may differ: the version is pinned, and
 * every repair has a test against a real server. */

const require = createRequire(import.meta.url)

/** The library's wire format. */
export const jute = require('node-zookeeper-client/lib/jute/index.js') as Jute

/** States of a {@link ConnectionManager}; those of the library's client are fewer. */
export const ConnectionState = {
  disconnected: 0,
  connecting: 1,
  connected: 2,
  closing: -1,
  closed: -2,
  sessionExpired: -3,
  authenticationFailed: -4,
} as const

/** An error of the library; `name` is the name of its code, such as `NO_NODE`. */
export interface LibraryError extends Error {
  /** ZooKeeper's number for it, below 0. */
  readonly code: number
  getCode(): number
}

export const exceptions = zookeeper.Exception as unknown as {
  create(code: number, path?: string): LibraryError
  readonly CONNECTION_LOSS: number
  readonly SESSION_EXPIRED: number
}

/** What the library calls when a request is answered, or failed. */
export type Reply = (error: LibraryError | null, response?: unknown) => void

/** Paths, by what is watched. */
export interface WatchLists {
  dataWatches: string[]
  existWatches: string[]
  childWatches: string[]
}

interface Payload {
  path?: string
  setChrootPath(path: string | undefined): void
  byteLength(): number
}

export interface SetWatchesPayload extends Payload, WatchLists {
  relativeZxid: Buffer
}

export interface RequestHeader {
  type: number
  xid: number
}

export interface Request {
  readonly header: RequestHeader | null
  readonly payload: Payload | null
}

export interface Packet {
  readonly request: Request
  readonly callback?: Reply
}

interface Jute {
  readonly OP_CODES: Readonly<Record<'SYNC' | 'PING' | 'SET_WATCHES' | (string & {}), number>>
  readonly XID_PING: number
  readonly Request: new (header: RequestHeader, payload: Payload | null) => Request
  readonly protocol: {
    readonly RequestHeader: new (xid?: number, type?: number) => RequestHeader
    readonly SetWatches: new () => SetWatchesPayload
    /** Has the shape of SyncRequest, which the library lacks: one path. */
    readonly GetACLRequest: new () => Payload
  }
}

/** The library's connection to the servers: its socket, its queues and its session. */
export interface ConnectionManager {
  readonly state: number
  readonly socket: Socket | undefined
  servers: readonly ServerAddress[]
  /** ms; the server's, once it has granted one. */
  readonly sessionTimeout: number
  /** ms. */
  readonly connectTimeout: number
  readonly connectTimeoutHandler: NodeJS.Timeout | null
  /** Calls the watches that a notice of the server is about. */
  readonly watcherManager: { emit: (event: unknown) => void }
  /** Sent and not yet answered, oldest first. */
  readonly pendingQueue: Packet[]
  /** Not sent yet. */
  readonly packetQueue: { readonly queue: Packet[] }
  /** Number of the next request. */
  xid: number
  /** Newest transaction seen, 8 bytes. */
  zxid: Buffer
  pendingBuffer: Buffer | null
  connect: () => void
  /** Calls back with the server to connect to. */
  findNextServer: (use: (server: ServerAddress) => void) => void
  /** Takes a new session timeout, and from it and the number of servers the time for one attempt to connect. */
  updateTimeout(sessionTimeoutMs: number): void
  onSocketConnectTimeout: () => void
  onSocketConnected: () => void
  onSocketData: (chunk: Buffer) => void
  onSocketError: (error: NodeJS.ErrnoException) => void
  onSocketClosed: (hadError: boolean) => void
  queue: (request: Request, reply?: Reply) => void
  setState(state: number): void
  on(event: 'state', listener: (state: number) => void): void
}

export function connectionManagerOf(client: Client): ConnectionManager {
  return (client as unknown as { connectionManager: ConnectionManager }).connectionManager
}
