import { isIPv6 } from 'node:net'

/** A connect string, `host:port[,host:port…][/chroot]`, taken apart. */
export interface ConnectString {
  /** `host:port,host:port`, as it was given; {@link parseServers} takes it apart. */
  readonly servers: string
  /** The node that all our paths are below, such as `/live-comments`; empty for the root. */
  readonly chroot: string
}

/** Where one server listens for clients. */
export interface ServerAddress {
  /** A name or an address; an IPv6 address has no brackets here. */
  readonly host: string
  readonly port: number
}

const USUAL_PORT = 2181

/** @throws Error that says what is wrong with `text` */
export function parseConnectString(text: string): ConnectString {
  const slash = text.indexOf('/')
  const servers = slash < 0 ? text : text.slice(0, slash)
  const chroot = slash < 0 ? '' : text.slice(slash).replace(/\/$/, '')
  parseServers(servers)
  if (chroot !== '' && !/^(\/(?!\.{1,2}(\/|$))[^/\s]+)+$/.test(chroot)) {
    throw new Error(`not a ZooKeeper path: '${chroot}'; it takes host:port[,host:port][/chroot]`)
  }
  return { servers, chroot }
}

/** The addresses of `host:port,host:port`. An IPv6 address stands in brackets: `[::1]:2181`.
 * @throws Error that says which one is none */
export function parseServers(servers: string): ServerAddress[] {
  return servers.split(',').map(parseServer)
}

/** `host:port`, with an IPv6 address in brackets. */
export function printServer({ host, port }: ServerAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/** The connect string of an ensemble, from one of each of its servers with the same chroot. */
export function joinConnectStrings(texts: readonly string[]): string {
  const all = texts.map(parseConnectString)
  return all.map(({ servers }) => servers).join(',') + (all[0]?.chroot ?? '')
}

function parseServer(text: string): ServerAddress {
  const { name, ip, digits } = /^(?:(?<name>[^\s:[\]]+)|\[(?<ip>[^\s[\]]+)\])(?::(?<digits>\d{1,5}))?$/.exec(text)?.groups ?? {}
  const host = name ?? ip
  const port = Number(digits ?? USUAL_PORT)
  if (host === undefined || (ip !== undefined && !isIPv6(ip)) || port < 1 || port > 65_535) {
    throw new Error(`not a ZooKeeper address: '${text}'; it takes host:port[,host:port][/chroot]`)
  }
  return { host, port }
}
