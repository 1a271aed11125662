import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode, EdgeNode, GatewayNode, Holdings, MemberNode } from '../protocol/nodes.js'
import type { FailoverOptions } from '../runtime/peers/failover.js'
import { HashRing } from './hash-ring.js'

/** How long a node stays in view after it vanished while `up`. A ZooKeeper that was frozen or away expires every session at
 * once; no viewer may lose its stream for that. */
export const LINGER_MS = 10_000
/** Of that, an edge's viewers are counted for so long: a live one is announced again by then, and a dead one's viewers are counted
 * where they have gone. */
export const COUNTED_MS = 2_000

/** One entry of the registry as it is now; undefined when it is gone. */
export type Change =
  | { readonly kind: 'edge'; readonly id: string; readonly node: EdgeNode | undefined }
  | { readonly kind: 'holdings'; readonly id: string; readonly holdings: Holdings | undefined }
  | { readonly kind: 'dispatcher'; readonly id: string; readonly node: DispatcherNode | undefined }
  | { readonly kind: 'gateway'; readonly id: string; readonly node: GatewayNode | undefined }
  | { readonly kind: 'spread'; readonly id: VideoId; readonly edges: number | undefined }
  | { readonly kind: 'home'; readonly id: VideoId; readonly cluster: string | undefined }
  | { readonly kind: 'rebalance'; readonly id: string; readonly until: number | undefined }

/** One video's viewers on one edge. */
export interface Subscription {
  readonly edge: EdgeNode
  readonly viewers: number
  /** The edge is taken to be alive: these are among the video's viewers. */
  readonly isCounted: boolean
}

interface Edge {
  /** Undefined while only its holdings are announced. */
  node: EdgeNode | undefined
  /** As last announced. They are kept while the node is in view, also when their entry is gone. The map is the view's own
   * and is changed in place: with a new one for each announcement, a third of a gateway's memory would be garbage. */
  holdings: { readonly instance: string; readonly videos: Map<VideoId, number> } | undefined
  /** Its holdings are in `#holders`: they are of the node's own instance. */
  isIndexed: boolean
  /** The entry of the holdings is there now. */
  holdingsAnnounced: boolean
  /** When the node vanished, monotonic ms; undefined while it is announced. */
  vanishedAt: number | undefined
  /** False from when it has been gone for a while, or nothing listens at its address, until it is announced anew. */
  isCounted: boolean
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
  /** The answer of `dispatchers`, kept until one changes: every post asks for it. */
  #working: readonly DispatcherNode[] | undefined
  readonly #gateways = new Map<string, GatewayNode>()
  readonly #spreads = new Map<VideoId, number>()
  readonly #homes = new Map<VideoId, string>()
  /** Until when operators want all edges to have their share of viewers, Unix ms. */
  rebalanceUntil = 0
  /** videoId → the edges that hold it; their viewers are in the edges' own holdings. Nearly every video is on one edge: a list
   * for each would take more memory than all the rest. */
  readonly #holders = new Map<VideoId, Edge | Edge[]>()

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

  /** The videos that an edge says it holds, with their viewers, in no certain order: as they are now, and as they change later. */
  holdingsOf(edgeId: string): ReadonlyMap<VideoId, number> {
    const edge = this.#edges.get(edgeId)
    return edge?.isIndexed ? edge.holdings!.videos : NO_VIDEOS
  }

  /** Dispatchers that take work: they are announced or linger, and do not drain. The same list until one changes. */
  dispatchers(): readonly DispatcherNode[] {
    this.#working ??= [...this.#dispatchers.values()].flatMap(({ node }) => (node.state === 'up' ? node : []))
    return this.#working
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

  /** On how many edges operators want a video's viewers, where they have said so. */
  get spreads(): ReadonlyMap<VideoId, number> {
    return this.#spreads
  }

  /** The clusters that operators have made the homes of videos. */
  get homes(): ReadonlyMap<VideoId, string> {
    return this.#homes
  }

  subscriptionsOf(videoId: VideoId): Subscription[] {
    const holders = this.#holders.get(videoId)
    if (holders === undefined) return []
    return Array.isArray(holders) ? holders.map(edge => subscription(edge, videoId)) : [subscription(holders, videoId)]
  }

  /** Those of edges that are taken to be alive: their viewers are the video's. */
  countedSubscriptionsOf(videoId: VideoId): Subscription[] {
    return this.subscriptionsOf(videoId).filter(({ isCounted }) => isCounted)
  }

  /** The video's viewers on all edges that are taken to be alive, but for one. */
  viewersOf(videoId: VideoId, butEdgeId?: string): number {
    const but = butEdgeId === undefined ? undefined : this.#edges.get(butEdgeId)
    const counted = (edge: Edge) => (edge.isCounted && edge !== but ? viewersOn(edge, videoId) : 0)
    const holders = this.#holders.get(videoId)
    if (holders === undefined) return 0
    return Array.isArray(holders) ? holders.reduce((sum, edge) => sum + counted(edge), 0) : counted(holders)
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
        return
      case 'spread':
        if (change.edges === undefined) this.#spreads.delete(change.id)
        else this.#spreads.set(change.id, change.edges)
        return
      case 'home':
        if (change.cluster === undefined) this.#homes.delete(change.id)
        else this.#homes.set(change.id, change.cluster)
        return
      case 'rebalance':
        this.rebalanceUntil = change.until ?? 0
    }
  }

