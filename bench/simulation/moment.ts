import { MEASURED as M, USED_SHARE } from '../../cli/plan/measured.js'
import { deliver, type Course, type Delivered } from './delivering.js'
import type { Load } from './load.js'
import type { Scenario } from './scenario.js'
import type { Way } from './way.js'

/** Comments that are delivered before any is timed, and those that are, s. */
const WARM_SECONDS = 1
const TIMED_SECONDS = 2
const ZOOKEEPERS = 3

export interface Prices {
  readonly coreHour: number
  readonly gbEgress: number
  readonly gbZone: number
}

/** The goal for the growing video: 99 of 100 deliveries, ms. */
export const GOAL_MS = 200

/** What the growing video's comments take at one moment, and what the whole cluster uses meanwhile. */
export interface Moment {
  readonly load: Load
  readonly delivered: Delivered
  /** Cores in use, of all processes of a kind; and of the busiest process. */
  readonly cores: { readonly gateways: number; readonly edges: number; readonly dispatchers: number }
  readonly busiest: { readonly gateway: number; readonly edge: number; readonly dispatcher: number }
}

export interface Bill {
  /** To buy, ZooKeeper's included. */
  readonly cores: number
  readonly machines: number
  readonly dollarsPerHour: number
  readonly dollarsPerMillionViewerHours: number
}

/** @param joinsMs what each gateway begins with, processor ms */
export async function momentOf(way: Way, scenario: Scenario, load: Load, random: () => number, joinsMs?: (gateway: number) => number): Promise<Moment> {
  const { gateways, edges, dispatchers } = load.living
  const sampled = gateways.filter((_, i) => i % Math.ceil(gateways.length / scenario.sampled) === 0)
  const targets = way.toAll ? edges : [...load.crowd.keys()]
  const delivered = await deliver({
    crowd: load.crowd,
    targets,
    sampled,
    ownConnections: way.ownConnections,
    posts: postsBy(scenario.rate, (WARM_SECONDS + TIMED_SECONDS) * 1000, random),
    warmUp: Math.ceil(scenario.rate * WARM_SECONDS),
    parcel: scenario.parcel,
    shares: { gateway: number => load.gatewayShares[number]!, edge: number => load.edgeShares[number]!, dispatcher: load.besides ? 0 : load.dispatcherShare },
    besides: load.besides,
    joinsMs,
  } satisfies Course)
  const { cores } = delivered
  const most = (shares: Iterable<number>) => Math.min(1, [...shares].reduce((a, b) => Math.max(a, b), 0))
  const sum = (shares: readonly number[]) => shares.reduce((total, share) => total + Math.min(1, share), 0)
  return {
    load,
    delivered,
    cores: {
      gateways: (sum(cores.gateways) / sampled.length) * gateways.length,
      edges: sum(edges.map(edge => cores.edges.get(edge) ?? load.edgeShares[edge]!)),
      dispatchers: Math.min(1, cores.dispatcher) + (dispatchers - 1) * load.dispatcherShare,
    },
    busiest: { gateway: most(cores.gateways), edge: most(cores.edges.values()), dispatcher: Math.min(1, cores.dispatcher) },
  }
}

/** What one has to buy so that no core is used for more than its planned share. */
export function billOf({ load, cores }: Moment, machineCores: number, { coreHour, gbEgress, gbZone }: Prices): Bill {
  const toBuy = Math.ceil((cores.gateways + cores.edges + cores.dispatchers) / USED_SHARE) + ZOOKEEPERS
  const gbPerHour = (bytes: number) => (bytes * 3600) / 1e9
  const dollarsPerHour = toBuy * coreHour + gbPerHour(load.egressBytes) * gbEgress + gbPerHour(load.zoneBytes) * gbZone
  return { cores: toBuy, machines: Math.ceil(toBuy / machineCores), dollarsPerHour, dollarsPerMillionViewerHours: (dollarsPerHour / load.viewers) * 1e6 }
}

export interface Fewest {
  readonly gateways: number
  readonly p99: number
}

/** The fewest gateways with which the goal is reached: the growing video's viewers spread evenly over them, and so is everything
 * else that gateways do. Undefined where twice as many as there are do not suffice. */
export async function fewestGateways(scenario: Scenario, load: Load, random: () => number): Promise<Fewest | undefined> {
  const share = load.living.gateways.reduce((total, gateway) => total + load.gatewayShares[gateway]!, 0)
  const p99With = async (gateways: number): Promise<number> => {
    if (share / gateways >= 1) return Infinity
    const crowd = new Map(Array.from(load.crowd, ([edge, byGateway]) => [edge, new Uint32Array(gateways).fill(Math.ceil(byGateway.reduce((sum, count) => sum + count, 0) / gateways))]))
    const { ms, complete } = await deliver({
      crowd,
      targets: [...crowd.keys()],
      sampled: [0],
      posts: postsBy(scenario.rate, (WARM_SECONDS + TIMED_SECONDS) * 1000, random),
      warmUp: Math.ceil(scenario.rate * WARM_SECONDS),
      parcel: scenario.parcel,
      shares: { gateway: () => share / gateways, edge: number => load.edgeShares[number]!, dispatcher: load.dispatcherShare },
    })
    return complete && ms ? ms.p99 : Infinity
  }
  let [low, high] = [0, 2 * scenario.gateways]
  let best = await p99With(high)
  if (best > GOAL_MS) return undefined
  while (high - low > Math.max(1, high / 50)) {
    const middle = Math.floor((low + high) / 2)
    const p99 = await p99With(middle)
    if (p99 <= GOAL_MS) {
      high = middle
      best = p99
    } else low = middle
  }
  return { gateways: high, p99: best }
}

/** Each at a random time, at that rate on average. */
export function postsBy(rate: number, ms: number, random: () => number): number[] {
  const posts: number[] = []
  for (let at = (-Math.log(1 - random()) * 1000) / rate; at < ms || posts.length === 0; at += (-Math.log(1 - random()) * 1000) / rate) posts.push(at)
  return posts
}

/** Processor time of the joins that a loss brings to each gateway, ms. @param lost viewers whose edge is gone, by gateway */
export function joinsOf(lost: ReadonlyMap<number, number>): (gateway: number) => number {
  return gateway => ((lost.get(gateway) ?? 0) * M.joinMicroseconds.value) / 1000
}
