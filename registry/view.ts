import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode, EdgeNode, Holdings } from '../protocol/nodes.js'
import { HashRing } from './hash-ring.js'

/** A node that vanishes while `up` stays in view this long: a ZooKeeper that was frozen or away expires every
 * session at once, and nobody's viewers may be dropped for that. */
export const LINGER_MS = 10_000

export type Change =
  | { readonly kind: 'edge'; readonly id: string; readonly node: EdgeNode | undefined }
  | { readonly kind: 'holdings'; readonly id: string; readonly holdings: Holdings | undefined }
  | { readonly kind: 'dispatcher'; readonly id: string; readonly node: DispatcherNode | undefined }

/** One video's viewers on one edge. */
export interface Subscription {
  readonly edge: EdgeNode
  readonly viewers: number
}

interface Edge {
  node: EdgeNode | undefined
  /** What the index holds of it: the holdings of the node's own instance. */
  indexed: ReadonlyMap<VideoId, number>
  holdings: Holdings | undefined
  /** The holdings are announced; those that are not are kept while the node is in view. */
  holdingsAnnounced: boolean
  /** When it vanished, monotonic ms; undefined while it is announced. */
  vanishedAt: number | undefined
}

interface Dispatcher {
  node: DispatcherNode
  vanishedAt: number | undefined
}

const NOTHING: ReadonlyMap<VideoId, number> = new Map()

/** Who is there and who holds what, as far as this process has seen. It may be late; it is never a proof of
 * life: a node in view may be dead, and one that is missing may be alive. */
export class View {
  readonly #edges = new Map<string, Edge>()
  /** What `edges` answers, until one changes: it is asked for every new video. */
  #edgeList: readonly EdgeNode[] | undefined
  /** Of the edges in view, until one comes or goes. */
  #edgeRing: HashRing | undefined
  readonly #dispatchers = new Map<string, Dispatcher>()
  /** videoId → edge id → viewers, as pairs: nearly every video is on one edge, and a Map each would cost more than the rest. */
  readonly #holders = new Map<VideoId, { edge: Edge; viewers: number }[]>()

  edge(id: string): EdgeNode | undefined {
    return this.#edges.get(id)?.node
  }

  /** Edges that are announced or lingering, draining ones too. */
  edges(): readonly EdgeNode[] {
    this.#edgeList ??= [...this.#edges.values()].flatMap(({ node }) => node ?? [])
    return this.#edgeList
  }

  /** The same, in the order of a walk round the hash ring from the key's point on. */
  *edgesFrom(key: string): Generator<EdgeNode> {
    this.#edgeRing ??= new HashRing(this.edges().map(({ id }) => id))
    for (const id of this.#edgeRing.from(key)) yield this.#edges.get(id)!.node!
  }

  /** The videos an edge says it holds. */
  holdingsOf(edgeId: string): ReadonlyMap<VideoId, number> {
    return this.#edges.get(edgeId)?.indexed ?? NOTHING
  }

  /** Dispatchers that take work: announced or lingering, not draining. */
  *dispatchers(): Generator<DispatcherNode> {
    for (const { node } of this.#dispatchers.values()) if (node.state === 'up') yield node
  }

  /** Every dispatcher, draining ones too. */
  *allDispatchers(): Generator<DispatcherNode> {
    for (const { node } of this.#dispatchers.values()) yield node
  }

  dispatcher(id: string): DispatcherNode | undefined {
    return this.#dispatchers.get(id)?.node
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

  /** Every video that some edge holds. */
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
    }
  }

  /** Forgets who has lingered long enough. @returns who: the same changes as when they vanished */
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

  /** Connecting to a node was refused: if it has vanished it need not linger. @returns whether it was forgotten */
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

  /** Whether the node has vanished and only lingers. */
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

  /** Holdings that vanish change nothing: they and their edge's node go one by one when a session ends, and an
   * edge that holds nothing says so. */
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
    const edge: Edge = { node: undefined, indexed: NOTHING, holdings: undefined, holdingsAnnounced: false, vanishedAt: undefined }
    this.#edges.set(id, edge)
    return edge
  }

  /** Holdings that are still announced wait for a node of their instance: an edge that announces itself again may
   * write them first. */
  #forgetEdge(id: string, edge: Edge): void {
    edge.node = undefined
    this.#edgeList = undefined
    this.#edgeRing = undefined
    edge.vanishedAt = undefined
    this.#index(edge)
    if (!edge.holdingsAnnounced) this.#edges.delete(id)
  }

  /** Brings the index up to the edge's holdings, touching only what changed. */
  #index(edge: Edge): void {
    const next = edge.node && edge.holdings?.instance === edge.node.instance ? edge.holdings.videos : NOTHING
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
