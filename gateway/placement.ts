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
  const spread = view.spreads.get(videoId)
  const holders = new Set<string>()
  const held: Holder[] = []
  const usable = (edge: EdgeNode) => edge.state === 'up' && edge.wire === WIRE_VERSION && !rules.backedOff(edge)
  let anyUsable = false
  const hasRoom = (edge: EdgeNode, viewers: number) => viewers < rules.videoShare && pending.viewers(edge) < edge.capacity
  const consider = (edge: EdgeNode, announced: number) => {
    holders.add(edge.id)
    if (!usable(edge)) return
    anyUsable = true
    held.push({ edge, viewers: pending.videoViewers(edge, videoId, announced) })
  }
  if (rules.movedTo) {
    const { id, instance } = rules.movedTo
    const edge = view.edge(id)
    const announced = view.holdingsOf(id).get(videoId) ?? 0
    if (edge?.instance === instance && usable(edge) && (announced > 0 || pending.takesVideos(edge)) && hasRoom(edge, pending.videoViewers(edge, videoId, announced))) return edge
  }
  for (const { edge, viewers } of view.subscriptionsOf(videoId)) consider(edge, viewers)
  for (const { edgeId, instance } of pending.holders(videoId)) {
    const edge = view.edge(edgeId)
    if (edge?.instance === instance && !holders.has(edgeId)) consider(edge, 0)
  }
  const known = ofHolders(held, spread, ({ edge, viewers }) => hasRoom(edge, viewers))
  if (known && held.length >= (spread ?? 1)) return known

  // A new edge, of those near the lowest load. Nearly every edge is ruled out as the lowest by its announced count
  // alone, which is the least it can hold: this runs for every new video, over every edge.
  let lowest = Infinity
  for (const edge of view.edges()) {
    if (edge.viewers >= lowest * edge.capacity || holders.has(edge.id) || !usable(edge)) continue
    anyUsable = true
    const viewers = pending.viewers(edge)
    if (viewers < edge.capacity && pending.takesVideos(edge)) lowest = Math.min(lowest, viewers / edge.capacity)
  }
  if (lowest === Infinity) return known ?? (anyUsable ? 'full' : 'none')
  const bound = lowest * (1 + SLACK_SHARE)
  for (const edge of view.edgesFrom(videoId)) {
    const most = Math.min(bound * edge.capacity + SLACK_VIEWERS, edge.capacity - 1)
    if (edge.viewers <= most && !holders.has(edge.id) && usable(edge) && pending.viewers(edge) <= most && pending.takesVideos(edge)) return edge
  }
  throw new Error('the least loaded edge is one of them')
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
