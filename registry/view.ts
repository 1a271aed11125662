import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode, EdgeNode, GatewayNode, Holdings, MemberNode } from '../protocol/nodes.js'
import type { FailoverOptions } from '../runtime/peers/failover.js'
import { HashRing } from './hash-ring.js'

/** How long a node stays in view after it vanished while `up`. A ZooKeeper that was frozen or away expires every session at
 * once; no viewer may lose its stream for that. */
export const LINGER_MS = 10_000

/** One entry of the registry as it is now; undefined when it is gone. */
export type Change =
  | { readonly kind: 'edge'; readonly id: string; readonly node: EdgeNode | undefined }
  | { readonly kind: 'holdings'; readonly id: string; readonly holdings: Holdings | undefined }
  | { readonly kind: 'dispatcher'; readonly id: string; readonly node: DispatcherNode | undefined }
  | { readonly kind: 'gateway'; readonly id: string; readonly node: GatewayNode | undefined }

/** One video's viewers on one edge. */
export interface Subscription {
  readonly edge: EdgeNode
  readonly viewers: number
}

interface Edge {
  /** Undefined while only its holdings are announced. */
  node: EdgeNode | undefined
  /** Its holdings as they are in `#holders`: those of the node's own instance, or none. */
  indexed: ReadonlyMap<VideoId, number>
  /** As last announced. They are kept while the node is in view, also when their entry is gone. */
  holdings: Holdings | undefined
  /** The entry of the holdings is there now. */
  holdingsAnnounced: boolean
  /** When the node vanished, monotonic ms; undefined while it is announced. */
  vanishedAt: number | undefined
}

interface Dispatcher {
  node: DispatcherNode
  /** When it vanished, monotonic ms; undefined while it is announced. */
  vanishedAt: number | undefined
}

const NO_VIDEOS: ReadonlyMap<VideoId, number> = new Map()

/** Who is there and who holds what, as far as this process has seen. The view may be late, and proves nothing about life: a
 * node in view may be dead, and a node that is missing may be alive. */
export class View {
  readonly #edges = new Map<string, Edge>()
  /** The answer of `edges`, kept until an edge changes: every new video asks for it. */
  #edgeList: readonly EdgeNode[] | undefined
  /** The ring of the edges in view, kept until one comes or goes. */
  #edgeRing: HashRing | undefined
  readonly #dispatchers = new Map<string, Dispatcher>()
  readonly #gateways = new Map<string, GatewayNode>()
  /** videoId → the edges that hold it, with their viewers. Nearly every video is on one edge, so that a Map for each would
   * take more memory than all the rest. */
  readonly #holders = new Map<VideoId, { edge: Edge; viewers: number }[]>()

  edge(id: string): EdgeNode | undefined {
    return this.#edges.get(id)?.node
  }

  /** Edges that are announced or linger, draining ones included. */
  edges(): readonly EdgeNode[] {
    this.#edgeList ??= [...this.#edges.values()].flatMap(({ node }) => node ?? [])
    return this.#edgeList
  }

