import type { VideoId } from '../protocol/comment.js'
import type { EdgeNode } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import type { View } from '../registry/view.js'
import type { Pending } from './pending.js'

/** How much fuller than the least loaded an edge may be and still be given a new video. Wide enough that
 * gateways whose counts differ a little see mostly the same edges and so choose the same one, narrow enough
 * that the load stays level. */
const SLACK_VIEWERS = 1
const SLACK_SHARE = 1 / 16

export interface PlacementRules {
  /** Viewers of one video that one edge takes, so that a hot video spreads. */
  readonly videoShare: number
  /** Edges that this gateway cannot use now, whatever the view says. */
  readonly backedOff: (edge: EdgeNode) => boolean
  /** Where the video is being moved to. */
  readonly movedTo?: EdgeNode | undefined
}

/** An edge; `full`: there are edges to use, and none has room; `none`: there is no edge to use. */
export type Placement = EdgeNode | 'full' | 'none'

/** An edge that has viewers of the video. */
export interface Holder {
  readonly edge: EdgeNode
  readonly viewers: number
}

/** Where a viewer of the video goes: to the fullest edge that holds the video and has room, so that a video is
 * on as few edges as carry it; else to the first of the least loaded on the hash ring, from the video's point on. Where operators
 * have spread the video over N edges: to a new edge until so many hold it, then to the emptiest of the N fullest. */
export function place(view: View, videoId: VideoId, pending: Pending, rules: PlacementRules): Placement {
  return new Choice(view, videoId, pending, rules).made()
}

/** One placement, step by step. */
class Choice {
  readonly #view: View
  readonly #videoId: VideoId
  readonly #pending: Pending
  readonly #rules: PlacementRules
  /** Edges that hold the video, those that cannot be used among them. */
  readonly #holders = new Set<string>()
  /** Those that can be used. */
  readonly #held: Holder[] = []
  #anyUsable = false

  constructor(view: View, videoId: VideoId, pending: Pending, rules: PlacementRules) {
    this.#view = view
    this.#videoId = videoId
    this.#pending = pending
    this.#rules = rules
  }

  made(): Placement {
    const moved = this.#whereItMoves()
    if (moved) return moved
    const spread = this.#view.spreads.get(this.#videoId)
    this.#findHolders()
    const holder = ofHolders(this.#held, spread, ({ edge, viewers }) => this.#hasRoom(edge, viewers))
    if (holder && this.#held.length >= (spread ?? 1)) return holder
    return this.#newEdge() ?? holder ?? (this.#anyUsable ? 'full' : 'none')
  }

  /** Where the video is being moved to, if that edge can take the viewer. */
  #whereItMoves(): EdgeNode | undefined {
    const { movedTo } = this.#rules
    if (!movedTo) return undefined
    const edge = this.#view.edge(movedTo.id)
    if (edge?.instance !== movedTo.instance || !this.#isUsable(edge)) return undefined
    const announced = this.#view.holdingsOf(edge.id).get(this.#videoId) ?? 0
    const takesIt = announced > 0 || this.#pending.takesVideos(edge)
    return takesIt && this.#hasRoom(edge, this.#pending.videoViewers(edge, this.#videoId, announced)) ? edge : undefined
  }

  /** As the view has them, and then those that only this gateway knows of yet. */
  #findHolders(): void {
    for (const { edge, viewers } of this.#view.subscriptionsOf(this.#videoId)) this.#addHolder(edge, viewers)
    for (const { edgeId, instance } of this.#pending.holders(this.#videoId)) {
      const edge = this.#view.edge(edgeId)
      if (edge?.instance === instance && !this.#holders.has(edgeId)) this.#addHolder(edge, 0)
    }
  }

  #addHolder(edge: EdgeNode, announced: number): void {
    this.#holders.add(edge.id)
    if (!this.#isUsable(edge)) return
    this.#anyUsable = true
    this.#held.push({ edge, viewers: this.#pending.videoViewers(edge, this.#videoId, announced) })
  }

  /** The first on the hash ring of those near the lowest load; undefined where none has room. */
  #newEdge(): EdgeNode | undefined {
    const lowest = this.#lowestLoad()
    if (lowest === Infinity) return undefined
    const bound = lowest * (1 + SLACK_SHARE)
    for (const edge of this.#view.edgesFrom(this.#videoId)) {
      const most = Math.min(bound * edge.capacity + SLACK_VIEWERS, edge.capacity - 1)
      if (edge.viewers <= most && !this.#holders.has(edge.id) && this.#isUsable(edge) && this.#pending.viewers(edge) <= most && this.#pending.takesVideos(edge)) return edge
    }
    throw new Error('the least loaded edge is one of them')
  }

  /** The least viewers over capacity of an edge that takes a new video; Infinity where none does. Nearly every edge is ruled out as the
   * lowest by its announced count alone, which is the least it can hold: this runs for every new video, over every edge. */
  #lowestLoad(): number {
    let lowest = Infinity
    for (const edge of this.#view.edges()) {
      if (edge.viewers >= lowest * edge.capacity || this.#holders.has(edge.id) || !this.#isUsable(edge)) continue
      this.#anyUsable = true
      const viewers = this.#pending.viewers(edge)
      if (viewers < edge.capacity && this.#pending.takesVideos(edge)) lowest = Math.min(lowest, viewers / edge.capacity)
    }
    return lowest
  }

  #isUsable(edge: EdgeNode): boolean {
    return edge.state === 'up' && edge.wire === WIRE_VERSION && !this.#rules.backedOff(edge)
  }

  #hasRoom(edge: EdgeNode, viewers: number): boolean {
    return viewers < this.#rules.videoShare && this.#pending.viewers(edge) < edge.capacity
  }
}

function ofHolders(held: Holder[], spread: number | undefined, hasRoom: (holder: Holder) => boolean): EdgeNode | undefined {
  const emptiest = spread === undefined ? undefined : held.sort(fullestFirst).slice(0, spread).findLast(hasRoom)
  if (emptiest) return emptiest.edge
  let fullest: Holder | undefined
  for (const holder of held) if (hasRoom(holder) && (!fullest || fullestFirst(holder, fullest) < 0)) fullest = holder
  return fullest?.edge
}

/** Of equally full ones, the first by its id. */
export function fullestFirst(a: Holder, b: Holder): number {
  return b.viewers - a.viewers || (a.edge.id < b.edge.id ? -1 : 1)
}
