import { collectDefaultMetrics, Registry } from 'prom-client'

/** A registry of metrics with Node's own already in it (event-loop delay among them). Ours start with
 * `live_`, use base units, and have no label for a video or a viewer. */
export function createMetrics(): Registry {
  const register = new Registry()
  collectDefaultMetrics({ register })
  return register
}

/** Seconds, for what should take a millisecond and may take ten seconds. */
export const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10]