  /** The same edges, in the order of a walk around the hash ring from the key's point on. */
  *edgesFrom(key: string): Generator<EdgeNode> {
    this.#edgeRing ??= new HashRing(this.edges().map(({ id }) => id))
    for (const id of this.#edgeRing.from(key)) yield this.#edges.get(id)!.node!
  }

  /** The videos that an edge says it holds, with their viewers. */
  holdingsOf(edgeId: string): ReadonlyMap<VideoId, number> {
    return this.#edges.get(edgeId)?.indexed ?? NO_VIDEOS
  }

  /** Dispatchers that take work: they are announced or linger, and do not drain. */
  *dispatchers(): Generator<DispatcherNode> {
    for (const { node } of this.#dispatchers.values()) if (node.state === 'up') yield node
  }

  /** Dispatchers that are announced or linger, draining ones included. */
  *allDispatchers(): Generator<DispatcherNode> {
    for (const { node } of this.#dispatchers.values()) yield node
  }

  dispatcher(id: string): DispatcherNode | undefined {
    return this.#dispatchers.get(id)?.node
  }

  /** Gateways that are announced. Nothing depends on them, so none lingers. */
  gateways(): Iterable<GatewayNode> {
    return this.#gateways.values()
  }

  subscriptionsOf(videoId: VideoId): Subscription[] {
    const holders = this.#holders.get(videoId)
    return holders ? holders.map(({ edge, viewers }) => ({ edge: edge.node!, viewers })) : []
  }

  viewersOf(videoId: VideoId): number {
    let viewers = 0
    for (const holder of this.#holders.get(videoId) ?? []) viewers += holder.viewers
    return viewers
  }

  /** Every video that an edge in view holds. */
  videos(): Iterable<VideoId> {
    return this.#holders.keys()
  }

  get videoCount(): number {
    return this.#holders.size
  }

  /** @param now monotonic ms */
  apply(change: Change, now: number): void {
    switch (change.kind) {
      case 'edge':
        return this.#applyEdge(change.id, change.node, now)
      case 'holdings':
        return this.#applyHoldings(change.id, change.holdings)
      case 'dispatcher':
        return this.#applyDispatcher(change.id, change.node, now)
      case 'gateway':
        if (change.node) this.#gateways.set(change.id, change.node)
        else this.#gateways.delete(change.id)
    }
  }

  /** Forgets the nodes that have lingered long enough. @param now monotonic ms @returns for each the same change as when it
   * vanished */
  expire(now: number): Change[] {
    const forgotten: Change[] = []
    const due = (vanishedAt: number | undefined) => vanishedAt !== undefined && now - vanishedAt >= LINGER_MS
    for (const [id, edge] of this.#edges) {
      if (!due(edge.vanishedAt)) continue
      this.#forgetEdge(id, edge)
      forgotten.push({ kind: 'edge', id, node: undefined })
    }
    for (const [id, { vanishedAt }] of this.#dispatchers) {
      if (!due(vanishedAt)) continue
      this.#dispatchers.delete(id)
      forgotten.push({ kind: 'dispatcher', id, node: undefined })
    }
    return forgotten
  }

  /** A connection to the node was refused: a node that has vanished lingers no longer. @returns whether it was forgotten */
  refused(id: string, instance: string): boolean {
    const edge = this.#edges.get(id)
    if (edge?.vanishedAt !== undefined && edge.node?.instance === instance) {
      this.#forgetEdge(id, edge)
      return true
    }
    const dispatcher = this.#dispatchers.get(id)
    if (dispatcher?.vanishedAt !== undefined && dispatcher.node.instance === instance) return this.#dispatchers.delete(id)
    return false
  }

  /** Whether the node has vanished and is still in view. */
  lingers(id: string): boolean {
    return this.#edges.get(id)?.vanishedAt !== undefined || this.#dispatchers.get(id)?.vanishedAt !== undefined
  }

  #applyEdge(id: string, node: EdgeNode | undefined, now: number): void {
    this.#edgeList = undefined
    const edge = this.#edges.get(id)
    if (node) {
      const kept = edge ?? this.#newEdge(id)
      if (!kept.node) this.#edgeRing = undefined
      kept.node = node
      kept.vanishedAt = undefined
      this.#index(kept)
    } else if (edge?.node) {
      if (edge.node.state === 'draining') this.#forgetEdge(id, edge)
      else edge.vanishedAt ??= now
    }
  }

  /** Holdings that vanish leave the index as it is. At the end of a session they and the edge's node go one after the other,
   * and an edge that holds nothing announces that. */
  #applyHoldings(id: string, holdings: Holdings | undefined): void {
    const edge = this.#edges.get(id)
    if (holdings) {
      const kept = edge ?? this.#newEdge(id)
      kept.holdings = holdings
      kept.holdingsAnnounced = true
      this.#index(kept)
    } else if (edge) {
      edge.holdingsAnnounced = false
      if (!edge.node) this.#edges.delete(id)
    }
  }

  #applyDispatcher(id: string, node: DispatcherNode | undefined, now: number): void {
    const known = this.#dispatchers.get(id)
    if (node) this.#dispatchers.set(id, { node, vanishedAt: undefined })
    else if (known?.node.state === 'draining') this.#dispatchers.delete(id)
    else if (known) known.vanishedAt ??= now
  }

  #newEdge(id: string): Edge {
    const edge: Edge = { node: undefined, indexed: NO_VIDEOS, holdings: undefined, holdingsAnnounced: false, vanishedAt: undefined }
    this.#edges.set(id, edge)
    return edge
  }

  /** Keeps holdings that are still announced: an edge that announces itself again may write them before its node. */
  #forgetEdge(id: string, edge: Edge): void {
    edge.node = undefined
    this.#edgeList = undefined
    this.#edgeRing = undefined
    edge.vanishedAt = undefined
    this.#index(edge)
    if (!edge.holdingsAnnounced) this.#edges.delete(id)
  }

  /** Brings `#holders` up to date with the edge's holdings, where they have changed. */
  #index(edge: Edge): void {
    const next = edge.node && edge.holdings?.instance === edge.node.instance ? edge.holdings.videos : NO_VIDEOS
    if (next === edge.indexed) return
    for (const videoId of edge.indexed.keys()) if (!next.has(videoId)) this.#setHolder(videoId, edge, undefined)
    for (const [videoId, viewers] of next) if (edge.indexed.get(videoId) !== viewers) this.#setHolder(videoId, edge, viewers)
    edge.indexed = next
  }

  #setHolder(videoId: VideoId, edge: Edge, viewers: number | undefined): void {
    const holders = this.#holders.get(videoId)
    const holder = holders?.find(each => each.edge === edge)
    if (viewers === undefined) {
      if (!holders || !holder) return
      if (holders.length === 1) this.#holders.delete(videoId)
      else holders.splice(holders.indexOf(holder), 1)
    } else if (holder) holder.viewers = viewers
    else if (holders) holders.push({ edge, viewers })
    else this.#holders.set(videoId, [{ edge, viewers }])
  }
}

/** What a Failover asks the view about its peers, and tells it. @param find the peer of that id in the view */
export function peersIn(view: View, find: (id: string) => MemberNode | undefined): Pick<FailoverOptions, 'known' | 'onRefused'> {
  return {
    known: ({ id, instance }) => find(id)?.instance === instance,
    onRefused: ({ id, instance }) => void view.refused(id, instance),
  }
}
