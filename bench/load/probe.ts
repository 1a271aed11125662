import type { Change } from '../../registry/view.js'

/** Two videos of each simulated edge, of which one is watched at a time. Its viewers are the time at which it was the other's
 * turn to leave, ms since the run's epoch: whoever sees it appear knows how late. */
export const PROBES = ['probe-a', 'probe-b'] as const

/** That time, as far as the change shows it. */
export function probeOf(change: Change): number | undefined {
  if (change.kind !== 'holdings' || !change.holdings) return undefined
  const { videos } = change.holdings
  return videos.get(PROBES[0]) ?? videos.get(PROBES[1])
}
