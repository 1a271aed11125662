import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { VERSION } from './version.js'

/** The default metrics' monitor of the event loop cannot be left out, only kept from looking, ms: LoopDelay stands for it. */
const NEVER = 2 ** 31 - 1

/** A registry that already has Node's own metrics. The names of ours start with `live_`; they use base units and have no label
 * for a video or a viewer. */
export function createMetrics(): Registry {
  const register = new Registry()
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: NEVER })
  for (const what of ['', 'min_', 'max_', 'mean_', 'stddev_', 'p50_', 'p90_', 'p99_']) register.removeSingleMetric(`nodejs_eventloop_lag_${what}seconds`)
  countDescriptors(register)
  new Gauge({ name: 'live_build_info', help: '1, for this version of the software on this version of Node.', labelNames: ['version', 'node'], registers: [register] }).set({ version: VERSION, node: process.versions.node }, 1)
  const unsentBytes = notSentLowat()
  if (unsentBytes !== undefined) {
    new Gauge({ name: 'live_tcp_notsent_lowat_bytes', help: 'net.ipv4.tcp_notsent_lowat when the process started: a socket with more unsent bytes is not writable (rule 10).', registers: [register] }).set(unsentBytes)
  }
  return register
}

/** Replaces the default metric, which lists the descriptors synchronously: with 10,000 of them it blocks for 20 ms. */
function countDescriptors(register: Registry): void {
  if (!register.getSingleMetric('process_open_fds')) return
  register.removeSingleMetric('process_open_fds')
  new Gauge({
    name: 'process_open_fds',
    help: 'Number of open file descriptors.',
    registers: [register],
    async collect() {
      this.set((await readdir('/proc/self/fd')).length)
    },
  })
}

/** Undefined unless the kernel is Linux. */
function notSentLowat(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/tcp_notsent_lowat', 'utf8'))
  } catch {
    return undefined
  }
}

/** Histogram buckets from a millisecond to ten seconds. */
export const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10]
