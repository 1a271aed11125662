import { HashRing } from '../../registry/hash-ring.js'
import { FNV_BASIS, fnv, mix } from '../../registry/hash.js'
import type { Audience } from './audience.js'

/** A way to bring comments to viewers: ours, or one that others take. Each differs from ours in what it names, and in nothing else. */
export interface Way {
  readonly name: string
  /** The edge of each viewer, by the edges that live, of so many that there were; without, our placement decides. */
  readonly edges?: (audience: Audience, live: readonly number[], all: number) => (viewer: number) => number
  /** Each comment goes to every edge, as nobody knows which of them hold its video. */
  readonly toAll?: boolean
  /** Between an edge and a gateway every viewer has a connection of its own. */
  readonly ownConnections?: boolean
}

export const OURS: Way = { name: 'ours' }

export const OTHERS: readonly Way[] = [
  { name: 'every comment to every edge', toAll: true },
  {
    name: 'a video on edge hash % N',
    edges: (audience, live) => viewer => live[pointOf(audience.ids[audience.video[viewer]!]!) % live.length]!,
  },
  { name: 'viewers on a hash ring, no registry', toAll: true, edges: onRing },
  { name: 'viewers on any edge', edges: (_, live, all) => anyEdge(live, all) },
  { name: 'a connection for each viewer', ownConnections: true },
]

/** Points on the ring of each edge: with one, as our registry's ring has, the shares of edges differ by several times. */
const POINTS = 128
/** Viewers are looked up together, in so many lots for each edge. */
const LOTS = 64

/** The first edge on the ring from the viewer's point on, for whole lots of viewers. */
function onRing(_: Audience, live: readonly number[], all: number): (viewer: number) => number {
  const ring = new HashRing(live.flatMap(edge => Array.from({ length: POINTS }, (_, i) => `${edge}/${i}`)))
  const lots = 2 ** Math.ceil(Math.log2(LOTS * all))
  const first = Uint16Array.from({ length: lots }, (_, lot) => firstOf(ring.from(`lot-${lot}`)))
  return viewer => first[mix(viewer ^ 0x5bd1e995) & (lots - 1)]!
}

/** An edge at random; another one, at random too, where that is gone. */
function anyEdge(live: readonly number[], all: number): (viewer: number) => number {
  const lives = new Set(live)
  return viewer => {
    const edge = mix(viewer) % all
    return lives.has(edge) ? edge : live[mix(viewer ^ 0x9e3779b9) % live.length]!
  }
}

function firstOf(points: Iterable<string>): number {
  for (const point of points) return Number(point.split('/')[0])
  throw new Error('no edge is left')
}

function pointOf(text: string): number {
  return mix(fnv(FNV_BASIS, text))
}
