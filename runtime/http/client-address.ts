import { parse as parseForwarded } from 'forwarded-parse'
import type { Clock } from '../clock.js'
import type { Log } from '../log.js'
import { isLoopback, isOwnNetwork, keyOf, parseAddress, type Address, type Networks } from './address.js'
import type { Exchange } from './exchange.js'

const SAID_MS = 3_600_000

/** Whom a request is counted against. */
export interface Client {
  /** One for each IPv4 address and each IPv6 network of 64 bits; '' where the peer has left already. */
  readonly key: string
  /** It is on this machine, beyond doubt. */
  readonly local: boolean
}

/** Whom a public port's requests are counted against. A proxy nearby that nobody named makes all its viewers one client,
 * or lifts their limits: the log says so, once an hour. */
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

  /** From farther away anyone may write the header. */
  #suspect(peer: Address | undefined): void {
    if (!peer || this.#trusted.has(peer) || !isOwnNetwork(peer) || this.#clock.now() - this.#saidAt < SAID_MS) return
    this.#saidAt = this.#clock.now()
    this.#log.warn({ reason: `a proxy ${isLoopback(peer) ? 'on this machine' : 'in a private network'} tells for whom it asks, and TRUSTED_PROXIES does not name it` }, 'proxy_not_trusted')
  }
}

/** The client of a request: the peer, or where that is a trusted proxy, the right-most address of its
 * `X-Forwarded-For` or `Forwarded` (RFC 7239) that is not one: what stands left of it the client may have written.
 * Where the header cannot be read, or the two name different clients (a proxy writes one and passes the other on as
 * the client made it), it is the proxy's own address, and excepted from no limit. */
export function clientOf(exchange: Pick<Exchange, 'peer' | 'headers'>, trusted: Networks): Client {
  const peer = exchange.peer()
  if (!peer) return { key: '', local: false }
  if (!trusted.has(peer)) return client(peer)
  const chains = [exchange.headers('x-forwarded-for').map(bare), exchange.headers('forwarded').map(forwardedFor)].filter(values => values.length > 0)
  if (chains.length === 0) return client(peer)
  const [first, ...others] = chains.map(values => nearest(values.flat(), trusted)).map(address => address && client(address))
  const agreed = first !== undefined && others.every(other => other?.key === first.key && other.local === first.local)
  return agreed ? first : { key: keyOf(peer), local: false }
}

function client(address: Address): Client {
  return { key: keyOf(address), local: isLoopback(address) }
}

/** From the right, the first that is not trusted; the left-most where all are. Undefined where it cannot be read. */
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

/** The `for` of each element; '' where it has none, and for the whole where its syntax is wrong. */
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
