/** A connect string, `host:port[,host:port…][/chroot]`, taken apart. */
export interface ConnectString {
  /** `host:port,host:port`, as the library takes it. */
  readonly servers: string
  /** The node that all our paths are below, such as `/live-comments`; empty for the root. */
  readonly chroot: string
}

/** @throws Error that says what is wrong with `text` */
export function parseConnectString(text: string): ConnectString {
  const slash = text.indexOf('/')
  const servers = slash < 0 ? text : text.slice(0, slash)
  const chroot = slash < 0 ? '' : text.slice(slash).replace(/\/$/, '')
  for (const server of servers.split(',')) {
    const match = /^[^\s:[\]]+(?::(\d{1,5}))?$/.exec(server)
    if (!match || Number(match[1] ?? 2181) > 65_535 || match[1] === '0') {
      throw new Error(`not a ZooKeeper address: '${server}'; it takes host:port[,host:port][/chroot]`)
    }
  }
  if (chroot !== '' && !/^(\/(?!\.{1,2}(\/|$))[^/\s]+)+$/.test(chroot)) {
    throw new Error(`not a ZooKeeper path: '${chroot}'; it takes host:port[,host:port][/chroot]`)
  }
  return { servers, chroot }
}
