import type { BackOff } from './back-off.js'
import type { ServerAddress } from './connect-string.js'
import { ConnectionState, type ConnectionManager } from './internals.js'
import { ConnectionError } from './loss.js'

/** Defect: the library splits an address at its first colon, so that `[::1]:2181` is none. It pauses only once it was refused
 * by all servers, for a quarter of a second, and not at all where a server grants the session and hangs up at the first call:
 * it then asks several hundred times a second, for ever. Repair: the servers are given as host and port, in random order, and
 * the back-off says when. */
export function chooseServers(manager: ConnectionManager, servers: readonly ServerAddress[], backOff: BackOff): void {
  const order = shuffled(servers)
  manager.servers = order
  manager.updateTimeout(manager.sessionTimeout)
  let next = 0
  let timer: NodeJS.Timeout | undefined
  manager.findNextServer = use => {
    const server = order[next++ % order.length]!
    timer = setTimeout(() => use(server), backOff.next())
  }
  manager.on('state', state => {
    if (state === ConnectionState.connected) backOff.opened(performance.now())
    if (state === ConnectionState.closed) clearTimeout(timer)
  })
}

/** Defect: the time limit of an attempt to connect is kept when its socket ends before it, unless by an error. It then
 * destroys the next socket, however well that is: where two of three hosts drop what is sent to them, every connection to the
 * third is cut after a second. Repair: the limit ends with the socket, whichever way that ends. */
export function endConnectTimer(manager: ConnectionManager): void {
  manager.onSocketConnectTimeout = () => manager.socket?.destroy(new ConnectionError('NO_HANDSHAKE'))
  const onSocketClosed = manager.onSocketClosed.bind(manager)
  manager.onSocketClosed = hadError => {
    clearTimeout(manager.connectTimeoutHandler ?? undefined)
    onSocketClosed(hadError)
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map(item => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
