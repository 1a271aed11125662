import ipaddr from 'ipaddr.js'
import { isIP } from 'node:net'
import { z } from 'zod'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

/** RFC 4291, section 2.5.3. */
const LOOPBACK: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('::1'), 128]

const OWN_NETWORKS: ReadonlySet<string> = new Set(['loopback', 'private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat'])

/** Of 4 or 16 bytes, as the server has a peer's; undefined where it is gone already. IPv4 where it is one: a listener
 * on `::` has it mapped into IPv6. */
export function addressOf(bytes: ArrayBuffer): Address | undefined {
  return bytes.byteLength === 0 ? undefined : unmapped(ipaddr.fromByteArray([...new Uint8Array(bytes)]))
}

/** As it is written down; undefined where that is none. Only four decimal numbers are IPv4, also at the end of IPv6: `1` or
 * `0x7f.1` are not. An IPv6 zone is left out: it means something on the machine that wrote it alone. */
export function parseAddress(text: string): Address | undefined {
  if (isIP(text) === 4) return ipaddr.IPv4.parse(text)
  const [address = ''] = text.split('%', 1)
  // The library reads ::1.2.3.4 as if it were ::ffff:1.2.3.4.
  return isIP(address) === 6 ? unmapped(ipaddr.IPv6.parse(address.replace(/^::(?=[0-9]+\.)/, '0::'))) : undefined
}

export function isLoopback(address: Address): boolean {
  // Not `range() === 'loopback'`: that looks through every range there is, for every connection and request.
  return address instanceof ipaddr.IPv4 ? address.octets[0] === 127 : address.match(LOOPBACK)
}

/** Of this machine, or of a network that the internet does not reach. */
export function isOwnNetwork(address: Address): boolean {
  return OWN_NETWORKS.has(address.range())
}

/** What is counted as one: an IPv4 address, or an IPv6 network of 64 bits, since that is what one customer is given. */
export function keyOf(address: Address): string {
  return address instanceof ipaddr.IPv4 ? address.toString() : address.parts.slice(0, 4).map(part => part.toString(16)).join(':')
}

/** Addresses and networks, such as those of one's own proxies. */
export class Networks {
  readonly #ranges: readonly [Address, number][]

  constructor(ranges: readonly [Address, number][]) {
    this.#ranges = ranges
  }

  has(address: Address): boolean {
    return this.#ranges.some(range => range[0].kind() === address.kind() && address.match(range))
  }
}

/** A comma-separated list of addresses and networks. */
export const networks = z
  .string()
  .transform((text, context) => {
    const ranges = text.split(',').map(part => part.trim()).filter(part => part !== '').map(rangeOf)
    if (ranges.every(range => range !== undefined)) return new Networks(ranges)
    context.addIssue('must be a comma-separated list of addresses and networks such as 10.0.0.0/8 or fd00::/8')
    return z.NEVER
  })
  .prefault('')

function rangeOf(text: string): [Address, number] | undefined {
  const [, host, bits] = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? []
  const address = parseAddress(host ?? '')
  if (!address) return undefined
  const width = address instanceof ipaddr.IPv4 ? 32 : 128
  const prefix = bits === undefined ? width : Number(bits)
  return prefix <= width ? [address, prefix] : undefined
}

function unmapped(address: Address): Address {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}
