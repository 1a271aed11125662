import type { place } from '../../gateway/placement.js'
import { Random } from '../../test/support/random.js'
import { Audience, NOWHERE } from './audience.js'
import { loadOf, movedBetween, type Living, type Load } from './load.js'
import { joinsOf, momentOf, type Moment } from './moment.js'
import { Placing, type Placed } from './placing.js'
import type { Scenario } from './scenario.js'
import { OTHERS, OURS, type Way } from './way.js'

/** The growing video's edges where it is spread over few of them. */
const FEW = 10

/** What one way makes of the peak and of the lost zone. */
export interface Outcome {
  readonly way: string
  readonly peak: Moment
  /** When all are back. */
  readonly after: Moment
  /** Viewers whose edge was lost, and others that are on another edge because of it. */
  readonly moved: { readonly lost: number; readonly others: number }
}

export interface Whole {
  readonly scenario: Scenario
  readonly viewers: number
  readonly placed: Placed
  /** Ours first. */
  readonly outcomes: readonly Outcome[]
  /** Ours in the seconds after the loss, for those who have lost nothing. */
  readonly loss: Moment
  readonly faults: readonly string[]
}

export interface WholeOptions {
  readonly progress: (step: string, share: number) => void
  /** The gateways' decision; tests break it. */
  readonly decide?: typeof place
  /** Whether the others are simulated as well. */
  readonly others: boolean
}

/** The loads of every way at one moment, by its name. */
type Loads = Map<string, Load>

/** Ours is placed viewer by viewer. The ways that compute a viewer's edge from its number need no steps in between. */
export async function simulateWhole(scenario: Scenario, { progress, decide, others }: WholeOptions): Promise<Whole> {
  const random = new Random(scenario.seed)
  const audience = new Audience(scenario)
  const few = fewEdges(FEW)
  const ways = others ? [OURS, few, ...OTHERS] : [OURS]
  const loads: { readonly [moment in 'peak' | 'after']: Loads } = { peak: new Map(), after: new Map() }
  const edgesOf = new Map<string, { peak?: (viewer: number) => number; after?: (viewer: number) => number }>()
  const lostOf = new Map<number, number>()
  let lossLoad: Load | undefined
  let levelledBefore = 0
  const look = (moment: 'peak' | 'loss' | 'after', placing: Placing) => {
    const living: Living = { edges: placing.liveEdges, gateways: placing.liveGateways, dispatchers: placing.liveDispatchers }
    const ours = (viewer: number) => audience.edge[viewer]!
    if (moment === 'loss') {
      levelledBefore = placing.levelled
      for (let viewer = 0; viewer < audience.size; viewer++) {
        const [gateway, edge] = [audience.gateway[viewer]!, audience.edge[viewer]!]
        if (edge !== NOWHERE && !placing.edges[edge]!.alive) lostOf.set(gateway, (lostOf.get(gateway) ?? 0) + 1)
      }
      lossLoad = loadOf(OURS, scenario, audience, living, viewer => (placing.edges[ours(viewer)]?.alive ? ours(viewer) : NOWHERE))
      return
    }
    for (const way of ways) {
      progress(`the load of: ${way.name}`, 0)
      const edgeOf = way === few ? few.beside(ours, audience, living.edges) : (way.edges?.(audience, living.edges, scenario.edges) ?? ours)
      edgesOf.set(way.name, { ...edgesOf.get(way.name), [moment]: way.edges ? edgeOf : undefined })
      loads[moment].set(way.name, loadOf(way, scenario, audience, living, edgeOf))
    }
  }
  const placing = new Placing({ scenario, audience, random, look, progress, ...(decide && { decide }) })
  const placed = await placing.run()
  const lives = new Set(placed.liveEdges)
  const ours = { lost: placed.lostViewers.onEdges, others: placed.levelled - levelledBefore }

  const outcomes: Outcome[] = []
  for (const way of ways) {
    const moments: Moment[] = []
    for (const moment of ['peak', 'after'] as const) {
      progress(`comments: ${way.name}, ${moment === 'peak' ? 'at the peak' : 'without the zone'}`, 0)
      moments.push(await momentOf(way, scenario, loads[moment].get(way.name)!, new Random(scenario.seed).next))
    }
    const { peak, after } = edgesOf.get(way.name)!
    outcomes.push({ way: way.name, peak: moments[0]!, after: moments[1]!, moved: peak && after ? asMoved(movedBetween(audience, peak, after, lives)) : ours })
  }
  progress('comments: ours, right after the loss', 0)
  const loss = await momentOf(OURS, scenario, lossLoad!, new Random(scenario.seed).next, joinsOf(lostOf))
  const faults = [...placed.faults, ...outcomes.flatMap(({ way, peak, after }) => [...peak.delivered.faults, ...after.delivered.faults].map(fault => `${way}: ${fault}`)), ...loss.delivered.faults]
  return { scenario, viewers: audience.size, placed, outcomes, loss, faults }
}

function asMoved({ lost, moved }: { readonly lost: number; readonly moved: number }): Outcome['moved'] {
  return { lost, others: moved }
}

/** Ours, but for the growing video, which is on few edges: what a greater EDGE_VIDEO_SHARE and EDGE_CAPACITY would make of it. */
function fewEdges(count: number): Way & { beside(ours: (viewer: number) => number, audience: Audience, live: readonly number[]): (viewer: number) => number } {
  return {
    name: `ours, the growing video on ${count} edges`,
    beside: (ours, audience, live) => {
      const holders = live.slice(0, count)
      return viewer => (viewer < audience.crowd && ours(viewer) !== NOWHERE ? holders[viewer % holders.length]! : ours(viewer))
    },
  }
}
