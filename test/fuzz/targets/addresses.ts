import { BlockList, isIP, SocketAddress } from 'node:net'
import fc from 'fast-check'
import { addressOf, networks } from '../../../runtime/http/address.js'
import { clientOf, type Client } from '../../../runtime/http/client-address.js'
import { bytes } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, type Target } from '../target.js'

const TRUSTED: readonly (readonly [string, number])[] = [['127.0.0.0', 8], ['10.0.0.0', 8], ['fd00::', 8], ['2001:db8:ffff::', 48]]
const PROXY = '10.1.1.1'

const address = fc.oneof(
  fc.constantFrom('127.0.0.1', PROXY, '192.0.2.1', '::1', 'fd00::5', '2001:db8:ffff::9', '2001:db8:1:2:3:4:5:6', '::ffff:192.0.2.7', '::ffff:a01:101', '::ffff:7f00:1', '::', '0.0.0.0', '64:ff9b::c000:201'),
  fc.ipV4(),
  fc.ipV6(),
)
/** In the forms in which proxies write it. */
const hop = fc.tuple(address, fc.nat({ max: 70_000 }), fc.nat({ max: 7 })).map(([at, port, form]) => {
  const six = at.includes(':')
  return [at, at.toUpperCase(), six ? `[${at}]` : at, six ? `[${at}]:${port}` : `${at}:${port}`, `${at}%eth0`, six ? `[${at}%1]` : `0${at}`, `::ffff:${at}`, ` ${at}\t`][form]!
})
const names = fc.oneof({ weight: 8, arbitrary: hop }, { weight: 1, arbitrary: fc.constantFrom('unknown', '_hidden', '', '1', '0x7f.1', '010.0.0.1', '::ffff:0x7f.0.0.01') })
const forwardedFor = fc.array(names, { minLength: 1, maxLength: 4 }).map(hops => `X ${hops.join(', ')}`)
const element = fc.tuple(names, fc.constantFrom('for', 'For', 'FOR'), fc.constantFrom('', ';proto=https', ';by=10.1.1.1', ';by="[fd00::5]:80"', ';host="a,b;for=1.1.1.1"', ';for=1.1.1.1')).map(([at, name, rest]) => `${name}=${/^[\w.]+$/.test(at) ? at : `"${at}"`}${rest}`)
const forwarded = fc.array(element, { minLength: 1, maxLength: 4 }).map(elements => `F ${elements.join(', ')}`)
const many = fc.tuple(fc.oneof(forwardedFor, forwarded), fc.integer({ min: 2, max: 100 })).map(([line, times]) => Array.from({ length: times }, () => line).join(times % 2 ? '\n' : ', '))
const lines = fc.array(fc.oneof({ weight: 4, arbitrary: forwardedFor }, { weight: 4, arbitrary: forwarded }, { weight: 1, arbitrary: many }), { maxLength: 4 })

