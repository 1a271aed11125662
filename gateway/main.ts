import { GATEWAYS } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import { DrainWatch } from '../registry/drain-watch.js'
import { homesOf } from '../registry/homes.js'
import { startNode } from '../registry/start.js'
import { openIdentity } from '../runtime/auth/open.js'
import { systemClock } from '../runtime/clock.js'
import { Clients } from '../runtime/http/client-address.js'
import { HttpServer } from '../runtime/http/server.js'
import { UnreadConnections } from '../runtime/http/unread.js'
import { Connections } from '../runtime/limits/connections.js'
import { descriptorsForConnections, sparesDescriptors } from '../runtime/limits/descriptors.js'
import { Refusals } from '../runtime/limits/refusals.js'
import { internalServer } from '../runtime/peers/internal-server.js'
import { tlsFiles } from '../runtime/tls/config.js'
import { redirectServer } from '../runtime/tls/redirect.js'
import { TlsWatch } from '../runtime/tls/watch.js'
import { urlOf } from '../runtime/variables.js'
import { Announcement } from './announcement.js'
import { GatewayPart } from './assemble.js'
import { gatewayConfig } from './config.js'
import { Limits } from './limits.js'
import { linkWith } from './link-socket.js'
import { OPERATORS_PAGE, routeOperators } from './operators.js'
import { routePeers } from './peer-server.js'
import { PublicPort } from './public-port.js'
import { connectWith } from './relay.js'
import { connectionLimit, viewerLimit } from './viewer-limit.js'

const STOP_DEADLINE_MS = 20_000

/** Runs a gateway until it is stopped. It announces itself to operators alone: whether its entry stands, or another
 * process has its id, changes nothing for viewers. */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const config = gatewayConfig(argv, env)
  const live = startNode('gateway', config, { watch: ['edges', 'holdings', 'dispatchers', 'placement', ...(config.PEERS ? (['homes'] as const) : [])], stopDeadlineMs: STOP_DEADLINE_MS })
  const { identity, log, onBug, client, zk, watcher, metrics } = live
  const { id, instance, version } = identity
  const auth = await openIdentity(config, systemClock, log)
  const refusals = new Refusals({ clock: systemClock, log, metrics, name: 'gateway' })
  const descriptors = descriptorsForConnections()
  const limit = viewerLimit(descriptors)

  const homes = homesOf(config, watcher.view)
  const part = new GatewayPart({
    clock: systemClock,
    random: Math.random,
    view: watcher.view,
    viewLoaded: () => watcher.loaded,
    viewStaleMs: () => watcher.stalenessMs(),
    client,
    homes,
    connectLink: linkWith(client),
    connect: connectWith(client),
    metrics,
    traces: live.traces,
    gzip: { level: config.EDGE_GZIP_LEVEL, minViewers: config.EDGE_GZIP_MIN_VIEWERS },
    videoShare: config.EDGE_VIDEO_SHARE,
    joinRate: config.JOIN_RATE,
    allowedOrigins: config.ALLOWED_ORIGINS,
    hstsSeconds: config.TLS_HSTS_SECONDS,
    identity: auth,
    viewerLimit: limit,
    limits: new Limits({
      clock: systemClock,
      refusals,
      postsPerAuthor: config.POST_RATE_LIMIT,
      postsPerAddress: config.POST_RATE_LIMIT_PER_ADDRESS,
      streamsPerAuthor: config.STREAMS_PER_AUTHOR,
      streamsPerAddress: config.STREAMS_PER_ADDRESS,
    }),
    clients: new Clients({ clock: systemClock, log, trusted: config.TRUSTED_PROXIES }),
  })
  watcher.onChange(change => part.viewChanged(change))
  const unread = new UnreadConnections({ clock: systemClock, log, metrics })
  const internal = internalServer({ token: config.INTERNAL_TOKEN, peerToken: homes && config.PEER_TOKEN, metrics, identity, url: () => internalUrl, page: OPERATORS_PAGE, notReady: () => live.notReady(part.notReady() ?? publicPort.notReady()), onBug, log, unread })
  if (homes) routePeers(internal, { gateway: part.gateway, homes, viewLoaded: () => watcher.loaded })
  routeOperators(internal, { gateway: part.gateway, zk, clock: systemClock })
  const connections = new Connections({ clock: systemClock, perAddress: config.CONNECTIONS_PER_ADDRESS, trusted: config.TRUSTED_PROXIES, room: () => connectionLimit(descriptors) - part.gateway.links.relayed - (redirect?.connections ?? 0), spare: sparesDescriptors(), refusals })
  const { TLS_REDIRECT_PORT: redirectPort, PUBLIC_URL: to } = config
  const redirect: HttpServer | undefined = redirectPort === undefined || to === undefined ? undefined : redirectServer({ to, connections, onBug })
  const tls = tlsFiles(config)
  const server = new HttpServer({ onBug, unread, tls, headers: part.headers, connections })
  const tlsWatch = tls && new TlsWatch({ files: tls, clock: systemClock, log, metrics, renew: () => server.renewTls() })
  part.route(server)
  const publicPort = new PublicPort({ clock: systemClock, metrics, server, redirect, host: config.HOST, port: config.PORT, redirectPort, shared: config.SHARE_PORT })
  const internalPort = internal.listen(config.INTERNAL_HOST, config.INTERNAL_PORT)
  const internalUrl = config.INTERNAL_URL ?? urlOf(config.INTERNAL_HOST, internalPort)
  const open = async () => {
    const port = await publicPort.open(() => watcher.loaded, live.stopping)
    const publicUrl = config.PUBLIC_URL ?? urlOf(config.HOST, port, tls ? 'https' : 'http')
    log.info({ publicUrl, internalUrl, viewerLimit: limit, version, identity: auth ? 'on' : 'off' }, 'listening')
    return publicUrl
  }
  const [publicUrl] = await Promise.all([open(), live.connected()])

  const { sessions, poster } = part.gateway
  const announcement = new Announcement({ id, instance, internalUrl, publicUrl, startedAt: Date.now(), version, wire: WIRE_VERSION, entries: true }, {
    clock: systemClock,
    viewers: () => sessions.size,
    announce: node => live.announce(GATEWAYS, node),
  })
  const draining = () => {
    log.info({ viewers: sessions.size, posts: poster.inFlight }, 'draining')
    announcement.state('draining')
  }
  const wish = new DrainWatch({
    zk,
    log,
    id,
    instance,
    onWish(wished) {
      if (wished) {
        draining()
        void publicPort.leave()
        return void part.drain(config.DRAIN_MS).then(() => sessions.size === 0 && log.info('drained'))
      }
      log.info('taking_viewers_again')
      announcement.state('up')
      part.resume()
      publicPort.comeBack()
    },
  })

  await live.stopping
  wish.close()
  draining()
  await publicPort.close()
  await part.stop(config.DRAIN_MS)
  server.close()
  redirect?.close()
  tlsWatch?.close()
  internal.close()
  auth?.close()
  await announcement.close()
  await live.close()
  log.info('stopped')
}
