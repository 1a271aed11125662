import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode, EdgeNode, ExpectedNodes, GatewayNode } from '../protocol/nodes.js'
import type { View } from '../registry/view.js'

/** In the order in which a viewer meets them. */
const KINDS = ['gateway', 'edge', 'dispatcher'] as const

/** What the operators' page shows, as JSON. Times are Unix ms. */
export interface Overview {
  /** What the cluster is called; null where it has no name. */
  readonly cluster: string | null
  readonly at: number
  readonly viewers: number
  readonly videos: number
  readonly nodes: readonly NodeRow[]
  /** What is not as it should be, a sentence each. */
  readonly problems: readonly string[]
  /** The hottest, by viewers and by comments a second. */
  readonly hot: readonly VideoRow[]
}

export interface NodeRow {
  readonly kind: (typeof KINDS)[number]
  readonly id: string
  /** `gone`: it has vanished from the registry, and is not forgotten yet. `silent`: it does not answer. `stale`: no dispatcher
   * answers it. `unfit`: it can store nothing. */
  readonly state: 'up' | 'draining' | 'stale' | 'unfit' | 'gone' | 'silent'
  readonly viewers: number | null
  readonly capacity: number | null
  readonly videos: number | null
  readonly version: string
  readonly startedAt: number
}

export interface VideoRow {
  readonly videoId: VideoId
  readonly viewers: number
  /** Comments a second in the last whole window of 10 s. */
  readonly perSecond: number
  readonly edges: readonly { readonly id: string; readonly viewers: number }[]
}

export interface OverviewDeps {
  readonly view: View
  /** By `mostWatched`. */
  readonly watched: readonly VideoId[]
  readonly gateways: readonly GatewayNode[]
  readonly expected: ExpectedNodes
  readonly cluster: string | undefined
  /** Comments a second. */
  readonly rates: ReadonlyMap<VideoId, number>
  /** Ids of nodes that do not answer. */
  readonly silent: ReadonlySet<string>
  /** Unix ms. */
  readonly at: number
}

/** Of the hottest videos, half are the most watched, the others the most commented on: one that is posted to unwatched is one to
 * look at. */
const HOT = 50
export const WATCHED = HOT / 2
const SLICE = 5_000

/** The `count` most watched videos, most watched first. There may be a million, so it pauses now and then. */
export async function mostWatched(view: View, count: number, pause: () => Promise<void>): Promise<VideoId[]> {
  const best: { videoId: VideoId; viewers: number }[] = []
  let visited = 0
  for (const videoId of view.videos()) {
    if (++visited % SLICE === 0) await pause()
    const viewers = view.viewersOf(videoId)
    if (best.length === count && viewers <= best.at(-1)!.viewers) continue
    const at = best.findIndex(each => each.viewers < viewers)
    best.splice(at < 0 ? best.length : at, 0, { videoId, viewers })
    if (best.length > count) best.pop()
  }
  return best.map(({ videoId }) => videoId)
}

export function overview({ view, watched, gateways, expected, cluster, rates, silent, at }: OverviewDeps): Overview {
  const rows = [...gateways.map(gatewayRow), ...view.edges().map(node => edgeRow(view, node)), ...Array.from(view.allDispatchers(), node => dispatcherRow(view, node))]
  const nodes = rows.map(row => (row.state !== 'gone' && silent.has(row.id) ? { ...row, state: 'silent' as const } : row)).sort(byKindAndId)
  return {
    cluster: cluster ?? null,
    at,
    viewers: nodes.reduce((sum, { kind, viewers }) => sum + (kind === 'edge' ? viewers! : 0), 0),
    videos: view.videoCount,
    nodes,
    problems: [...missing(nodes, expected), ...unwell(nodes)],
    hot: hottest(view, watched, rates),
  }
}

function gatewayRow({ id, state, viewers, version, startedAt }: GatewayNode): NodeRow {
  return { kind: 'gateway', id, state, viewers, capacity: null, videos: null, version, startedAt }
}

function edgeRow(view: View, { id, state, stale, viewers, capacity, version, startedAt }: EdgeNode): NodeRow {
  return { kind: 'edge', id, state: view.lingers(id) ? 'gone' : stale ? 'stale' : state, viewers, capacity, videos: view.holdingsOf(id).size, version, startedAt }
}

function dispatcherRow(view: View, { id, state, fit, version, startedAt }: DispatcherNode): NodeRow {
  return { kind: 'dispatcher', id, state: view.lingers(id) ? 'gone' : fit === false ? 'unfit' : state, viewers: null, capacity: null, videos: null, version, startedAt }
}

function* missing(nodes: readonly NodeRow[], expected: ExpectedNodes): Generator<string> {
  for (const kind of KINDS) {
    const wanted = expected[`${kind}s`]
    const here = nodes.filter(node => node.kind === kind && node.state !== 'gone').length
    if (wanted !== undefined && here < wanted) yield `${wanted - here} of ${wanted} ${kind}s ${wanted - here === 1 ? 'is' : 'are'} missing`
    else if (here === 0) yield `there is no ${kind}`
  }
}

function* unwell(nodes: readonly NodeRow[]): Generator<string> {
  for (const { kind, id, state, viewers, capacity } of nodes) {
    if (state === 'stale') yield `edge ${id} hears from no dispatcher: its viewers may be missing comments`
    if (state === 'unfit') yield `dispatcher ${id} can store nothing, or its clock is wrong`
    if (state === 'silent') yield `${kind} ${id} does not answer`
    if (state === 'gone') yield `${kind} ${id} has vanished`
    if (capacity !== null && viewers! > 0.9 * capacity) yield `edge ${id} is nearly full: ${viewers} of ${capacity} viewers`
  }
}

function hottest(view: View, watched: readonly VideoId[], rates: ReadonlyMap<VideoId, number>): VideoRow[] {
  const chosen = new Set(watched)
  for (const [videoId] of [...rates].sort(([, a], [, b]) => b - a)) {
    if (chosen.size >= HOT) break
    chosen.add(videoId)
  }
  const rows = Array.from(chosen, (videoId): VideoRow => ({
    videoId,
    viewers: view.viewersOf(videoId),
    perSecond: rates.get(videoId) ?? 0,
    edges: view.countedSubscriptionsOf(videoId).map(({ edge, viewers }) => ({ id: edge.id, viewers })).sort((a, b) => b.viewers - a.viewers),
  }))
  return rows.sort((a, b) => b.viewers - a.viewers || b.perSecond - a.perSecond || (a.videoId < b.videoId ? -1 : 1))
}

function byKindAndId(a: NodeRow, b: NodeRow): number {
  return KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || a.id.localeCompare(b.id, 'en', { numeric: true })
}
