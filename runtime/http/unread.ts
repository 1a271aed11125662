import ipaddr from 'ipaddr.js'
import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../clock.js'
import type { Log } from '../log.js'
import { addressOf, isLoopback, isOwnNetwork, keysOf, type Address } from './address.js'

/** Who speaks something else is refused, and who only looks has left, within this time. A browser that opens connections
 * ahead of its requests keeps them longer. */
const AT_ONCE_MS = 1_000
/** So many from one network within this time are reported, then no more for an hour. */
const MANY = 3
const WITHIN_MS = 600_000
const SAID_MS = 3_600_000

/** Counts connections that end at once and before a request of HTTP/1.1 was read on them. Which of the causes it is cannot be
 * known: the peer spoke HTTP/1.0 or TLS, which the HTTP server refuses by itself, or sent nothing. In a private network it is
 * likely to be a proxy or a health check that takes this node for dead: the log warns of it. */
export class UnreadConnections {
  readonly #clock: Clock
  readonly #log: Pick<Log, 'warn'>
  readonly #counter: Counter
  /** By network, since `#since`. */
  readonly #counts = new Map<string, number>()
  #since = -Infinity
  readonly #saidAt = new Map<string, number>()

  constructor({ clock, log, metrics }: { clock: Clock; log: Pick<Log, 'warn'>; metrics: Registry }) {
    this.#clock = clock
    this.#log = log
    this.#counter = new Counter({ name: 'live_unread_connections_total', help: 'Connections that ended within a second and before a request of HTTP/1.1 was read on them.', registers: [metrics] })
  }

  /** @param peer its address, 4 or 16 bytes @param openMs how long the connection was open */
  ended(peer: ArrayBuffer, openMs: number): void {
    if (openMs > AT_ONCE_MS) return
    this.#counter.inc()
    const address = addressOf(peer)
    if (!address || !isOwnNetwork(address)) return // anyone on the internet may do so
    const now = this.#clock.now()
    if (now - this.#since > WITHIN_MS) this.#forget(now)
    const from = networkOf(address)
    const times = (this.#counts.get(from) ?? 0) + 1
    this.#counts.set(from, times)
    if (times < MANY || this.#saidAt.has(from)) return
    this.#saidAt.set(from, now)
    this.#log.warn({ from, times, reason: 'connections end at once without a request of HTTP/1.1: the peer speaks HTTP/1.0, as proxies and health checks may by default, or TLS; or it only checks the port' }, 'no_request_read')
  }

  #forget(now: number): void {
    this.#since = now
    this.#counts.clear()
    for (const [from, at] of this.#saidAt) if (now - at > SAID_MS) this.#saidAt.delete(from)
  }
}

/** What the log may hold: never a full address. */
function networkOf(address: Address): string {
  if (isLoopback(address)) return 'this machine'
  return address instanceof ipaddr.IPv4 ? `${address.octets.slice(0, 3).join('.')}.0/24` : `${keysOf(address)[0]}::/64`
}