/** First whom the proxy sees, as it writes it; then the client's own lines: `X` or `F`, a blank, a value. */
export const addresses: Target = {
  name: 'addresses',
  what: 'X-Forwarded-For and Forwarded, as clients and proxies write them',
  cases: 3_000,
  inputs: hostile(fc.tuple(hop, lines).map(([seen, own]) => bytes([seen, ...own].join('\n'))), ['X ', 'F ', '\nX ', '\nF ', 'for=', 'for="[', ']:80"', '::ffff:', '::', '%', ',', ', ', ';', '"', '\\"', '127.0.0.1', '10.1.1.1', '0x7f', '0177', '=']),
  open() {
    const trusted = networks.parse(TRUSTED.map(([network, bits]) => `${network}/${bits}`).join())
    const proxies = new BlockList()
    for (const [network, bits] of TRUSTED) proxies.addSubnet(network, bits, isIP(network) === 6 ? 'ipv6' : 'ipv4')
    const loopback = new BlockList()
    loopback.addSubnet('127.0.0.0', 8)
    loopback.addAddress('::1', 'ipv6')
    const isIn = (list: BlockList, at: string): boolean => list.check(at.replace(/%.*/, ''), isIP(at) === 6 ? 'ipv6' : 'ipv4')
    const clientAt = (at: string): Client => ({ keys: keysOf(at), local: isIn(loopback, at) })
    const same = (one: Client, other: Client): boolean => one.keys.join() === other.keys.join() && one.local === other.local

    return {
      check(input) {
        const [first = '', ...rest] = input.toString('latin1').replaceAll('\r', '').split('\n')
        const given = rest.filter(line => /^[XF] /.test(line)).map(line => ({ name: line[0]!, value: line.slice(2).trim() }))
        const asked = (peer: string, headers: typeof given): Client =>
          clientOf({ peer: () => addressOf(bytesOf(peer)), headers: name => headers.filter(each => each.name === (name === 'forwarded' ? 'F' : 'X')).map(({ value }) => value) }, trusted)
        const proxy = clientAt(PROXY)

        // Who is behind: one that stands in a header, or the proxy itself.
        const behind = asked(PROXY, given)
        must(/^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?:0|[1-9a-f][0-9a-f]{0,3})(?::(?:0|[1-9a-f][0-9a-f]{0,3})){3})$/.test(behind.keys[0]!), `no address: ${behind.keys[0]}`)
        const words = new Set(given.flatMap(({ value }) => value.replaceAll('\\', '').split(/[\s,;="[\]]+/)).flatMap(word => [word, word.replace(/:[0-9]+$/, ''), word.replace(/%.*/, '')]))
        must(same(behind, proxy) || [...words].some(word => isIP(word) !== 0 && same(clientAt(word), behind)), `nobody named ${behind.keys[0]}`)

        // Who is no proxy is itself, whatever it writes.
        const seen = /^\s*(?:\[(.+)\](?::[0-9]+)?|([0-9.]+):[0-9]+|(.*?))\s*$/s.exec(first)!.slice(1).find(part => part !== undefined)!
        if (isIP(seen) === 0 || isIn(proxies, seen)) return
        const client = clientAt(seen)
        if (!seen.includes('%')) must(same(asked(seen, given), client), 'a stranger is somebody else by its own word')

        // A proxy that adds whom it saw, in a line of its own or behind what was there: nothing left of that counts.
        for (const [name, hop] of [['X', first.trim()], ['F', `for="${first.trim()}"`]] as const) {
          const own = given.filter(each => each.name === name)
          const byLine = asked(PROXY, [...own, { name, value: hop }])
          must(same(byLine, client), `a line of the client's counts: ${byLine.keys[0]}`)
          must(same(asked(PROXY, [...own, { name, value: hop }, { name, value: name === 'X' ? PROXY : `for=${PROXY}` }]), client), 'a second proxy makes it somebody else')
          const joined = [{ name, value: [...own.map(({ value }) => value), hop].join(', ') }]
          const inLine = asked(PROXY, joined)
          // A quotation that the client leaves open takes the proxy's own words in: RFC 7239 knows no way to tell.
          must(same(inLine, client) || (name === 'F' && same(inLine, proxy)), `what the client wrote counts: ${inLine.keys[0]}`)
          // The other header passed on as it came.
          const passed = asked(PROXY, [...given.filter(each => each.name !== name), { name, value: hop }])
          must(same(passed, client) || same(passed, proxy), `the other header counts: ${passed.keys[0]}`)
        }
      },
    }
  },
}

/** The normal forms, by the system's own reading: the /64, /56 and /48 of an IPv6 address, IPv4 where it is mapped. */
function keysOf(at: string): string[] {
  if (isIP(at) === 4) return [at]
  const parts = Array.from({ length: 8 }, (_, i) => new DataView(bytesOf(at)).getUint16(2 * i))
  if (parts.slice(0, 5).every(part => part === 0) && parts[5] === 0xffff) return [[parts[6]! >> 8, parts[6]! & 255, parts[7]! >> 8, parts[7]! & 255].join('.')]
  const upTo = (...groups: number[]) => groups.map(group => group.toString(16)).join(':')
  const [a, b, c, d] = parts as [number, number, number, number]
  return [upTo(a, b, c, d), `${upTo(a, b, c, d - (d % 256))}/56`, `${upTo(a, b, c)}/48`]
}

function bytesOf(at: string): ArrayBuffer {
  if (isIP(at) === 4) return new Uint8Array(at.split('.').map(Number)).buffer
  const { address } = new SocketAddress({ address: at.replace(/%.*/, ''), family: 'ipv6' })
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => `${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`)
  const [left = [], right] = hex.split('::').map(half => (half === '' ? [] : half.split(':')))
  const groups = right ? [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right] : left
  return new Uint8Array(groups.map(group => Number.parseInt(group, 16)).flatMap(group => [group >> 8, group & 255])).buffer
}
