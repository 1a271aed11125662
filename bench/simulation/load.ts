import { MEASURED as M } from '../../cli/plan/measured.js'
import { CROWD, NOWHERE, type Audience } from './audience.js'
import type { Scenario } from './scenario.js'
import type { Way } from './way.js'

/** Who lives, by number. */
export interface Living {
  readonly edges: readonly number[]
  readonly gateways: readonly number[]
  readonly dispatchers: number
}

export interface Besides {
  readonly perSecond: number
  /** That one of them goes to, on average. */
  readonly edges: number
}

/** From so many edges on, the comments of other videos share batches with the growing video's. */
const SEVERAL_EDGES = 2

/** Where the viewers are at one moment, and what that costs a second. What all videos but the growing one cost is a share of each
 * process's core. */
export interface Load {
  readonly living: Living
  readonly viewers: number
  /** Viewers of the growing video: by edge, then by gateway. */
  readonly crowd: ReadonlyMap<number, Uint32Array>
  /** Viewers of the fullest edge, divided by those of one on average. */
  readonly fullest: number
  /** Edges that hold a video, on average. */
  readonly edgesOfVideo: number
  readonly holdings: number
  /** Shares of a core, by the part's number. */
  readonly gatewayShares: Float64Array
  readonly edgeShares: Float64Array
  /** Of each dispatcher. */
  readonly dispatcherShare: number
  /** Comments of other videos that the growing video's dispatcher sends to several edges, by the same pipes as its own; undefined:
   * they go to one edge or two, and are in its share. */
  readonly besides: Besides | undefined
  /** Bytes a second: to viewers, compressed, and between zones. */
  readonly egressBytes: number
  readonly zoneBytes: number
}

/** @param edgeOf the viewer's edge, or NOWHERE */
export function loadOf(way: Way, scenario: Scenario, audience: Audience, living: Living, edgeOf: (viewer: number) => number): Load {
  const { gateways, rate, zones } = scenario
  const perViewer = rate / scenario.crowd
  const crowd = new Map<number, Uint32Array>()
  const viewersOf = new Float64Array(scenario.edges)
  const gatewayShares = new Float64Array(gateways)
  const edgeShares = new Float64Array(scenario.edges)
  const batchShares = new Float64Array(scenario.edges)
  const [edgeStamps, groupStamps] = [new Uint32Array(scenario.edges), new Uint32Array(scenario.edges * gateways)]
  const totals = { viewers: 0, holdings: 0, watched: 0, comments: 0, batches: 0, egress: 0, zone: 0 }
  const idle = M.idleMicroseconds.value
  const batch = M.edgeBatchMicroseconds.value
  const write = M.busyWriteMicroseconds.value
  const read = M.readMicroseconds.value
  for (let video = 0; video < audience.videos; video++) {
    const [from, to] = [audience.starts[video]!, audience.starts[video + 1]!]
    const comments = (to - from) * perViewer
    const writes = Math.min(comments, M.writesPerSecond.value)
    const stamp = video + 1
    let watched = 0
    for (let viewer = from; viewer < to; viewer++) {
      const gateway = audience.gateway[viewer]!
      const edge = edgeOf(viewer)
      if (gateway === NOWHERE || edge === NOWHERE) continue
      watched++
      viewersOf[edge]!++
      gatewayShares[gateway]! += idle / 1e6
      if (edgeStamps[edge] !== stamp) {
        edgeStamps[edge] = stamp
        totals.holdings++
        if (video !== CROWD) {
          totals.batches += comments
          batchShares[edge]! += (comments * batch) / 1e6
        }
      }
      if (video === CROWD) {
        if (!crowd.has(edge)) crowd.set(edge, new Uint32Array(gateways))
        crowd.get(edge)![gateway]!++
      } else {
        gatewayShares[gateway]! += (writes * write) / 1e6
      }
      const key = edge * gateways + gateway
      if (!way.ownConnections && groupStamps[key] === stamp) continue
      groupStamps[key] = stamp
      totals.zone += ((comments * (zones - 1)) / zones) * M.plainBytes.value
      if (video === CROWD) continue
      edgeShares[edge]! += (writes * write) / 1e6
      gatewayShares[gateway]! += (writes * read) / 1e6
    }
    totals.viewers += watched
    totals.watched += watched > 0 ? 1 : 0
    totals.egress += watched * comments * M.gzipBytes.value
    if (video !== CROWD) totals.comments += comments
  }
  const posts = totals.comments + rate
  for (const gateway of living.gateways) gatewayShares[gateway]! += ((posts / living.gateways.length) * M.gatewayPostMicroseconds.value) / 1e6
  const spread = way.toAll ? living.edges.length : totals.batches / totals.comments
  const besides = spread >= SEVERAL_EDGES ? { perSecond: totals.comments / living.dispatchers, edges: Math.round(spread) } : undefined
  const commits = (totals.comments / living.dispatchers) * (M.commitMicroseconds.value / 1e6)
  const sends = (totals.comments * spread) / living.dispatchers
  const forwarded = sends * living.dispatchers + rate * (way.toAll ? living.edges.length : crowd.size)
  // A dispatcher sends no more batches than its core is enough for: busier pipes carry several comments in one.
  const possible = ((1 - Math.min(1, commits)) * 1e6) / M.batchMicroseconds.value
  const sent = Math.min(1, possible / sends) * (besides ? 1 - 1 / living.dispatchers : 1)
  for (const edge of living.edges) edgeShares[edge]! += sent * (way.toAll ? (totals.comments * batch) / 1e6 : batchShares[edge]!)
  return {
    living,
    viewers: totals.viewers,
    crowd,
    fullest: living.edges.reduce((most, edge) => Math.max(most, viewersOf[edge]!), 0) / (totals.viewers / living.edges.length),
    edgesOfVideo: totals.holdings / totals.watched,
    holdings: totals.holdings,
    gatewayShares,
    edgeShares,
    dispatcherShare: Math.min(1, commits + (sends * M.batchMicroseconds.value) / 1e6),
    besides,
    egressBytes: totals.egress,
    zoneBytes: totals.zone + ((forwarded * (zones - 1)) / zones) * M.plainBytes.value,
  }
}

/** Viewers that are on another edge than before, and how many of them only because others are gone. */
export function movedBetween(audience: Audience, before: (viewer: number) => number, after: (viewer: number) => number, lives: ReadonlySet<number>): { readonly lost: number; readonly moved: number } {
  let lost = 0
  let moved = 0
  for (let viewer = 0; viewer < audience.size; viewer++) {
    const edge = before(viewer)
    if (edge === NOWHERE) continue
    if (!lives.has(edge)) lost++
    else if (after(viewer) !== edge) moved++
  }
  return { lost, moved }
}
