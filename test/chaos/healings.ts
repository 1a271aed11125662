import type { Violation } from './check.js'
import type { Ledger } from './ledger.js'
import type { ViewerNotes } from './notes.js'
import { AFTERMATH_MS, type Done } from './silences.js'

/** A viewer in another cluster than its video's home had all that was acknowledged while the line was in trouble. */
export interface Healing {
  /** What the trouble was. */
  readonly name: string
  readonly viewer: string
  readonly videoId: string
  /** Since the line was well again, ms. */
  readonly ms: number
  /** No other fault was under way, or just over. */
  readonly alone: boolean
}

/** "Within some 2 s one sync brings each video up to date" (docs/data-centres.md), which a busy machine takes longer for. */
const BOUND_MS = 10_000

/** Of every viewer whose connection outlived the trouble.
 * @param isAway whether the viewer is in another cluster than its video's home */
export function healings(ledger: Ledger, viewers: readonly ViewerNotes[], done: readonly Done[], isAway: (notes: ViewerNotes) => boolean): Healing[] {
  const acknowledged = new Map<string, number>()
  for (const { videoId, id, acknowledgedAt } of ledger.posts()) if (id !== undefined) acknowledged.set(`${videoId} ${id}`, acknowledgedAt!)
  const away = viewers.filter(isAway)
  const all: Healing[] = []
  for (const fault of done) {
    if (!fault.name.startsWith('line ')) continue
    const others = done.filter(other => other !== fault)
    for (const notes of away) {
      const had = hadAllAt(notes, fault.to, acknowledged)
      if (had === undefined) continue
      const alone = !others.some(({ from, to }) => from <= had && to + AFTERMATH_MS >= fault.to)
      all.push({ name: fault.name, viewer: notes.viewer, videoId: notes.videoId, ms: had - fault.to, alone })
    }
  }
  return all
}

/** Those that took longer than they may. */
export function late(all: readonly Healing[]): Violation[] {
  return all
    .filter(({ alone, ms }) => alone && ms > BOUND_MS)
    .map(({ name, viewer, videoId, ms }) => ({ videoId, id: undefined, viewer, text: `after ${name} it had what it had missed only ${Math.round(ms)} ms after the line had healed` }))
}

/** When the viewer had all that was acknowledged by `healedAt`; undefined where its connection of that moment has ended since. */
function hadAllAt({ videoId, ids, times, connections }: ViewerNotes, healedAt: number, acknowledged: ReadonlyMap<string, number>): number | undefined {
  const connection = connections.findLast(({ at }) => at <= healedAt)
  if (!connection) return undefined
  let had = Math.max(healedAt, connection.readyAt ?? Infinity)
  for (const [i, id] of ids.entries()) {
    if ((acknowledged.get(`${videoId} ${id}`) ?? Infinity) <= healedAt) had = Math.max(had, times[i]!)
  }
  return had > (connection.endedAt ?? Infinity) ? undefined : had
}
