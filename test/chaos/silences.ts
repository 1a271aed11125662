import type { Ledger } from './ledger.js'
import type { ViewerNotes } from './notes.js'

/** A fault that was done. */
export interface Done {
  readonly name: string
  /** Which member, for how long: for the reader. */
  detail: string
  readonly from: number
  /** When it was over; what it broke may come back later. */
  to: number
}

/** Nothing came to a viewer, for so long. */
export interface Silence {
  readonly viewer: string
  /** Since the last comment that came. */
  readonly from: number
  readonly to: number
  /** Since a comment was acknowledged that had not come, ms; 0 where none was. */
  readonly owedMs: number
}

export interface Longest {
  /** Longest time that a viewer waited for comments that were acknowledged, ms. */
  owedMs: number
  /** Longest time between two comments at one viewer, posts that were held up included, ms. */
  pauseMs: number
}

/** What a fault does may show for so long after it is over. */
export const AFTERMATH_MS = 5_000
const BEFORE_MS = 300
/** Comments that come together after a wait were acknowledged in about that order. */
const LOOK_AHEAD = 50

/** Every longer wait of every viewer, that of the last minute of a run included. */
export function silences(ledger: Ledger, viewers: Iterable<ViewerNotes>): Silence[] {
  const acknowledged = new Map<string, number>()
  for (const { videoId, id, acknowledgedAt } of ledger.posts()) if (id !== undefined) acknowledged.set(`${videoId} ${id}`, acknowledgedAt!)
  const all: Silence[] = []
  for (const { viewer, videoId, ids, waits } of viewers) {
    for (const { from, to, first } of waits) {
      let since = Infinity
      for (const id of ids.slice(first, first + LOOK_AHEAD)) since = Math.min(since, acknowledged.get(`${videoId} ${id}`) ?? Infinity)
      all.push({ viewer, from, to, owedMs: Math.max(0, to - Math.max(from, since)) })
    }
  }
  return all
}

/** The longest silence after each kind of fault that was under way, or just over, when the silence began.
 * @returns by name: `alone` of silences when no other fault was; under '' those when none was */
export function longestAfter(done: readonly Done[], all: readonly Silence[]): Map<string, { alone: Longest; any: Longest }> {
  const byName = new Map<string, { alone: Longest; any: Longest }>()
  const of = (name: string) => {
    let entry = byName.get(name)
    if (!entry) byName.set(name, (entry = { alone: { owedMs: 0, pauseMs: 0 }, any: { owedMs: 0, pauseMs: 0 } }))
    return entry
  }
  const under = (at: number) => [...new Set(done.filter(({ from, to }) => at >= from - BEFORE_MS && at <= to + AFTERMATH_MS).map(({ name }) => name))]
  const note = (at: number, key: keyof Longest, ms: number) => {
    const names = under(at)
    for (const name of names.length > 0 ? names : ['']) {
      const { alone, any } = of(name)
      any[key] = Math.max(any[key], ms)
      if (names.length <= 1) alone[key] = Math.max(alone[key], ms)
    }
  }
  for (const { name } of done) of(name)
  for (const { from, to, owedMs } of all) {
    note(from, 'pauseMs', to - from)
    if (owedMs > 0) note(to - owedMs, 'owedMs', owedMs)
  }
  return byName
}
