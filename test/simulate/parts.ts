import { Registry as Metrics } from 'prom-client'
import { Dispatcher } from '../../dispatcher/dispatcher.js'
import { DispatcherMetrics } from '../../dispatcher/metrics.js'
import { routeDispatcher } from '../../dispatcher/server.js'
import { Edge } from '../../edge/edge.js'
import { EdgeMetrics } from '../../edge/metrics.js'
import { internalRoutes } from '../../edge/server.js'
import { Gateway } from '../../gateway/gateway.js'
import { history } from '../../gateway/history.js'
import { openStream } from '../../gateway/open-stream.js'
import { acceptsGzip } from '../../protocol/gzip.js'
import { parseCursor } from '../../protocol/id.js'
import type { DispatcherNode, EdgeNode } from '../../protocol/nodes.js'
import { retryLine } from '../../protocol/sse.js'
import { WIRE_VERSION } from '../../protocol/wire.js'
import { json } from '../../runtime/http/reply.js'
import type { Disk } from './disk.js'
import type { Network } from './network.js'
import type { Process } from './process.js'
import type { Registry, Session } from './registry.js'
import { Routes } from './routes.js'
import type { World } from './world.js'

/** What all parts of a cluster share. */
export interface Cluster {
  readonly world: World
  readonly network: Network
  readonly registry: Registry
  readonly disk: Disk
  readonly onBug: (process: string, error: unknown) => void
  readonly settings: Settings
}

export interface Settings {
  readonly maxPipeBytes: number
  readonly edgeCapacity: number
  readonly videoShare: number
  readonly joinRate: number
  /** CPU that an edge's write to a viewer takes, ms. */
  readonly writeCostMs: number
}

/** One incarnation of a part, running. */
export interface Running {
  readonly process: Process
  readonly session: Session
  /** As SIGTERM has it. Resolves when it has stopped by itself. */
  readonly stop: () => Promise<void>
  /** An operator wishes it to drain, or no longer does. */
  readonly wish?: (wished: boolean) => void
  /** Bytes and counts that are bounded by the design, by name. */
  readonly sizes: () => Record<string, number>
}

/** As the parts' main.ts put them together, with the simulation's clock, network, registry and disk. */
export type Start = (cluster: Cluster, process: Process, url: string) => Running

const idOf = ({ name }: Process): string => name.split('.')[0]!

const sleep = (process: Process, ms: number): Promise<void> => new Promise(resolve => process.clock.after(ms, resolve))

export const startDispatcher: Start = ({ world, network, registry, disk, onBug, settings }, process, url) => {
  const id = idOf(process)
  const sizes: Record<string, () => number> = {}
  const metrics = new DispatcherMetrics(new Metrics())
  metrics.bytes = (name, _, read) => void (sizes[name] = read)
  const node: DispatcherNode = { id, instance: process.name, internalUrl: url, state: 'up', startedAt: 0, version: '0', wire: WIRE_VERSION }
  const session = registry.open(process, ['edge', 'holdings', 'dispatcher'], change => {
    if (change.kind === 'dispatcher') dispatcher.viewChanged()
  })
  const client = network.client(process)
  const dispatcher = new Dispatcher({
    self: id,
    store: disk.store(process),
    view: session.view,
    clock: process.clock,
    random: world.random.fork().next,
    send: (target, path, body, timeoutMs) => client.call(target.internalUrl, { path, body, timeoutMs }),
    metrics,
    onBug: error => onBug(process.name, error),
    limits: { maxPipeBytes: settings.maxPipeBytes },
  })
  const routes = new Routes(error => onBug(process.name, error))
  routeDispatcher(routes.asServer, dispatcher)
  network.listeners.set(url, { process, handle: request => routes.handle(request) })
  session.announce('dispatcher', id, node)
  return {
    process,
    session,
    sizes: () => Object.fromEntries(Object.entries(sizes).map(([name, read]) => [name, read()])),
    async stop() {
      session.announce('dispatcher', id, { ...node, state: 'draining' })
      await sleep(process, 300)
      await dispatcher.drain(5_000)
      session.close()
      await sleep(process, 50)
      dispatcher.close()
    },
  }
}

