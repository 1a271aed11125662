import type { EdgeNode, Holdings } from '../protocol/nodes.js'
import { READS_ENTRIES, READS_HEADER } from '../protocol/posts.js'
import { WIRE_VERSION, type WireComment } from '../protocol/wire.js'
import type { Entry } from '../registry/entry.js'
import type { NodeIdentity } from '../registry/start.js'
import type { View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import type { Router } from '../runtime/http/server.js'
import type { SocketRouter } from '../runtime/http/socket.js'
import type { Caller } from '../runtime/peers/client.js'
import { pingWith } from '../runtime/peers/ping.js'
import { Edge, type EdgeDeps } from './edge.js'
import type { LinkLimits } from './gateway-link.js'
import { internalRoutes } from './server.js'

const DRAIN_WINDOW_MS = 3_000

export interface EdgePartDeps extends Pick<EdgeDeps, 'metrics' | 'gzip' | 'traces' | 'capacity' | 'edges' | 'onPeerError' | 'onRestart' | 'pieceBytes'> {
  readonly identity: NodeIdentity
  readonly clock: Clock
  /** 0 ≤ x < 1 */
  readonly random: () => number
  readonly view: View
  /** Whether the view has been read at all. */
  readonly viewLoaded: () => boolean
  readonly client: Caller
  /** Optional hook: no dispatcher has answered for a while, or one answers again. */
  readonly onStale?: ((stale: boolean) => void) | undefined
  /** Optional hook: called for each pushed comment. */
  readonly received?: ((comment: WireComment) => void) | undefined
  /** Of what may be unsent on a link; what is usual without. */
  readonly linkLimits?: LinkLimits
  readonly announceNode: (node: EdgeNode) => Entry<EdgeNode>
  readonly announceHoldings: (holdings: Holdings, node: Entry<EdgeNode>) => Entry<Holdings>
}

export interface EdgeAddresses {
  readonly internalUrl: string
  readonly publicUrl: string
}

/** An edge without its sockets and its process: main.ts gives it real ones, test/simulate virtual ones. */
export class EdgePart {
  readonly edge: Edge
  readonly #deps: EdgePartDeps
  #addresses: EdgeAddresses | undefined
  #announced: { node: EdgeNode; readonly nodeEntry: Entry<EdgeNode>; readonly holdings: Entry<Holdings> } | undefined

  constructor(deps: EdgePartDeps) {
    this.#deps = deps
    const { identity, client } = deps
    this.edge = new Edge({
      ...deps,
      ping: pingWith(client),
      send: (dispatcher, path, body, timeoutMs) => client.call(dispatcher.internalUrl, { to: dispatcher.instance, path, body, timeoutMs, headers: this.#from() }),
      announce: videos => {
        const bytes = this.#announced?.holdings.set({ instance: identity.instance, videos }) ?? 0
        this.#update({ viewers: this.edge.viewers })
        return bytes
      },
      onStale: stale => {
        deps.onStale?.(stale)
        this.#update({ stale })
      },
    })
  }

  /** Mounts what dispatchers, gateways and operators ask of it. */
  route(router: Router & SocketRouter): void {
    internalRoutes(router, this.edge, this.#deps.linkLimits)
  }

  viewChanged(): void {
    this.edge.viewChanged()
  }

  /** It can be reached there: its syncs say so. */
  listens(addresses: EdgeAddresses): void {
    this.#addresses = addresses
  }

  /** Enters the registry. */
  announce(): void {
    const { identity, clock, capacity, announceNode, announceHoldings } = this.#deps
    const { id, instance, version } = identity
    const node: EdgeNode = { id, instance, ...this.#addresses!, capacity, viewers: this.edge.viewers, state: 'up', startedAt: clock.wall(), version, wire: WIRE_VERSION, entries: true }
    const nodeEntry = announceNode(node)
    this.#announced = { node, nodeEntry, holdings: announceHoldings({ instance, videos: this.edge.subscriptions() }, nodeEntry) }
  }

  /** What a ping of it says besides who it is. */
  pong(): Record<string, unknown> {
    return { syncAgeMs: Math.round(this.edge.freshness.ageMs) }
  }

  /** Why it is not ready, or undefined when it is. */
  notReady(): string | undefined {
    const { draining, freshness } = this.edge
    if (draining) return 'draining'
    if (!this.#deps.viewLoaded() || !this.#announced?.nodeEntry.up) return 'waiting for the registry'
    return freshness.stale ? `no dispatcher has answered for ${Math.floor(freshness.ageMs / 1000)} s` : undefined
  }

  /** Hands all viewers back. Resolves when none is left, or the drain was called off. */
  drain(): Promise<void> {
    this.#update({ state: 'draining' })
    return this.edge.drain(DRAIN_WINDOW_MS)
  }

  /** Takes viewers again, after a drain that was called off. */
  resume(): void {
    this.edge.resume()
    this.#update({ state: 'up' })
  }

  /** Leaves the registry, once it is drained. */
  async leave(): Promise<void> {
    this.edge.stop()
    await Promise.all([this.#announced?.holdings.close(), this.#announced?.nodeEntry.close()])
  }

  /** Who syncs, since dispatchers may push to us before the registry shows us; and that we read what an answer says of a video's
   * state. */
  #from(): Record<string, string> {
    const { id, instance } = this.#deps.identity
    return { 'x-live-edge': id, 'x-live-instance': instance, 'x-live-url': this.#addresses?.internalUrl ?? '', [READS_HEADER]: READS_ENTRIES }
  }

  #update(change: Partial<EdgeNode>): void {
    if (!this.#announced) return
    this.#announced.node = { ...this.#announced.node, ...change }
    this.#announced.nodeEntry.set(this.#announced.node)
  }
}
