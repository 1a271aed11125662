import type { Clock } from '../clock.js'
import { addressOf, isLoopback, keyOf, type Networks } from '../http/address.js'
import { Buckets } from './buckets.js'
import { holdsFor, type Limit } from './limit.js'
import type { Refusals } from './refusals.js'

/** The server closes what is silent after so long (uWebSockets.js: 8 to 12 s). */
const SILENT_S = 12

export interface ConnectionOptions {
  readonly clock: Clock
  /** Connections of one address. */
  readonly perAddress: Limit
  /** Proxies: many clients come by theirs. */
  readonly trusted: Networks
  /** Connections that may be open now. */
  readonly room: () => number
  readonly refusals: Refusals
}

/** Which connections a public port takes, before a byte of them is read. The server does not tell whose connection has
 * ended, so an address's cannot be counted off. But a silent one ends within 12 s: an address that opens at most N in
 * 12 s, and as many at once, and keeps open as many by asking again, never holds more than four times N besides its
 * streams. */
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

  /** @param peer its address, of 4 or 16 bytes. @param open with this one */
  admits(peer: ArrayBuffer, open: number): boolean {
    const { room, refusals } = this.#options
    const kind = open > room() ? 'descriptors' : this.#takes(this.#opened, peer) ? undefined : 'connections_per_address'
    if (kind) refusals.count(kind)
    return kind === undefined
  }

  /** Whether a connection may stay open once it has been answered. */
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
