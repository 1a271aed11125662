import type { VideoId } from '../protocol/comment.js'
import type { EdgeNode } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import type { View } from '../registry/view.js'
import { fullestFirst, type Holder } from './placement.js'

/** Every gateway levels when its wall clock passes a multiple of this: all of them decide by the same view, before any has moved
 * a viewer, and so move the same videos. */
export const LEVEL_EVERY_MS = 30_000
/** From the decision to the moves: more than the gateways' clocks and ticks differ. */
export const MOVE_AFTER_MS = 3_000
/** An edge whose viewers differ from its fair share by less than this is left as it is. */
const TOLERATED_SHARE = 0.25
export const TOLERATED_VIEWERS = 20
/** Most viewers that are moved each time, by all gateways together. */
const MOST_MOVED = 2_000

/** A video that operators have spread is left as it is while its edges differ from an equal part by less than this. */
const TOLERATED_SPREAD = 0.1

/** Viewers of a video on one edge are to go to another one. */
export interface Move {
  readonly from: EdgeNode
  readonly to: EdgeNode
  /** How many of them; 1: all. */
  readonly share: number
}

/** Where a video's viewers go. */
export type Moves = ReadonlyMap<VideoId, readonly Move[]>

export interface LevelRules {
  /** Viewers of one video that one edge takes. */
  readonly videoShare: number
  readonly toleratedViewers: number
  /** No edge is left as it is for being near its share: operators wish so. */
  readonly exact: boolean
  /** Edges that this gateway cannot use now, whatever the view says. */
  readonly backedOff: (edge: EdgeNode) => boolean
}

interface Load {
  readonly edge: EdgeNode
  /** Viewers above its fair share, which is by capacity; below it where negative. */
  surplus: number
}

/** Which viewers are to move, by the view: those of videos that operators have spread, and then whole videos. */
export function level(view: View, rules: LevelRules): Moves {
  const edges = view.edges().filter(edge => edge.state === 'up' && edge.wire === WIRE_VERSION && !edge.stale && edge.capacity > 0 && !view.lingers(edge.id) && !rules.backedOff(edge))
  const spread: [VideoId, Move[]][] = []
  for (const [videoId, count] of view.spreads) spread.push([videoId, spreadOver(view, videoId, count, edges)])
  return new Map([...spread, ...wholeVideos(view, edges, rules)])
}

/** Makes the video's viewers equal on `count` edges: on those that have most of them, and on the least loaded others. */
function spreadOver(view: View, videoId: VideoId, count: number, edges: readonly EdgeNode[]): Move[] {
  const holders = edges.map((edge): Holder => ({ edge, viewers: view.holdingsOf(edge.id).get(videoId) ?? 0 }))
  const held = holders.filter(({ viewers }) => viewers > 0).sort(fullestFirst)
  const load = ({ edge }: Holder) => edge.viewers / edge.capacity
  const others = holders.filter(({ viewers }) => viewers === 0).sort((a, b) => load(a) - load(b) || fullestFirst(a, b))
  const wanted = [...held, ...others].slice(0, count)
  const total = held.reduce((sum, { viewers }) => sum + viewers, 0)
  const fair = total / wanted.length
  const surplus = (holder: Holder) => holder.viewers - (wanted.includes(holder) ? fair : 0)
  const givers = held.filter(holder => surplus(holder) >= 1)
  if (!givers.some(holder => !wanted.includes(holder) || surplus(holder) > TOLERATED_SPREAD * fair)) return []

  const moves: Move[] = []
  const lacking = new Map(wanted.filter(holder => surplus(holder) < 0).map(holder => [holder.edge, -surplus(holder)]))
  const part = Math.min(1, MOST_MOVED / givers.reduce((sum, holder) => sum + surplus(holder), 0))
  for (const giver of givers) {
    let left = surplus(giver)
    for (const [to, lacks] of lacking) {
      const moved = Math.min(left, lacks)
      if (moved > 0) moves.push({ from: giver.edge, to, share: (part * moved) / giver.viewers })
      lacking.set(to, lacks - moved)
      left -= moved
    }
  }
  return moves
}

/** Which videos go from edges that have more than their fair share of all viewers to those that have less: whole videos, so that
 * a video stays together, in the order of their ids, shorter ones first. Nothing, unless some edge is far from its share: an
 * edge that has come back, for example, which newcomers alone would fill in hours, since they join those who watch the same. */
function wholeVideos(view: View, edges: readonly EdgeNode[], { videoShare, toleratedViewers, exact }: LevelRules): Map<VideoId, Move[]> {
  const moves = new Map<VideoId, Move[]>()
  const perCapacity = sum(edges, ({ viewers }) => viewers) / sum(edges, ({ capacity }) => capacity)
  const loads = edges.map((edge): Load => ({ edge, surplus: edge.viewers - perCapacity * edge.capacity }))
  const isFar = ({ edge, surplus }: Load) => Math.abs(surplus) > (exact ? 1 : Math.max(toleratedViewers, TOLERATED_SHARE * perCapacity * edge.capacity))
  if (!loads.some(isFar)) return moves

  const givers = loads.filter(({ surplus }) => surplus > 0).sort((a, b) => b.surplus - a.surplus || byId(a, b))
  const takers = loads.filter(({ surplus }) => surplus < 0).sort((a, b) => a.surplus - b.surplus || byId(a, b))
  let left = MOST_MOVED
  for (const giver of givers) {
    if (takers.length === 0 || left <= 0) break
    // Each gateway's view has its own order.
    for (const [videoId, viewers] of [...view.holdingsOf(giver.edge.id)].sort(byVideo)) {
      if (takers.length === 0 || left <= 0 || giver.surplus < 1) break
      // A video that is larger than what either side is off by would only change their places.
      if (viewers > Math.min(giver.surplus, left) || moves.has(videoId) || view.spreads.has(videoId)) continue
      const taker = takers.find(({ edge, surplus }) => viewers <= -surplus && viewers + (view.holdingsOf(edge.id).get(videoId) ?? 0) <= videoShare)
      if (!taker) continue
      moves.set(videoId, [{ from: giver.edge, to: taker.edge, share: 1 }])
      giver.surplus -= viewers
      taker.surplus += viewers
      left -= viewers
      if (taker.surplus > -1) takers.splice(takers.indexOf(taker), 1)
    }
  }
  return moves
}

function sum(edges: readonly EdgeNode[], of: (edge: EdgeNode) => number): number {
  return edges.reduce((total, edge) => total + of(edge), 0)
}

function byVideo([a]: readonly [VideoId, number], [b]: readonly [VideoId, number]): number {
  return a.length - b.length || (a < b ? -1 : 1)
}

function byId(a: Load, b: Load): number {
  return a.edge.id < b.edge.id ? -1 : 1
}
