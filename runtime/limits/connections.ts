import type { Clock } from '../clock.js'
import { addressOf, isLoopback, keysOf, type Address, type Networks } from '../http/address.js'
import type { Silent } from '../http/exchange.js'
import { ClientBuckets } from './buckets.js'
import { holdsFor, type Limit } from './limit.js'
import type { Refusals } from './refusals.js'

/** The server closes a silent connection within this time (uWebSockets.js: 8 to 12 s). */
const SILENT_S = 12
/** Beyond this share of the room no connection stays open after its answer. */
const KEEPING = 3 / 4
/** Of more silent connections than this share of the room, one client's are not spared for a request of it. */
const HIDING = 1 / 64

export interface ConnectionOptions {
  readonly clock: Clock
  /** Connections of one address per SILENT_S. */
  readonly perAddress: Limit
  /** Proxies, which carry the connections of many clients and have no limit. */
  readonly trusted: Networks
  /** How many connections may be open now, by the descriptor limit. */
  readonly room: () => number
  /** Whether a descriptor is left, whatever those in use are for; without, `room` alone decides. A WebSocket is no connection of
   * ours any more when its client has closed it, and its descriptor is free only when that client lets go of it, or up to 20 s
   * later (uWebSockets.js 20.51). */
  readonly spare?: () => boolean
  readonly refusals: Refusals
}

/** Decides which connections a public port accepts, before a byte of them is read, and which it keeps. Where there is no
 * room, a connection without a whole request makes it, the oldest of the network that has most of them: a client that means
 * well sends its request at once. Besides, an address may open N in a burst, N more in 12 s, and reuse as many. */
export class Connections {
  readonly #options: ConnectionOptions
  readonly #opened: ClientBuckets
  readonly #kept: ClientBuckets
  /** By address, and by the widest network that it is in. */
  readonly #byAddress = new Groups()
  readonly #byNetwork = new Groups()

  constructor(options: ConnectionOptions) {
    this.#options = options
    const rate = { perSecond: Math.max(1, options.perAddress.most) / SILENT_S, burst: Math.max(1, options.perAddress.most) }
    this.#opened = new ClientBuckets(rate)
    this.#kept = new ClientBuckets(rate)
  }

  /** Whether to accept a new connection. @param peer its address, 4 or 16 bytes @param open connections, this one included */
  admits(peer: ArrayBuffer, open: number): boolean {
    const { room, spare = () => true, refusals } = this.#options
    const kind = !this.#takes(this.#opened, peer) ? 'connections_per_address' : (open > room() || !spare()) && !this.#closeOne() ? 'descriptors' : undefined
    if (kind) refusals.count(kind)
    return kind === undefined
  }

  /** Whether a connection may stay open after an answer. */
  keeps(peer: ArrayBuffer, open: number): boolean {
    return open <= this.#options.room() * KEEPING && this.#takes(this.#kept, peer)
  }

  /** A connection has no whole request yet. @param isOpen whether it still is, asked in the turn in which one was closed */
  silent(peer: ArrayBuffer, close: () => void, isOpen: () => boolean): Silent {
    const address = addressOf(peer)
    if (!address) return { over() {} } // it has left
    const own = address.toString()
    const network = keysOf(address).at(-1)!
    const connection: SilentConnection = {
      close,
      isOpen,
      over: () => {
        this.#byAddress.delete(own, connection)
        this.#byNetwork.delete(network, connection)
      },
    }
    this.#byAddress.add(own, connection)
    this.#byNetwork.add(network, connection)
    return connection
  }

  /** A request came on one of a peer's connections, and nobody can tell on which. Where few of its connections are silent,
   * none of them may be closed any more, for each may be the one.
   * @returns undefined where that is settled. Else, or a flood could hide behind a request of its own, the connection with the
   * request has to end: to be called when it has ended, in the same turn, or with false where that is not certain */
  unsure(peer: ArrayBuffer): ((ended: boolean) => void) | undefined {
    const { room, trusted } = this.#options
    const address = addressOf(peer)
    const silent = address && this.#byAddress.of(address.toString())
    if (!silent) return undefined
    const settle = (ended: boolean) => {
      for (const each of silent) if (!ended || !each.isOpen()) each.over()
    }
    if (silent.size > room() * HIDING && !trusted.has(address)) return settle
    settle(false)
    return undefined
  }

  /** Closes the oldest silent connection of whoever has most. @returns false where there is none */
  #closeOne(): boolean {
    const [oldest] = this.#byNetwork.largest() ?? []
    if (!oldest) return false
    this.#options.refusals.count('silent_connections')
    oldest.over()
    oldest.close()
    return true
  }

  #takes(buckets: ClientBuckets, peer: ArrayBuffer): boolean {
    const address = addressOf(peer)
    if (!address) return false // it has left
    return !this.#isLimited(address) || buckets.take(keysOf(address), this.#options.clock.now()) === 0
  }

  #isLimited(address: Address): boolean {
    const { perAddress, trusted } = this.#options
    return holdsFor(perAddress, { local: isLoopback(address) }) && !trusted.has(address)
  }
}

interface SilentConnection extends Silent {
  readonly close: () => void
  readonly isOpen: () => boolean
}

/** Silent connections by a key, the oldest first. */
class Groups {
  readonly #groups = new Map<string, Set<SilentConnection>>()

  of(key: string): ReadonlySet<SilentConnection> | undefined {
    return this.#groups.get(key)
  }

  largest(): ReadonlySet<SilentConnection> | undefined {
    let largest: Set<SilentConnection> | undefined
    for (const group of this.#groups.values()) if (group.size > (largest?.size ?? 0)) largest = group
    return largest
  }

  add(key: string, connection: SilentConnection): void {
    const group = this.#groups.get(key)
    if (group) group.add(connection)
    else this.#groups.set(key, new Set([connection]))
  }

  delete(key: string, connection: SilentConnection): void {
    const group = this.#groups.get(key)
    if (group?.delete(connection) && group.size === 0) this.#groups.delete(key)
  }
}