  /** Forgets the nodes that have lingered long enough. @param now monotonic ms @returns for each the same change as when it
   * vanished */
  expire(now: number): Change[] {
    const forgotten: Change[] = []
    const due = (vanishedAt: number | undefined) => vanishedAt !== undefined && now - vanishedAt >= LINGER_MS
    for (const [id, edge] of this.#edges) {
      if (edge.vanishedAt !== undefined && now - edge.vanishedAt >= COUNTED_MS) edge.isCounted = false
      if (!due(edge.vanishedAt)) continue
      this.#forgetEdge(id, edge)
      forgotten.push({ kind: 'edge', id, node: undefined })
    }
    for (const [id, { vanishedAt }] of this.#dispatchers) {
      if (!due(vanishedAt)) continue
      this.#forgetDispatcher(id)
      forgotten.push({ kind: 'dispatcher', id, node: undefined })
    }
    return forgotten
  }

  /** A connection to the node was refused: a node that has vanished lingers no longer, and an edge's viewers are not counted.
   * @returns whether it was forgotten */
  refused(id: string, instance: string): boolean {
    const edge = this.#edges.get(id)
    if (edge?.node?.instance === instance) {
      edge.isCounted = false
      if (edge.vanishedAt !== undefined) {
        this.#forgetEdge(id, edge)
        return true
      }
    }
    const dispatcher = this.#dispatchers.get(id)
    if (dispatcher?.vanishedAt !== undefined && dispatcher.node.instance === instance) {
      this.#forgetDispatcher(id)
      return true
    }
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
      kept.isCounted = true
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
      kept.holdingsAnnounced = true
      if (kept.holdings?.instance === holdings.instance) return this.#patch(kept, holdings.videos)
      this.#unindex(kept)
      kept.holdings = { instance: holdings.instance, videos: new Map(holdings.videos) }
      this.#index(kept)
    } else if (edge) {
      edge.holdingsAnnounced = false
      if (!edge.node) this.#edges.delete(id)
    }
  }

  #applyDispatcher(id: string, node: DispatcherNode | undefined, now: number): void {
    const known = this.#dispatchers.get(id)
    if (node) {
      this.#dispatchers.set(id, { node, vanishedAt: undefined })
      this.#working = undefined
    } else if (known?.node.state === 'draining') this.#forgetDispatcher(id)
    else if (known) known.vanishedAt ??= now
  }

  #forgetDispatcher(id: string): void {
    this.#dispatchers.delete(id)
    this.#working = undefined
  }

  #newEdge(id: string): Edge {
    const edge: Edge = { node: undefined, holdings: undefined, isIndexed: false, holdingsAnnounced: false, vanishedAt: undefined, isCounted: true }
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

  /** Puts the edge's holdings into `#holders`, or takes them out, where its node has changed. */
  #index(edge: Edge): void {
    if (!edge.holdings || edge.holdings.instance !== edge.node?.instance) return this.#unindex(edge)
    if (edge.isIndexed) return
    edge.isIndexed = true
    for (const videoId of edge.holdings.videos.keys()) this.#addHolder(videoId, edge)
  }

  #unindex(edge: Edge): void {
    if (!edge.isIndexed) return
    edge.isIndexed = false
    for (const videoId of edge.holdings!.videos.keys()) this.#removeHolder(videoId, edge)
  }

  /** Brings the edge's holdings up to date with a later list of the same instance. */
  #patch(edge: Edge, next: ReadonlyMap<VideoId, number>): void {
    const { videos } = edge.holdings!
    for (const [videoId, viewers] of next) {
      const known = videos.get(videoId)
      if (known === viewers) continue
      videos.set(videoId, viewers)
      if (known === undefined && edge.isIndexed) this.#addHolder(videoId, edge)
    }
    if (videos.size === next.size) return
    for (const videoId of videos.keys()) {
      if (next.has(videoId)) continue
      videos.delete(videoId)
      if (edge.isIndexed) this.#removeHolder(videoId, edge)
    }
  }

  #addHolder(videoId: VideoId, edge: Edge): void {
    const holders = this.#holders.get(videoId)
    if (Array.isArray(holders)) holders.push(edge)
    else this.#holders.set(videoId, holders ? [holders, edge] : edge)
  }

  #removeHolder(videoId: VideoId, edge: Edge): void {
    const holders = this.#holders.get(videoId)
    if (!Array.isArray(holders)) this.#holders.delete(videoId)
    else if (holders.length === 2) this.#holders.set(videoId, holders.find(each => each !== edge)!)
    else holders.splice(holders.indexOf(edge), 1)
  }
}

function subscription(edge: Edge, videoId: VideoId): Subscription {
  return { edge: edge.node!, viewers: viewersOn(edge, videoId), isCounted: edge.isCounted }
}

function viewersOn(edge: Edge, videoId: VideoId): number {
  return edge.holdings!.videos.get(videoId)!
}

/** What a Failover asks the view about its peers, and tells it. @param find the peer of that id in the view */
export function peersIn(view: View, find: (id: string) => MemberNode | undefined): Pick<FailoverOptions, 'known' | 'onRefused'> {
  return {
    known: ({ id, instance }) => find(id)?.instance === instance,
    onRefused: ({ id, instance }) => void view.refused(id, instance),
  }
}
