import type { VideoId } from '../protocol/comment.js'
import type { EdgeNode } from '../protocol/nodes.js'
import type { Change } from '../registry/view.js'

/** An announcement seen this long after a viewer arrived at its edge was made after it: what an edge writes is
 * in every view well within it. */
export const SETTLE_MS = 250
/** An edge's count at rest is exact within 2 s; a placement that no announcement covers by now never moved one. */
export const FRESH_MS = 5_000
/** An edge that said it was full is not asked again before this, unless it announces itself. */
export const FULL_MS = 2_000

interface Load {
  /** All our viewers there now. */
  own: number
  /** Those of them that the announced count does not cover yet. */
  fresh: number
}

interface PendingEdge extends Load {
  readonly edgeId: string
  readonly instance: string
  readonly videos: Map<VideoId, PendingVideo>
  /** In order of arrival, for the edge's count and for the video's: they are announced apart. */
  readonly freshInEdge: Set<Placed>
  readonly freshInVideo: Set<Placed>
}

interface PendingVideo extends Load {
  readonly edgeId: string
  readonly instance: string
  /** Those whom the edge has answered. */
  arrived: number
}

/** An edge said that it was full. */
interface Refusal {
  readonly instance: string
  readonly at: number
  /** To a viewer of a video that it held: it takes nobody. Else it may be only that its list of videos is full. */
  readonly isOfAll: boolean
}

interface Placed {
  readonly edge: PendingEdge
  readonly video: PendingVideo
  readonly placedAt: number
  arrivedAt: number | undefined
  gone: boolean
}

/** One viewer on the edge it was placed on. */
export interface PlacedViewer {
  /** The edge has answered: from now on its announcements may count this viewer. */
  arrived(now: number): void
  /** The edge said that it was full: the viewer is no longer there. @param isHeld as far as is announced, it holds the video */
  refused(isHeld: boolean, now: number): void
  /** The viewer is no longer there. */
  left(): void
}

/** This gateway's own placements, added to the announced counts until an announcement made after them is seen:
 * stale counts must not send a crowd to one edge. Beyond that no edge is taken to hold fewer viewers than we
 * ourselves relay from it, which keeps the counts honest while the registry is away. And an edge that has refused one viewer
 * as full is taken to be so for the next, until it announces itself: with hundreds of edges that is seconds away. */
export class Pending {
  readonly #edges = new Map<string, PendingEdge>()
  readonly #holders = new Map<VideoId, PendingVideo[]>()
  readonly #refusals = new Map<string, Refusal>()

  /** Viewers on the edge, as far as is known here. */
  viewers(edge: EdgeNode): number {
    const known = this.#edges.get(edge.id)
    const viewers = known?.instance === edge.instance ? total(known, edge.viewers) : edge.viewers
    return this.#refusal(edge)?.isOfAll ? Math.max(viewers, edge.capacity) : viewers
  }

  /** Whether the edge takes viewers of a video that it does not hold, as far as is known here and while it has room for them. */
  takesVideos(edge: EdgeNode): boolean {
    return this.#refusal(edge) === undefined
  }

  /** Viewers of the video on the edge. @param announced the view's count */
  videoViewers(edge: EdgeNode, videoId: VideoId, announced: number): number {
    const known = this.#edges.get(edge.id)
    const video = known?.instance === edge.instance ? known.videos.get(videoId) : undefined
    return video ? total(video, announced) : announced
  }

  /** Edges that this gateway relays the video from. */
  holders(videoId: VideoId): readonly { readonly edgeId: string; readonly instance: string }[] {
    return this.#holders.get(videoId) ?? []
  }

  place(edge: EdgeNode, videoId: VideoId, now: number): PlacedViewer {
    const pendingEdge = this.#edge(edge)
    const video = this.#video(pendingEdge, videoId)
    for (const load of [pendingEdge, video]) {
      load.own++
      load.fresh++
    }
    const placed: Placed = { edge: pendingEdge, video, placedAt: now, arrivedAt: undefined, gone: false }
    pendingEdge.freshInEdge.add(placed)
    pendingEdge.freshInVideo.add(placed)
    return {
      arrived: at => arrive(placed, at),
      refused: (isHeld, at) => this.#refuse(placed, videoId, isHeld, at),
      left: () => this.#leave(placed, videoId),
    }
  }

