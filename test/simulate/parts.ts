import { pino } from 'pino'
import { Registry as Metrics } from 'prom-client'
import { DispatcherPart } from '../../dispatcher/assemble.js'
import { DispatcherMetrics } from '../../dispatcher/metrics.js'
import { EdgePart } from '../../edge/assemble.js'
import { EdgeMetrics } from '../../edge/metrics.js'
import { GatewayPart } from '../../gateway/assemble.js'
import { Limits } from '../../gateway/limits.js'
import type { SessionCounts } from '../../gateway/session.js'
import { Networks } from '../../runtime/http/address.js'
import { Clients } from '../../runtime/http/client-address.js'
import { json } from '../../runtime/http/reply.js'
import { Refusals } from '../../runtime/limits/refusals.js'
import type { Disk } from './disk.js'
import { Names } from './names.js'
import type { Network } from './network.js'
import type { Process } from './process.js'
import type { Receiver } from './receiver.js'
import type { Registry, Session } from './registry.js'
import type { Response } from './response.js'
import { Routes } from './routes.js'
import type { World } from './world.js'

/** What all parts of a cluster share. */
export interface Cluster {
  readonly world: World
  readonly network: Network
  readonly registry: Registry
  readonly disk: Disk
  /** Of a web hook, where there is one. */
  readonly receiver: Receiver | undefined
  readonly onBug: (process: string, error: unknown) => void
  readonly settings: Settings
}

