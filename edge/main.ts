import { EDGES, HOLDINGS, printHoldings, printNode, type EdgeNode } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import { Announcer } from '../registry/announcer.js'
import { mayReplaceHoldings, mayReplaceNode } from '../registry/claim.js'
import { DrainWatch } from '../registry/drain-watch.js'
import { startNode } from '../registry/start.js'
import { openIdentity } from '../runtime/auth/open.js'
import { systemClock } from '../runtime/clock.js'
import { Clients } from '../runtime/http/client-address.js'
import { Connections } from '../runtime/limits/connections.js'
import { descriptorsForConnections } from '../runtime/limits/descriptors.js'
import { Refusals } from '../runtime/limits/refusals.js'
import { StreamLimit } from '../runtime/limits/streams.js'
import { internalServer } from '../runtime/peers/internal-server.js'
import { urlOf } from '../runtime/variables.js'
import { VERSION } from '../runtime/version.js'
import { edgeConfig } from './config.js'
import { Edge } from './edge.js'
import { EdgeMetrics } from './metrics.js'
import { internalRoutes, publicServer } from './server.js'

const DRAIN_WINDOW_MS = 3_000
const STOP_DEADLINE_MS = 15_000

/** Runs an edge until it is told to stop. */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const config = edgeConfig(argv, env)
  const live = startNode('edge', config, { watch: ['dispatchers'], stopDeadlineMs: STOP_DEADLINE_MS })
  const { identity, log, onBug, client, zk, watcher } = live
  const { id, instance } = identity
  const auth = await openIdentity(config, systemClock, log)

  let node: EdgeNode | undefined
  const announced: { node?: Announcer; holdings?: Announcer } = {}
  const metrics = new EdgeMetrics(live.metrics)
  const edge = new Edge({
    clock: systemClock,
    random: Math.random,
    view: watcher.view,
    metrics,
    capacity: config.EDGE_CAPACITY,
    gzip: { level: config.EDGE_GZIP_LEVEL, minViewers: config.EDGE_GZIP_MIN_VIEWERS },
    send: (dispatcher, path, body, timeoutMs) => client.call(dispatcher.internalUrl, { to: dispatcher.instance, path, body, timeoutMs, headers: from() }),
    received: log.isLevelEnabled('debug') ? ({ videoId, id }) => log.debug({ videoId, id: String(id) }, 'comment_received') : undefined,
    onPeerError: (dispatcher, err) => log.warn({ dispatcherId: dispatcher.id, err }, 'dispatcher_failed'),
    announce(videos) {
      const data = printHoldings({ instance, videos })
      announced.holdings?.set(data)
      update({ viewers: edge.viewers })
      return data.length
    },
  })
  metrics.watch(live.metrics, edge, config.EDGE_CAPACITY)
  watcher.onChange(() => edge.viewChanged())

  const notReady = () => (edge.draining ? 'draining' : watcher.loaded && announced.node?.up ? undefined : 'waiting for the registry')
  const internal = internalServer({ token: config.INTERNAL_TOKEN, metrics: live.metrics, identity, notReady, onBug, log })
  internalRoutes(internal, edge)
  const refusals = new Refusals({ clock: systemClock, log, metrics: live.metrics, name: 'edge' })
  const descriptors = descriptorsForConnections()
  const open = publicServer(edge, {
    // Gateways come first: what they hold is not the public's.
    connections: new Connections({ clock: systemClock, perAddress: config.CONNECTIONS_PER_ADDRESS, trusted: config.TRUSTED_PROXIES, room: () => descriptors - internal.connections, refusals }),
    streamsPerAddress: new StreamLimit('address', config.STREAMS_PER_ADDRESS, refusals),
    clients: new Clients({ clock: systemClock, log, trusted: config.TRUSTED_PROXIES }),
    allowedOrigins: config.ALLOWED_ORIGINS,
    identity: auth,
    onBug,
    notReady,
  })
  const internalPort = internal.listen(config.INTERNAL_HOST, config.INTERNAL_PORT)
  const publicPort = open.listen(config.HOST, config.PORT)
  const internalUrl = config.INTERNAL_URL ?? urlOf(config.INTERNAL_HOST, internalPort)
  const publicUrl = config.PUBLIC_URL ?? urlOf(config.HOST, publicPort)
  log.info({ internalUrl, publicUrl, instance }, 'listening')

  function from(): Record<string, string> {
    return { 'x-live-edge': id, 'x-live-instance': instance, 'x-live-url': internalUrl }
  }

  function update(change: Partial<EdgeNode>): void {
    if (!node) return
    node = { ...node, ...change }
    announced.node?.set(printNode(node))
  }

  await live.connected()
  node = { id, instance, internalUrl, publicUrl, capacity: config.EDGE_CAPACITY, viewers: edge.viewers, state: 'up', startedAt: Date.now(), version: VERSION, wire: WIRE_VERSION }
  const announcement = new Announcer({ zk, log, path: `${EDGES}/${id}`, data: printNode(node), mayReplace: mayReplaceNode({ id, instance }, client) })
  announced.node = announcement
  announced.holdings = new Announcer({
    zk,
    log,
    path: `${HOLDINGS}/${id}`,
    data: printHoldings({ instance, videos: edge.subscriptions() }),
    mayReplace: mayReplaceHoldings({ id, instance }, announcement),
  })
  const drain = async () => {
    log.info({ viewers: edge.viewers }, 'draining')
    update({ state: 'draining' })
    await edge.drain(DRAIN_WINDOW_MS)
    log.info('drained')
  }
  const wish = new DrainWatch({
    zk,
    log,
    edgeId: id,
    instance,
    onWish(wished) {
      if (wished) return void drain()
      log.info('taking_viewers_again')
      edge.resume()
      update({ state: 'up' })
    },
  })

  await live.stopping
  wish.close()
  await drain()
  open.stopListening()
  edge.stop()
  await Promise.all([announced.holdings.close(), announcement.close()])
  internal.close()
  open.close()
  auth?.close()
  await live.close()
  log.info('stopped')
}
