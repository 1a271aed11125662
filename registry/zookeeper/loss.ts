import { printServer } from './connect-string.js'
import { ConnectionState, exceptions, jute, type ConnectionManager, type Packet } from './internals.js'

/** How a connection ended, or an attempt at one. */
export interface Loss {
  /** ZooKeeper's name of the error with which the server sent us away, such as `SESSION_CLOSED_REQUIRE_SASL_AUTH`; else the
   * system's, such as `ECONNREFUSED`; else one of {@link OurCode}. */
  readonly code: string
  /** `host:port` */
  readonly server: string
  /** The largest of the calls that were not answered, as `CREATE /path, 1200 bytes`: a server hangs up without a word on a
   * request over its `jute.maxbuffer`. */
  readonly unanswered?: string
}

/** `HUNG_UP`: the server closed the connection and gave no reason. `SILENT`: it said nothing for too long. `NO_HANDSHAKE`: it
 * could not be reached, or granted no session, in time. `UNREADABLE`: the library cannot read what it said. */
type OurCode = 'HUNG_UP' | 'SILENT' | 'NO_HANDSHAKE' | 'UNREADABLE'

/** Why a socket was destroyed. */
export class ConnectionError extends Error {
  constructor(readonly code: OurCode) {
    super(code)
  }
}

/** The errors that a server answers with before it hangs up: AUTH_FAILED, SESSION_CLOSED_REQUIRE_SASL_AUTH. */
const FAREWELLS: readonly number[] = [-115, -124]
/** How it shows that the server has hung up while we were writing. */
const RESETS: readonly (string | undefined)[] = ['ECONNRESET', 'EPIPE']
/** Where a reply's number and its error code stand in its frame. */
const XID_AT = 4
const ERROR_AT = 16

/** Calls `onLoss` for every connection that ends and every attempt that fails, before the library acts on it.
 * @returns what to call with each frame that the server sends */
export function watchLosses(manager: ConnectionManager, onLoss: (loss: Loss) => void): (frame: Buffer) => void {
  /** Of the present socket: whose it is, and why it broke. */
  let server = ''
  let code: string | undefined
  /** Why we were sent away, until a call succeeds: the answer that says so can be lost with the connection. */
  let farewell: string | undefined

  const findNextServer = manager.findNextServer.bind(manager)
  manager.findNextServer = use =>
    findNextServer(address => {
      code = undefined
      server = printServer(address)
      use(address)
    })
  const onSocketError = manager.onSocketError.bind(manager)
  manager.onSocketError = error => {
    if (!RESETS.includes(error.code)) code = error.code
    onSocketError(error)
  }
  const onSocketClosed = manager.onSocketClosed.bind(manager)
  manager.onSocketClosed = hadError => {
    const unanswered = largest(manager.pendingQueue)
    onLoss({ code: code ?? farewell ?? 'HUNG_UP', server, ...(unanswered && { unanswered }) })
    onSocketClosed(hadError)
  }
  return frame => {
    if (manager.state === ConnectionState.connecting || frame.length < ERROR_AT + 4) return
    const error = frame.readInt32BE(ERROR_AT)
    if (FAREWELLS.includes(error)) farewell = exceptions.create(error).name
    else if (error === 0 && frame.readInt32BE(XID_AT) > 0) farewell = undefined
  }
}

function largest(calls: readonly Packet[]): string | undefined {
  let found: { call: Packet; bytes: number } | undefined
  for (const call of calls) {
    const bytes = call.request.payload?.byteLength() ?? 0
    if (!found || bytes > found.bytes) found = { call, bytes }
  }
  if (!found) return undefined
  const { header, payload } = found.call.request
  const name = Object.keys(jute.OP_CODES).find(op => jute.OP_CODES[op] === header?.type) ?? 'a call'
  return `${[name, payload?.path].filter(Boolean).join(' ')}, ${found.bytes} bytes`
}
