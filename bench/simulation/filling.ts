import { Pending } from '../../gateway/pending.js'
import type { place } from '../../gateway/placement.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import type { View } from '../../registry/view.js'
import type { Random } from '../../test/support/random.js'
import type { Audience } from './audience.js'
import type { Scenario } from './scenario.js'

/** Videos of few viewers come in lots of so much of an edge's capacity. */
const LOT_SHARE = 1 / 200
const NO_PENDING = new Pending()

/** An edge, and who is on it. */
export interface FilledEdge {
  readonly number: number
  /** As announced. */
  node: EdgeNode
  readonly held: Map<string, number>
  viewers: number
}

export interface FillingOptions {
  readonly scenario: Scenario
  readonly audience: Audience
  readonly random: Random
  readonly decide: typeof place
  readonly view: View
  readonly edges: readonly FilledEdge[]
  readonly progress: (step: string, share: number) => void
}

export function edgeId(number: number): string {
  return `edge-${number}`
}

export function numberOf(id: string): number {
  return Number(id.slice('edge-'.length))
}

/** Puts the viewers of all videos but the growing one where they would be if they had come by and by. Videos of few viewers go in
 * lots where the first of them does. @throws Error if the edges are too few */
export function fill(options: FillingOptions): void {
  const { audience, scenario, random, view, edges, progress } = options
  for (const { node } of edges) view.apply({ kind: 'edge', id: node.id, node }, 0)
  for (let viewer = audience.crowd; viewer < audience.size; viewer++) audience.gateway[viewer] = random.below(scenario.gateways)
  const most = Math.ceil(scenario.edgeCapacity * LOT_SHARE)
  let lot: number[] = []
  let viewers = 0
  const videos = random.shuffled(Array.from({ length: audience.videos - 1 }, (_, i) => i + 1))
  videos.forEach((video, count) => {
    const size = audience.starts[video + 1]! - audience.starts[video]!
    if (size > most) return fillWithOne(options, video)
    lot.push(video)
    viewers += size
    if (viewers < most) return
    fillWithLot(options, lot)
    lot = []
    viewers = 0
    progress(`${audience.videos.toLocaleString('en-US')} videos`, count / audience.videos)
  })
  if (lot.length > 0) fillWithLot(options, lot)
  for (const edge of edges) show(view, edge)
}

/** On several edges, where it is too large for one. */
function fillWithOne(options: FillingOptions, video: number): void {
  const { audience, scenario, view } = options
  const id = audience.ids[video]!
  const to = audience.starts[video + 1]!
  for (let from = audience.starts[video]!; from < to;) {
    const edge = firstChoice(options, id)
    const room = Math.max(1, Math.min(scenario.videoShare - (edge.held.get(id) ?? 0), edge.node.capacity - edge.viewers))
    const end = Math.min(from + room, to)
    put(audience, edge, video, from, end)
    from = end
    show(view, edge)
  }
}

function fillWithLot(options: FillingOptions, videos: readonly number[]): void {
  const { audience, view } = options
  const edge = firstChoice(options, audience.ids[videos[0]!]!)
  for (const video of videos) put(audience, edge, video, audience.starts[video]!, audience.starts[video + 1]!)
  showNode(view, edge)
}

function firstChoice({ decide, view, edges, scenario }: FillingOptions, id: string): FilledEdge {
  const found = decide(view, id, NO_PENDING, { videoShare: scenario.videoShare, backedOff: () => false })
  if (typeof found === 'string') throw new Error(`the edges are too few for their viewers: ${found}`)
  return edges[numberOf(found.id)]!
}

function put({ edge: edgeOf, ids }: Audience, edge: FilledEdge, video: number, from: number, to: number): void {
  const id = ids[video]!
  edgeOf.fill(edge.number, from, to)
  edge.viewers += to - from
  edge.held.set(id, (edge.held.get(id) ?? 0) + to - from)
}

function show(view: View, edge: FilledEdge): void {
  showNode(view, edge)
  const { id, instance } = edge.node
  view.apply({ kind: 'holdings', id, holdings: { instance, videos: edge.held } }, 0)
}

function showNode(view: View, edge: FilledEdge): void {
  edge.node = { ...edge.node, viewers: edge.viewers }
  view.apply({ kind: 'edge', id: edge.node.id, node: edge.node }, 0)
}
