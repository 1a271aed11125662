import { parse as parseForwarded } from 'forwarded-parse'
import type { Clock } from '../clock.js'
import type { Log } from '../log.js'
import { isLoopback, isOwnNetwork, keysOf, parseAddress, type Address, type Networks } from './address.js'
import type { Exchange } from './exchange.js'

const SAID_MS = 3_600_000

/** The client that a request is counted against. */
export interface Client {
  /** An IPv4 address, or an IPv6 /64, /56 and /48, the widest last; one '' if the peer has left already. */
  readonly keys: readonly string[]
  /** Whether it is certainly on this machine. */
  readonly local: boolean
}

/** Finds the client of each request to a public port. A nearby proxy that TRUSTED_PROXIES does not name makes all its
 * viewers one client, or lifts their limits: the log warns of it, once an hour. */
export class Clients {
  readonly #clock: Clock
  readonly #log: Log
  readonly #trusted: Networks
  #saidAt = -Infinity

  constructor({ clock, log, trusted }: { clock: Clock; log: Log; trusted: Networks }) {
    this.#clock = clock
    this.#log = log
    this.#trusted = trusted
  }

  of(exchange: Pick<Exchange, 'peer' | 'header' | 'headers'>): Client {
    const header = exchange.header('x-forwarded-for') || exchange.header('forwarded')
    if (header !== '') this.#suspect(exchange.peer())
    return clientOf(exchange, this.#trusted)
  }

  /** Only peers in private networks are suspected: anyone on the internet may send the header. */
  #suspect(peer: Address | undefined): void {
    if (!peer || this.#trusted.has(peer) || !isOwnNetwork(peer) || this.#clock.now() - this.#saidAt < SAID_MS) return
    this.#saidAt = this.#clock.now()
    this.#log.warn({ reason: `a proxy ${isLoopback(peer) ? 'on this machine' : 'in a private network'} names its clients, but TRUSTED_PROXIES does not name the proxy` }, 'proxy_not_trusted')
  }
}

/** The client of a request: the peer or, if that is a trusted proxy, the right-most address in `X-Forwarded-For` or
 * `Forwarded` (RFC 7239) that is not a trusted proxy. The client may have written anything left of it. If the header is
 * unreadable, or the two headers name different clients (a proxy writes one and passes on the client's own other), the
 * proxy itself counts as the client, with every limit. */
export function clientOf(exchange: Pick<Exchange, 'peer' | 'headers'>, trusted: Networks): Client {
  const peer = exchange.peer()
  if (!peer) return { keys: [''], local: false }
  if (!trusted.has(peer)) return client(peer)
  const chains = [exchange.headers('x-forwarded-for').map(bare), exchange.headers('forwarded').map(forwardedFor)].filter(values => values.length > 0)
  if (chains.length === 0) return client(peer)
  const [first, ...others] = chains.map(values => nearest(values.flat(), trusted)).map(address => address && client(address))
  const agreed = first !== undefined && others.every(other => other?.keys[0] === first.keys[0] && other?.local === first.local)
  return agreed ? first : { keys: keysOf(peer), local: false }
}

function client(address: Address): Client {
  return { keys: keysOf(address), local: isLoopback(address) }
}

/** The first address from the right that is not trusted; the left-most if all are. Undefined if it is unreadable. */
function nearest(hops: readonly string[], trusted: Networks): Address | undefined {
  let address: Address | undefined
  for (const hop of hops.toReversed()) {
    address = parseHop(hop)
    if (!address || !trusted.has(address)) return address
  }
  return address
}

function bare(value: string): string[] {
  return value.split(',')
}

/** The `for` of each element, '' if it has none; a single '' if the syntax is wrong. */
function forwardedFor(value: string): string[] {
  try {
    return parseForwarded(value).map(element => element['for'] ?? '')
  } catch {
    return ['']
  }
}

/** An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`. */
function parseHop(text: string): Address | undefined {
  const hop = text.trim()
  return parseAddress(/^\[(.+)\](?::[0-9]+)?$/.exec(hop)?.[1] ?? /^([0-9.]+):[0-9]+$/.exec(hop)?.[1] ?? hop)
}