  /** An announcement was seen: the viewers that were there when it was made are in its count. */
  seen(change: Change, now: number): void {
    if (change.kind === 'edge') this.#refusals.delete(change.id)
    const edge = this.#edges.get(change.id)
    if (!edge) return
    if (change.kind === 'edge' && change.node?.instance === edge.instance) settle(edge.freshInEdge, now, edgeOf)
    if (change.kind === 'holdings' && change.holdings?.instance === edge.instance) settle(edge.freshInVideo, now, videoOf)
  }

  /** Lets go of what is too old to wait for an announcement. Once a second is often enough. */
  expire(now: number): void {
    for (const edge of this.#edges.values()) {
      expire(edge.freshInEdge, now, edgeOf)
      expire(edge.freshInVideo, now, videoOf)
    }
    for (const [edgeId, { at }] of this.#refusals) if (at + FULL_MS <= now) this.#refusals.delete(edgeId)
  }

  #refusal({ id, instance }: EdgeNode): Refusal | undefined {
    const refusal = this.#refusals.get(id)
    return refusal?.instance === instance ? refusal : undefined
  }

  #edge(edge: EdgeNode): PendingEdge {
    const known = this.#edges.get(edge.id)
    if (known?.instance === edge.instance) return known
    const made: PendingEdge = { edgeId: edge.id, instance: edge.instance, own: 0, fresh: 0, videos: new Map(), freshInEdge: new Set(), freshInVideo: new Set() }
    this.#edges.set(edge.id, made)
    return made
  }

  #video(edge: PendingEdge, videoId: VideoId): PendingVideo {
    const known = edge.videos.get(videoId)
    if (known) return known
    const made: PendingVideo = { edgeId: edge.edgeId, instance: edge.instance, own: 0, fresh: 0, arrived: 0 }
    edge.videos.set(videoId, made)
    const holders = this.#holders.get(videoId)
    if (holders) holders.push(made)
    else this.#holders.set(videoId, [made])
    return made
  }

  #refuse(placed: Placed, videoId: VideoId, isHeld: boolean, now: number): void {
    const { edgeId, instance } = placed.edge
    this.#leave(placed, videoId)
    const known = this.#refusals.get(edgeId)
    // A video of which viewers of ours are there is held, too.
    const isOfAll = isHeld || placed.video.arrived > 0 || (known?.instance === instance && known.isOfAll)
    this.#refusals.set(edgeId, { instance, at: now, isOfAll })
  }

  #leave(placed: Placed, videoId: VideoId): void {
    const { edge, video } = placed
    if (placed.gone) return
    placed.gone = true
    if (edge.freshInEdge.delete(placed)) edge.fresh--
    if (edge.freshInVideo.delete(placed)) video.fresh--
    edge.own--
    if (placed.arrivedAt !== undefined) video.arrived--
    if (--video.own > 0) return
    edge.videos.delete(videoId)
    const holders = this.#holders.get(videoId)!.filter(each => each !== video)
    if (holders.length > 0) this.#holders.set(videoId, holders)
    else this.#holders.delete(videoId)
    if (edge.own === 0 && this.#edges.get(edge.edgeId) === edge) this.#edges.delete(edge.edgeId)
  }
}

const edgeOf = (placed: Placed): Load => placed.edge
const videoOf = (placed: Placed): Load => placed.video

function total(load: Load, announced: number): number {
  return Math.max(announced + load.fresh, load.own)
}

/** Goes to the end of both lines: who has arrived stands in order of arrival. */
function arrive(placed: Placed, now: number): void {
  if (placed.arrivedAt === undefined) placed.video.arrived++
  placed.arrivedAt ??= now
  for (const fresh of [placed.edge.freshInEdge, placed.edge.freshInVideo]) {
    if (fresh.delete(placed)) fresh.add(placed)
  }
}

function settle(fresh: Set<Placed>, now: number, loadOf: (placed: Placed) => Load): void {
  for (const placed of fresh) {
    if (placed.arrivedAt === undefined) continue
    if (placed.arrivedAt + SETTLE_MS > now) return
    fresh.delete(placed)
    loadOf(placed).fresh--
  }
}

function expire(fresh: Set<Placed>, now: number, loadOf: (placed: Placed) => Load): void {
  for (const placed of fresh) {
    if (placed.placedAt + FRESH_MS > now) continue
    fresh.delete(placed)
    loadOf(placed).fresh--
  }
}
