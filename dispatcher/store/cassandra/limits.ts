/** How long calls of the store may take, ms. */
export interface Limits {
  /** An append, with its second try and its wait for appends of the same video. */
  readonly appendMs: number
  /** A statement of it. */
  readonly statementMs: number
  readonly pageMs: number
  readonly lastIdsMs: number
  /** A look at which store it is, and what an operator orders. */
  readonly lookMs: number
}

/** A dispatcher that passes a post on waits for 1.5 s, and an edge for a sync 1 s. What got no answer is tried a second time
 * within `appendMs`. */
export const LIMITS: Limits = { appendMs: 1_300, statementMs: 600, pageMs: 1_500, lastIdsMs: 700, lookMs: 1_000 }