export const startEdge: Start = ({ world, network, registry, onBug, settings }, process, url) => {
  const id = idOf(process)
  let node: EdgeNode = { id, instance: process.name, internalUrl: url, publicUrl: url, capacity: settings.edgeCapacity, viewers: 0, state: 'up', startedAt: 0, version: '0', wire: WIRE_VERSION }
  const session = registry.open(process, ['dispatcher'], () => edge.viewChanged())
  const client = network.client(process)
  const headers = { 'x-live-edge': id, 'x-live-instance': process.name, 'x-live-url': url }
  const update = (change: Partial<EdgeNode>) => {
    node = { ...node, ...change }
    session.announce('edge', id, node)
  }
  const edge = new Edge({
    clock: process.clock,
    random: world.random.fork().next,
    view: session.view,
    metrics: new EdgeMetrics(new Metrics()),
    capacity: settings.edgeCapacity,
    gzip: { level: 1, minViewers: 2 },
    send: (dispatcher, path, body, timeoutMs) => client.call(dispatcher.internalUrl, { path, body, timeoutMs, headers }),
    onPeerError: () => {},
    announce(videos) {
      session.announce('holdings', id, { instance: process.name, videos })
      update({ viewers: edge.viewers })
      return videos.size * 20
    },
  })
  const routes = new Routes(error => onBug(process.name, error))
  internalRoutes(routes.asServer, edge)
  routes.route('GET', '/internal/ping', () => json({ id, instance: process.name, version: '0' }))
  network.listeners.set(url, {
    process,
    handle(request, res) {
      if (request.path === '/internal/batch') world.extraTurns = 2 // it leaves the server's callback by a turn of the real loop
      if (res && settings.writeCostMs > 0) {
        const write = res.write.bind(res)
        res.write = chunk => {
          process.burn(settings.writeCostMs)
          return write(chunk)
        }
      }
      return routes.handle(request, res)
    },
  })
  update({})
  session.announce('holdings', id, { instance: process.name, videos: new Map() })
  return {
    process,
    session,
    sizes: () => ({ viewers: edge.viewers, rooms: edge.rooms }),
    wish(wished) {
      update({ state: wished ? 'draining' : 'up' })
      if (wished) void edge.drain(1_000)
      else edge.resume()
    },
    async stop() {
      update({ state: 'draining' })
      await edge.drain(world.random.between(200, 3_000))
      edge.stop()
      session.close()
    },
  }
}

export const startGateway: Start = ({ world, network, registry, onBug, settings }, process, url) => {
  const session = registry.open(process, ['edge', 'holdings', 'dispatcher'], change => gateway.viewChanged(change))
  const random = world.random.fork().next
  const gateway = new Gateway({
    clock: process.clock,
    random,
    view: session.view,
    client: network.client(process),
    connect: network.connect(process),
    videoShare: settings.videoShare,
    joinRate: settings.joinRate,
  })
  let stopping = false
  const routes = new Routes(error => onBug(process.name, error))
  // As gateway/server.ts has them; that one makes its HTTP server itself.
  routes.route('GET', '/comments/:videoId', exchange => {
    const videoId = exchange.parameter(0)
    if (exchange.header('accept') === '') return history(gateway, videoId, exchange.query)
    if (stopping || !gateway.sessions.takesNewcomers) return { status: 200, body: retryLine(random) }
    const recent = exchange.query.get('recent')
    const gzip = acceptsGzip(exchange.header('accept-encoding'))
    openStream(gateway.sessions, exchange.res, { videoId, after: parseCursor(exchange.header('last-event-id')), recent: recent === null ? undefined : Number(recent), gzip }, [], { random })
    return undefined
  })
  routes.route('POST', '/comments/:videoId', exchange => gateway.poster.post(exchange.parameter(0), exchange.header('idempotency-key'), exchange.body(8_192)))
  network.listeners.set(url, { process, handle: (request, res) => routes.handle(request, res) })
  return {
    process,
    session,
    sizes: () => ({ waiting: gateway.sessions.waitingCount, joins: gateway.sessions.size }),
    async stop() {
      stopping = true
      await gateway.sessions.endAll(world.random.between(0, 2_000))
      while (gateway.poster.inFlight > 0) await sleep(process, 20)
      gateway.close()
      session.close()
    },
  }
}
