import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { DispatcherPart } from '../../dispatcher/assemble.js'
import { DispatcherMetrics } from '../../dispatcher/metrics.js'
import { EdgePart } from '../../edge/assemble.js'
import { EdgeMetrics } from '../../edge/metrics.js'
import type { Entry } from '../../registry/entry.js'
import type { Change } from '../../registry/view.js'
import { systemClock } from '../../runtime/clock.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { internalServer } from '../../runtime/peers/internal-server.js'
import { MemoryStore } from '../dispatcher/memory-store.js'
import { Api } from './api.js'
import { runGateway, type RunningGateway } from './gateway.js'

/** A gateway, a dispatcher and an edge over real HTTP, but in this process, without ZooKeeper and with a store in memory:
 * it starts at once. It is for tests of what stands in front of a cluster. */
export class OneProcess extends Api {
  readonly url: string

  constructor(gateway: RunningGateway) {
    super()
    this.url = gateway.url
  }
}

/** Starts one that ends with `t`. */
export function startOneProcess(t: Test): OneProcess {
  const gateway = runGateway(t)
  const { view } = gateway
  const client = new InternalClient(undefined)
  t.after(() => client.close())
  const onBug = (error: unknown) => t.fail('a bug', { error })
  const common = { view, client, onBug, clock: systemClock, random: Math.random, viewLoaded: () => true, viewIsCurrent: () => true }
  const identityOf = (id: string) => ({ id, instance: `${id}-1`, version: '0' })

  /** The registry: what is entered is seen by all at once. */
  const enter = <T extends object>(value: T, changeOf: (value: T | undefined) => Change): Entry<T> => {
    const set = (value: T | undefined): number => {
      gateway.apply(changeOf(value))
      dispatcher.viewChanged(changeOf(value))
      edge.viewChanged()
      return 0
    }
    set(value)
    return { up: true, set, close: async () => void set(undefined) }
  }
  const serve = (part: DispatcherPart | EdgePart, id: string, metrics: Registry): string => {
    const server = internalServer({ token: undefined, metrics, identity: identityOf(id), notReady: () => part.notReady(), onBug })
    part.route(server)
    t.after(() => server.close())
    return `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
  }

  const dispatcherMetrics = new Registry()
  const dispatcher = new DispatcherPart({
    ...common,
    identity: identityOf('dispatcher'),
    store: new MemoryStore(),
    metrics: new DispatcherMetrics(dispatcherMetrics),
    announceNode: node => enter(node, node => ({ kind: 'dispatcher', id: 'dispatcher', node })),
  })
  t.after(() => dispatcher.dispatcher.close())
  const edgeMetrics = new Registry()
  const edge = new EdgePart({
    ...common,
    identity: identityOf('edge'),
    metrics: new EdgeMetrics(edgeMetrics),
    capacity: 1_000,
    gzip: { level: 6, minViewers: 4 },
    onPeerError: (_dispatcher, error) => t.comment(String(error)),
    announceNode: node => enter(node, node => ({ kind: 'edge', id: 'edge', node })),
    announceHoldings: holdings => enter(holdings, holdings => ({ kind: 'holdings', id: 'edge', holdings })),
  })
  t.after(() => edge.edge.stop())

  dispatcher.announce(serve(dispatcher, 'dispatcher', dispatcherMetrics))
  const internalUrl = serve(edge, 'edge', edgeMetrics)
  edge.listens({ internalUrl, publicUrl: internalUrl })
  edge.announce()
  return new OneProcess(gateway)
}
