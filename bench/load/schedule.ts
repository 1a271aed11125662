/** When every post of a run is due. It is fixed before the first one, so that a system which stalls is measured by
 * what its users would have waited, not by what the load client got round to sending ("coordinated omission"). */
export interface Schedule {
  /** Unix ms of post 0. */
  readonly startAt: number
  /** Between two posts, ms. */
  readonly stepMs: number
  /** Posts that only warm up: they are delivered and checked, not timed. */
  readonly warm: number
  /** Pause after those, ms. */
  readonly pauseMs: number
  /** How many posts there are. */
  readonly count: number
  /** Post i goes to video i mod `videos`. */
  readonly videos: number
}

/** Unix ms at which a post is due; its number is in the comment, so its readers know this too. */
export function dueAt({ startAt, stepMs, warm, pauseMs }: Schedule, post: number): number {
  return startAt + post * stepMs + (post >= warm ? pauseMs : 0)
}

export function measuredFrom(schedule: Schedule): number {
  return dueAt(schedule, schedule.warm)
}

export function endsAt(schedule: Schedule): number {
  return dueAt(schedule, schedule.count)
}

/** Unix ms, to the microsecond, the same in every thread. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now()
}
