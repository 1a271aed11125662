import { EDGES, HOLDINGS, printHoldings } from '../protocol/nodes.js'
import { Announcer } from '../registry/announcer.js'
import { mayReplaceHoldings } from '../registry/claim.js'
import { DrainWatch } from '../registry/drain-watch.js'
import { EdgeCount } from '../registry/edge-count.js'
import { entry } from '../registry/entry.js'
import { startNode } from '../registry/start.js'
import { openIdentity } from '../runtime/auth/open.js'
import { systemClock } from '../runtime/clock.js'
import { Clients } from '../runtime/http/client-address.js'
import { UnreadConnections } from '../runtime/http/unread.js'
import { Connections } from '../runtime/limits/connections.js'
import { descriptorsForConnections, sparesDescriptors } from '../runtime/limits/descriptors.js'
import { Refusals } from '../runtime/limits/refusals.js'
import { Replays } from '../runtime/limits/replays.js'
import { StreamLimit } from '../runtime/limits/streams.js'
import { internalServer } from '../runtime/peers/internal-server.js'
import { tlsFiles } from '../runtime/tls/config.js'
import { TlsWatch } from '../runtime/tls/watch.js'
import { urlOf } from '../runtime/variables.js'
import { EdgePart } from './assemble.js'
import { edgeConfig } from './config.js'
import { EdgeMetrics } from './metrics.js'
import { publicServer } from './server.js'

const STOP_DEADLINE_MS = 15_000

/** Runs an edge until it is stopped. */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const config = edgeConfig(argv, env)
  const live = startNode('edge', config, { watch: ['dispatchers'], stopDeadlineMs: STOP_DEADLINE_MS })
  const { identity, log, onBug, client, zk, watcher } = live
  const { id, instance } = identity
  const auth = await openIdentity(config, systemClock, log)
  const metrics = new EdgeMetrics(live.metrics)
  const edges = new EdgeCount({ zk })

  const part = new EdgePart({
    identity,
    clock: systemClock,
    random: Math.random,
    view: watcher.view,
    viewLoaded: () => watcher.loaded,
    client,
    metrics,
    traces: live.traces,
    capacity: config.EDGE_CAPACITY,
    edges: () => edges.count,
    gzip: { level: config.EDGE_GZIP_LEVEL, minViewers: config.EDGE_GZIP_MIN_VIEWERS },
    received: log.isLevelEnabled('debug') ? ({ videoId, id }) => log.debug({ videoId, id: String(id) }, 'comment_received') : undefined,
    onStale: stale => (stale ? log.error('dispatchers_unreachable') : log.info('dispatchers_reached')),
    onRestart: (videoId, from, to) => log.warn({ videoId, from: String(from), to: String(to) }, 'room_ahead_of_store'),
    onPeerError: (dispatcher, err) => log.warn({ dispatcherId: dispatcher.id, err }, 'dispatcher_failed'),
    announceNode: node => live.announce(EDGES, node),
    announceHoldings: (holdings, node) => entry(holdings, printHoldings, data => new Announcer({ zk, log, path: `${HOLDINGS}/${id}`, data, mayReplace: mayReplaceHoldings(identity, node) })),
  })
  const { edge } = part
  metrics.watch(live.metrics, edge, config.EDGE_CAPACITY)
  watcher.onChange(() => part.viewChanged())

  const notReady = () => part.notReady()
  const unread = new UnreadConnections({ clock: systemClock, log, metrics: live.metrics })
  const internal = internalServer({ token: config.INTERNAL_TOKEN, metrics: live.metrics, identity, url: () => internalUrl, pong: () => part.pong(), notReady: () => live.notReady(notReady()), onBug, log, unread })
  part.route(internal)
  const refusals = new Refusals({ clock: systemClock, log, metrics: live.metrics, name: 'edge' })
  const descriptors = descriptorsForConnections()
  const tls = tlsFiles(config)
  const open = publicServer(edge, {
    tls,
    hstsSeconds: config.TLS_HSTS_SECONDS,
    // Gateways come first: what they hold is not the public's.
    connections: new Connections({ clock: systemClock, perAddress: config.CONNECTIONS_PER_ADDRESS, trusted: config.TRUSTED_PROXIES, room: () => descriptors - internal.connections, spare: sparesDescriptors(), refusals }),
    streamsPerAddress: new StreamLimit('address', config.STREAMS_PER_ADDRESS, refusals),
    replays: new Replays({ clock: systemClock, refusals }),
    clients: new Clients({ clock: systemClock, log, trusted: config.TRUSTED_PROXIES }),
    allowedOrigins: config.ALLOWED_ORIGINS,
    identity: auth,
    onBug,
    unread,
    notReady,
  })
  const tlsWatch = tls && new TlsWatch({ files: tls, clock: systemClock, log, metrics: live.metrics, renew: () => open.renewTls() })
  const internalPort = internal.listen(config.INTERNAL_HOST, config.INTERNAL_PORT)
  const internalUrl = config.INTERNAL_URL ?? urlOf(config.INTERNAL_HOST, internalPort)
  const publicPort = open.listen(config.HOST, config.PORT)
  const publicUrl = config.PUBLIC_URL ?? urlOf(config.HOST, publicPort, tls ? 'https' : 'http')
  part.listens({ internalUrl, publicUrl })
  log.info({ internalUrl, publicUrl, instance }, 'listening')

  const drain = async () => {
    log.info({ viewers: edge.viewers }, 'draining')
    await part.drain()
    log.info('drained')
  }
  await live.connected()
  part.announce()
  const wish = new DrainWatch({
    zk,
    log,
    id,
    instance,
    onWish(wished) {
      if (wished) return void drain()
      log.info('taking_viewers_again')
      part.resume()
    },
  })

  await live.stopping
  wish.close()
  edges.close()
  await drain()
  await open.stopListening()
  await part.leave()
  internal.close()
  open.close()
  tlsWatch?.close()
  auth?.close()
  await live.close()
  log.info('stopped')
}
