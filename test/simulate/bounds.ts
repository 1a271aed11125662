import type { Feature } from './mixes.js'
import type { Plan } from './plan.js'

/** After the faults, what they left behind may take this long to be cleared away. */
const SETTLE_MS = 15_000
/** Where nothing, or nothing that matters to delivery, is wrong: the registry may be away, late or wrong, clocks may
 * step, pipes may drop, other viewers may be slow. */
const QUIET_MS = 250
/** Who asked for fewer comments is written some five times a second. */
export const FEWER_MS = 200
/** Acts are done by dispatchers too that do not own the video, and may not have heard yet of an edge that holds it: its next
 * sync brings them. */
const ACTS_MS = 2_500
/** Whatever else: a quiet video is compared with the store every half minute, and synced every two seconds. */
const ALWAYS_MS = 35_000

/** One part at a time in trouble, with room on the others for its viewers. An edge is judged within 3 s and an edge
 * asks the next dispatcher after 1 s; a comment whose dispatcher died before it could forward it waits for a sync,
 * 2 s, and for what whoever answers has in memory to be a second old. */
const APART_MS: Partial<Record<Feature, number>> = { drain: QUIET_MS, strays: 5_000, crash: 4_000, freeze: 4_500, cut: 4_500 }
/** A link that takes 100 bytes at a time carries less than is posted: what waits is carried once no more comes. */
const TOGETHER_MS: Partial<Record<Feature, number>> = { link: 10_000, strays: ALWAYS_MS, loss: 6_000, cut: 12_000, drain: 10_000, crash: 10_000, freeze: 20_000, late: 20_000 }

/** What a socket takes at a time arrives, and its writer learns of it, within this. */
const ROUND_TRIP_MS = 20

/** How long what a viewer missed may be on its way to it: where sockets take little, in many goes. */
export function transferMs({ limitBytes, linkBytes, settings }: Plan, bytes: number): number {
  return (bytes / Math.min(limitBytes, linkBytes, settings.piecesBytes)) * ROUND_TRIP_MS
}

/** How long after a post was asked for it may be stored: a poster is answered within 8 s, and a commit that began by then
 * may take longer where the disk is to blame. */
export function latestCommitMs({ features }: Plan): number {
  return features.has('late') ? 16_000 : 8_500
}

/** How late after its commit a comment may reach a viewer that was there and well. @param at when it was stored */
export function boundOf({ features, apart, faultsUntil, mix, linkStallMs }: Plan): (at: number) => number {
  const troubles = [...features].filter(feature => feature !== 'acts')
  const single = troubles.length <= 1
  const [feature] = troubles
  // Of `all`, which may come to a single trouble, links are not read for longer than of a mix of that trouble alone.
  const stallMs = mix === 'all' ? linkStallMs : 0
  const troubled = !single || mix === 'hard' ? ALWAYS_MS : ((feature && ((apart ? APART_MS[feature] : undefined) ?? TOGETHER_MS[feature])) ?? QUIET_MS + stallMs)
  const bound = features.has('acts') ? Math.max(ACTS_MS, troubled) : troubled
  return at => (at > faultsUntil + SETTLE_MS ? QUIET_MS : bound)
}
