import type { Clock } from '../clock.js'
import { addressOf, isLoopback, keyOf, type Networks } from '../http/address.js'
import { Buckets } from './buckets.js'
import { holdsFor, type Limit } from './limit.js'
import type { Refusals } from './refusals.js'

/** The server closes a silent connection within this time (uWebSockets.js: 8 to 12 s). */
const SILENT_S = 12

export interface ConnectionOptions {
  readonly clock: Clock
  /** Connections of one address per SILENT_S. */
  readonly perAddress: Limit
  /** Proxies, which carry the connections of many clients and have no limit. */
  readonly trusted: Networks
  /** How many connections may be open now, by the descriptor limit. */
  readonly room: () => number
  readonly refusals: Refusals
}

/** Decides which connections a public port accepts, before a byte of them is read. The server does not say whose connection
 * has ended, so open connections cannot be counted by address. But a silent one ends within 12 s: an address that may open
 * N in a burst and N more in 12 s, and reuse as many, never holds more than four times N besides its streams. */
export class Connections {
  readonly #options: ConnectionOptions
  readonly #opened: Buckets
  readonly #kept: Buckets

  constructor(options: ConnectionOptions) {
    this.#options = options
    const rate = { perSecond: Math.max(1, options.perAddress.most) / SILENT_S, burst: Math.max(1, options.perAddress.most) }
    this.#opened = new Buckets(rate)
    this.#kept = new Buckets(rate)
  }

  /** Whether to accept a new connection. @param peer its address, 4 or 16 bytes @param open connections, this one included */
  admits(peer: ArrayBuffer, open: number): boolean {
    const { room, refusals } = this.#options
    const kind = open > room() ? 'descriptors' : this.#takes(this.#opened, peer) ? undefined : 'connections_per_address'
    if (kind) refusals.count(kind)
    return kind === undefined
  }

  /** Whether a connection may stay open after an answer. */
  keeps(peer: ArrayBuffer): boolean {
    return this.#takes(this.#kept, peer)
  }

  #takes(buckets: Buckets, peer: ArrayBuffer): boolean {
    const { clock, perAddress, trusted } = this.#options
    const address = addressOf(peer)
    if (!address) return false // it has left
    return !holdsFor(perAddress, { local: isLoopback(address) }) || trusted.has(address) || buckets.take(keyOf(address), clock.now()) === 0
  }
}
