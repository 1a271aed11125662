import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { GatewayPart, type GatewayPartDeps } from '../../gateway/assemble.js'
import type { Gateway } from '../../gateway/gateway.js'
import { Limits } from '../../gateway/limits.js'
import { linkWith } from '../../gateway/link-socket.js'
import { connectWith } from '../../gateway/relay.js'
import type { DispatcherNode, EdgeNode } from '../../protocol/nodes.js'
import { View, type Change } from '../../registry/view.js'
import { systemClock } from '../../runtime/clock.js'
import { HttpServer } from '../../runtime/http/server.js'
import type { Limit } from '../../runtime/limits/limit.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { clients, connections, refusals, set } from './limits.js'

export interface RunningGateway {
  readonly url: string
  readonly part: GatewayPart
  readonly gateway: Gateway
  readonly server: HttpServer
  readonly register: Registry
  readonly view: View
  /** Shows a node, or that it has vanished. */
  readonly apply: (change: Change) => void
}

export interface GatewayGiven extends Partial<Pick<GatewayPartDeps, 'allowedOrigins' | 'identity' | 'viewerLimit' | 'viewLoaded' | 'viewStaleMs'>> {
  /** As it would be set in the environment: it holds for this machine too. 0 where it is not given. */
  readonly limits?: Partial<Record<'postsPerAuthor' | 'postsPerAddress' | 'streamsPerAuthor' | 'streamsPerAddress' | 'connectionsPerAddress', number | Limit>>
  readonly trustedProxies?: string
  /** Connections that it may have open. */
  readonly room?: number
  readonly edges?: readonly EdgeNode[]
  readonly dispatchers?: readonly DispatcherNode[]
}

/** A gateway in this process, over real HTTP, with a view that the test writes. */
export function runGateway(t: Test, { edges = [], dispatchers = [], limits = {}, trustedProxies = '', room = Infinity, ...given }: GatewayGiven = {}): RunningGateway {
  const view = new View()
  const client = new InternalClient(undefined)
  t.after(() => client.close())
  const register = new Registry()
  const limit = (name: keyof typeof limits): Limit => {
    const most = limits[name] ?? 0
    return typeof most === 'number' ? set(most) : most
  }
  const counted = refusals(register)
  const part = new GatewayPart({
    clock: systemClock,
    random: Math.random,
    view,
    client,
    connectLink: linkWith(client),
    connect: connectWith(client),
    metrics: register,
    gzip: { level: 6, minViewers: 4 },
    videoShare: 10_000,
    joinRate: 1_000,
    limits: new Limits({
      clock: systemClock,
      refusals: counted,
      postsPerAuthor: limit('postsPerAuthor'),
      postsPerAddress: limit('postsPerAddress'),
      streamsPerAuthor: limit('streamsPerAuthor'),
      streamsPerAddress: limit('streamsPerAddress'),
    }),
    clients: clients(trustedProxies),
    allowedOrigins: '*',
    viewerLimit: 1_000,
    viewLoaded: () => true,
    viewStaleMs: () => 0,
    ...given,
  })
  const { gateway } = part
  t.after(() => gateway.close())
  const apply = (change: Change) => {
    view.apply(change, 0)
    part.viewChanged(change)
  }
  for (const node of edges) apply({ kind: 'edge', id: node.id, node })
  for (const node of dispatchers) apply({ kind: 'dispatcher', id: node.id, node })
  const server = new HttpServer({
    headers: part.headers,
    connections: connections({ perAddress: limit('connectionsPerAddress'), trusted: trustedProxies, room, counted }),
    onBug: error => t.fail('a bug', { error }),
  })
  part.route(server)
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`, part, gateway, server, register, view, apply }
}
