import ipaddr from 'ipaddr.js'
import { isIP } from 'node:net'
import { z } from 'zod'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

/** RFC 4291, section 2.5.3. */
const LOOPBACK: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('::1'), 128]

const OWN_NETWORKS: ReadonlySet<string> = new Set(['loopback', 'private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat'])

/** The address in 4 or 16 bytes, as the server gives a peer's; undefined if the peer is gone. An IPv4 address that is
 * mapped into IPv6, as a listener on `::` has it, is returned as IPv4. */
export function addressOf(bytes: ArrayBuffer): Address | undefined {
  if (bytes.byteLength === 0) return undefined
  const view = new DataView(bytes)
  if (bytes.byteLength === 4) return ipv4Of(view.getUint32(0))
  const isMapped = view.getUint32(0) === 0 && view.getUint32(4) === 0 && view.getUint32(8) === 0xffff
  return isMapped ? ipv4Of(view.getUint32(12)) : ipaddr.fromByteArray([...new Uint8Array(bytes)])
}

/** IPv4 addresses that have been asked for lately: a proxy's, for example, with each of its requests. */
const recent = new Map<number, ipaddr.IPv4>()
const MAX_REMEMBERED = 1_024

function ipv4Of(number: number): ipaddr.IPv4 {
  let address = recent.get(number)
  if (!address) {
    if (recent.size === MAX_REMEMBERED) recent.clear()
    recent.set(number, (address = new ipaddr.IPv4([number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff])))
  }
  return address
}

/** Parses an address; undefined if it is not one. IPv4, also at the end of IPv6, must be four decimal numbers: `1` and
 * `0x7f.1` are not accepted. An IPv6 zone is dropped, since it has a meaning only on the machine that wrote it. */
export function parseAddress(text: string): Address | undefined {
  if (isIP(text) === 4) return ipaddr.IPv4.parse(text)
  const [address = ''] = text.split('%', 1)
  // The library reads ::1.2.3.4 as if it were ::ffff:1.2.3.4.
  return isIP(address) === 6 ? unmapped(ipaddr.IPv6.parse(address.replace(/^::(?=[0-9]+\.)/, '0::'))) : undefined
}

export function isLoopback(address: Address): boolean {
  // Not `range() === 'loopback'`, which searches all ranges: this runs for every connection and request.
  return address instanceof ipaddr.IPv4 ? address.octets[0] === 127 : address.match(LOOPBACK)
}

/** Whether it belongs to this machine or to a private network. */
export function isOwnNetwork(address: Address): boolean {
  return OWN_NETWORKS.has(address.range())
}

/** The keys that limits count by, the widest last: an IPv4 address, or the /64, /56 and /48 of an IPv6 address, each of
 * which may be what one customer has (RFC 6177). */
export function keysOf(address: Address): readonly string[] {
  if (address instanceof ipaddr.IPv4) {
    let keys = keysOfRecent.get(address)
    if (!keys) keysOfRecent.set(address, (keys = [address.toString()]))
    return keys
  }
  const [a, b, c, d] = address.parts as [number, number, number, number]
  const site = `${a.toString(16)}:${b.toString(16)}:${c.toString(16)}`
  return [`${site}:${d.toString(16)}`, `${site}:${(d & 0xff00).toString(16)}/56`, `${site}/48`]
}

const keysOfRecent = new WeakMap<ipaddr.IPv4, readonly string[]>()

/** A set of addresses and networks, such as those of trusted proxies. */
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
