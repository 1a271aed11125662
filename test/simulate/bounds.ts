import type { Plan } from './plan.js'

/** After the faults, what they left behind may take this long to be cleared away. */
const SETTLE_MS = 15_000
const QUIET_BOUND_MS = 250

/** How late after its commit a comment may reach a viewer that was there and well. @param at when it was stored */
export function boundOf(plan: Plan): (at: number) => number {
  const troubled = plan.features.size === 0 ? QUIET_BOUND_MS : 40_000
  return at => (at > plan.faultsUntil + SETTLE_MS && !plan.features.has('pipe') ? QUIET_BOUND_MS : troubled)
}