export interface Settings {
  readonly maxPipeBytes: number
  readonly edgeCapacity: number
  readonly videoShare: number
  /** Viewers beyond its fair share that an edge may have before videos are moved. */
  readonly toleratedViewers: number
  /** What a slow link and slow viewers may cost, bytes: real limits would never be reached here. */
  readonly piecesBytes: number
  readonly groupsBytes: number
  readonly keptBytes: number
  readonly joinRate: number
  /** Share of edges that are of the former version: they have no links. */
  readonly formerEdges: number
  /** Share of gateways that are: they ask for none. */
  readonly formerGateways: number
  /** CPU that a write to a viewer takes, ms. */
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

/** A part as its own assemble.ts puts it together, with the simulation's clock, network, registry and disk. */
export type Start = (cluster: Cluster, process: Process, url: string) => Running

const identityOf = ({ name }: Process) => ({ id: name.split('.')[0]!, instance: name, version: '0' })

/** What every part has on its internal port. */
function internalRoutes({ onBug }: Cluster, process: Process): Routes {
  const routes = new Routes(error => onBug(process.name, error))
  routes.route('GET', '/internal/ping', () => json(identityOf(process)))
  return routes
}

export const startDispatcher: Start = (cluster, process, url) => {
  const { world, network, registry, disk, receiver, onBug, settings } = cluster
  const sizes: Record<string, () => number> = {}
  const metrics = new DispatcherMetrics(new Metrics())
  metrics.bytes = (name, _, read) => void (sizes[name] = read)
  const session = registry.open(process, ['edge', 'holdings', 'dispatcher'], change => part.viewChanged(change))
  const part = new DispatcherPart({
    identity: identityOf(process),
    store: disk.store(process),
    view: session.view,
    viewLoaded: () => session.loaded,
    viewIsCurrent: () => session.isCurrent,
    clock: process.clock,
    random: world.random.fork().next,
    client: network.client(process),
    hook: receiver?.hook(process),
    metrics,
    onBug: error => onBug(process.name, error),
    limits: { maxPipeBytes: settings.maxPipeBytes },
    announceNode: node => session.entry('dispatcher', node.id, node),
  })
  const routes = internalRoutes(cluster, process)
  part.route(routes)
  network.listeners.set(url, { process, handle: request => routes.handle(request) })
  part.announce(url)
  return {
    process,
    session,
    sizes: () => Object.fromEntries(Object.entries(sizes).map(([name, read]) => [name, read()])),
    stop: () => part.stop(),
  }
}

/** Lets each write take processor time. */
function costly(res: Response, process: Process, { writeCostMs }: Settings): Response {
  if (writeCostMs === 0) return res
  const write = res.write.bind(res)
  res.write = chunk => {
    process.burn(writeCostMs)
    return write(chunk)
  }
  return res
}

export const startEdge: Start = (cluster, process, url) => {
  const { world, network, registry, settings } = cluster
  const session = registry.open(process, ['dispatcher'], () => part.viewChanged())
  const part = new EdgePart({
    identity: identityOf(process),
    clock: process.clock,
    random: world.random.fork().next,
    view: session.view,
    viewLoaded: () => session.loaded,
    client: network.client(process),
    metrics: new EdgeMetrics(new Metrics()),
    capacity: settings.edgeCapacity,
    gzip: { level: 1, minViewers: 2 },
    pieceBytes: settings.piecesBytes,
    // As for real, groups go on long before a newcomer's next piece does.
    linkLimits: { piecesWaitBytes: Math.min(settings.piecesBytes, settings.groupsBytes / 2), groupsWaitBytes: settings.groupsBytes },
    onPeerError: () => {},
    announceNode: node => session.entry('edge', node.id, node),
    announceHoldings: holdings => session.entry('holdings', identityOf(process).id, holdings),
  })
  const routes = internalRoutes(cluster, process)
  part.route(routes)
  const isFormer = world.random.chance(settings.formerEdges)
  network.listeners.set(url, {
    process,
    ...(isFormer ? {} : { sockets: routes.sockets }),
    handle(request, res) {
      if (request.path === '/internal/batch') world.extraTurns = 2 // it leaves the server's callback by a turn of the real loop
      return routes.handle(request, res && costly(res, process, settings))
    },
  })
  part.listens({ internalUrl: url, publicUrl: url })
  part.announce()
  return {
    process,
    session,
    sizes: () => ({ viewers: part.edge.viewers, rooms: part.edge.rooms }),
    wish(wished) {
      if (wished) void part.drain()
      else part.resume()
    },
    async stop() {
      await part.drain()
      await part.leave()
    },
  }
}

/** How often it has had viewers brought up to date again. */
function replaysOf({ rejoins, replacements }: SessionCounts): number {
  return Object.values(replacements).reduce((sum, count) => sum + count, rejoins)
}

const UNLIMITED = { most: 0, local: false }

export const startGateway: Start = (cluster, process, url) => {
  const { world, network, registry, settings } = cluster
  const { clock } = process
  const session = registry.open(process, ['edge', 'holdings', 'dispatcher'], change => part.viewChanged(change))
  const metrics = new Metrics()
  const log = pino({ level: 'silent' })
  const part = new GatewayPart({
    clock,
    random: world.random.fork().next,
    view: session.view,
    viewLoaded: () => session.loaded,
    viewStaleMs: () => 0,
    client: network.client(process),
    connectLink: world.random.chance(settings.formerGateways) ? network.noLinks(process) : network.connectLink(process),
    connect: network.connect(process),
    metrics,
    keptBytes: settings.keptBytes,
    gzip: { level: 1, minViewers: 2 },
    videoShare: settings.videoShare,
    toleratedViewers: settings.toleratedViewers,
    joinRate: settings.joinRate,
    allowedOrigins: '*',
    identity: new Names(clock),
    viewerLimit: Infinity,
    limits: new Limits({ clock, refusals: new Refusals({ clock, log, metrics, name: 'gateway' }), postsPerAuthor: UNLIMITED, postsPerAddress: UNLIMITED, streamsPerAuthor: UNLIMITED, streamsPerAddress: UNLIMITED }),
    clients: new Clients({ clock, log, trusted: new Networks([]) }),
  })
  const routes = internalRoutes(cluster, process)
  part.route(routes)
  network.listeners.set(url, { process, handle: (request, res) => routes.handle(request, res && costly(res, process, settings)) })
  return {
    process,
    session,
    sizes: () => ({ waiting: part.gateway.sessions.waitingCount, joins: part.gateway.sessions.size, replays: replaysOf(part.gateway.sessions.counts) }),
    async stop() {
      await part.stop(world.random.between(0, 2_000))
      session.close()
    },
  }
}
