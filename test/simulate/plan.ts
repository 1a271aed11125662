import type { DiskKind } from './disk.js'
import { FEATURES, type Feature, type Mix } from './mixes.js'
import type { Settings } from './parts.js'
import type { Random } from '../support/random.js'

/** What one run is made of. */
export interface Plan {
  readonly mix: Mix
  readonly features: ReadonlySet<Feature>
  /** Faults happen until then, ms. */
  readonly faultsUntil: number
  /** People post until then. */
  readonly postsUntil: number
  /** The end checks. */
  readonly endsAt: number
  readonly dispatchers: number
  readonly edges: number
  readonly gateways: number
  /** Each with as many comments as it has from the beginning. */
  readonly videos: readonly { readonly id: string; readonly comments: number; /** Nobody posts after the faults. */ readonly fallsSilent: boolean }[]
  readonly viewers: number
  readonly postEveryMs: number
  /** Mean ms between two acts, where there are any. */
  readonly actEveryMs: number
  /** Mean ms between two faults of a kind. */
  readonly faultEveryMs: number
  /** No part is troubled before the last one that was is well again. */
  readonly apart: boolean
  /** History is read of videos that have fallen silent too: that alone makes a dispatcher compare with the store. */
  readonly readsSilent: boolean
  readonly disk: DiskKind
  readonly settings: Settings
  readonly limitBytes: number
  /** The same of a link; and how long one is not read now and then, at most, ms. */
  readonly linkBytes: number
  readonly linkStallMs: number
}

/** After the last fault all is as it was again, but for what the design lets take its time: ten seconds of a
 * vanished node's lingering, half a minute until a quiet video is compared with the store. */
const QUIET_MS = 42_000
/** Of which a few come together by chance: `link` decides too much else. */
const SOME = FEATURES.filter(feature => feature !== 'link' && feature !== 'acts')
/** One of which comes beside acts, seed by seed. */
const BESIDE_ACTS: readonly Feature[] = ['slow', 'strays', 'crash', 'late', 'link', 'freeze', 'drain', 'cut', 'loss', 'expire', 'split', 'lag', 'away', 'pipe', 'clock', 'foreign']
/** One viewer in so many watches the other videos too, on the same stream. */
export const SEVERAL_EVERY = 4
/** One viewer in so many asks for fewer comments. */
export const FEWER_EVERY = 4
/** Mixes in which comments may be late by more than a link is not read. */
const LONG_STALLS: ReadonlySet<Mix> = new Set(['strays', 'crash', 'freeze', 'cut', 'link', 'hard', 'all'])
/** Shares, one seed after another. */
const FORMER_EDGES = [0, 0, 0, 0.5, 0, 0, 1]
const FORMER_GATEWAYS = [0, 0, 0, 0, 0.5]

/** @param seed decides apart from all else which parts are of the former version, as in the middle of an upgrade */
export function planOf(mix: Mix, random: Random, seed: number): Plan {
  const features = featuresOf(mix, random, seed)
  const has = (feature: Feature) => features.has(feature)
  const hot = has('slow') && random.chance(0.5)
  const crowd = has('crowd')
  const link = has('link')
  const faultsUntil = random.between(8_000, 14_000)
  const videos = Array.from({ length: crowd || link ? 1 : mix === 'strays' ? random.whole(6, 9) : random.whole(2, 4) }, (_, i) => ({
    id: `v${i}`,
    comments: random.pick([0, 0, 3, 60, 300, 1_150]),
    fallsSilent: random.chance(0.5),
  }))
  const edges = random.whole(2, 3)
  const viewers = crowd ? random.whole(80, 130) : random.whole(8, 16)
  const apart = mix !== 'all' && mix !== 'hard' && random.chance(0.5)
  const places = viewers + Math.ceil(viewers / SEVERAL_EVERY) * (videos.length - 1)
  /** Room for all, and little more: not where an edge that is gone must leave room on the others. */
  const tight = apart ? 1_000 : Math.ceil(places / edges) + 2
  return {
    mix,
    features,
    faultsUntil,
    postsUntil: faultsUntil + 12_000,
    endsAt: faultsUntil + QUIET_MS,
    dispatchers: random.whole(2, 3),
    edges,
    gateways: random.whole(1, 2),
    videos,
    viewers,
    postEveryMs: link ? random.between(10, 40) : hot ? random.between(7, 15) : mix === 'pipe' || mix === 'strays' ? random.between(8, 40) : mix === 'hard' ? random.between(20, 60) : crowd ? random.between(60, 150) : random.between(40, 200),
    actEveryMs: mix === 'acts' ? 300 : 1_000,
    faultEveryMs: link ? 150 : mix === 'hard' ? 1_000 : mix === 'all' ? 2_000 : mix === 'strays' ? 600 : 1_200,
    apart,
    readsSilent: random.chance(0.4),
    disk: random.pick(['serial', 'per-video']),
    settings: {
      maxPipeBytes: has('pipe') ? random.whole(100, 900) : 4 << 20,
      edgeCapacity: random.pick([1_000, 1_000, tight]),
      videoShare: mix === 'strays' ? Math.max(2, Math.ceil(viewers / edges / 2)) * 2 : random.pick([1_000, 1_000, tight]),
      toleratedViewers: seed % 2 === 0 ? 0 : 20,
      joinRate: 1_000,
      // A piece of 64 KB would stand before a flush on a link of `link` for 13 s.
      piecesBytes: crowd || (seed % 3 === 0 && !link) ? 64 * 1024 : 600 + (seed % 5) * 500,
      groupsBytes: link ? seed % 200 : seed % 3 === 0 ? 1024 * 1024 : 100 + (seed % 4) * 400,
      keptBytes: crowd || seed % 4 === 0 ? 32 * 1024 * 1024 : (seed % 4) * 1_000,
      formerEdges: crowd || link ? 0 : FORMER_EDGES[seed % FORMER_EDGES.length]!,
      formerGateways: crowd || link ? 0 : FORMER_GATEWAYS[seed % FORMER_GATEWAYS.length]!,
      writeCostMs: crowd ? random.between(0.1, 0.5) : 0,
    },
    linkBytes: crowd ? 8_000 : link ? 100 : seed % 5 === 0 ? 64 * 1024 : 150 + (seed % 7) * 200,
    linkStallMs: LONG_STALLS.has(mix) ? 800 : 60,
    limitBytes: has('slow') ? random.whole(1_000, 8_000) : mix === 'acts' ? random.whole(200, 1_500) : 64 * 1024,
  }
}

function featuresOf(mix: Mix, random: Random, seed: number): Set<Feature> {
  if (mix === 'none') return new Set()
  if (mix === 'acts') return new Set(seed % 2 === 0 ? [mix] : [mix, BESIDE_ACTS[(seed >> 1) % BESIDE_ACTS.length]!])
  if (mix === 'hard') return new Set(FEATURES.filter(feature => feature !== 'crowd' && feature !== 'link' && (feature !== 'pipe' || random.chance(0.5))))
  if (mix !== 'all') return new Set([mix])
  const features = new Set<Feature>(seed % 2 === 0 ? ['acts'] : [])
  for (let i = random.whole(2, 5); i > 0; i--) features.add(random.pick(SOME))
  return features
}
