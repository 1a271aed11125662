import { createHistogram } from 'node:perf_hooks'
import { Gauge, type Registry } from 'prom-client'

/** How late this process's timers run, which is the delay of its event loop, under the names of the default metrics. Node's own
 * monitor looks by a timer of its own, and each look wakes an idle processor; here a tick that runs anyway says how late it was. */
export class LoopDelay {
  readonly #histogram = createHistogram()

  constructor(register: Registry) {
    const histogram = this.#histogram
    const read: [name: string, nanoseconds: () => number][] = [
      ['max', () => histogram.max],
      ['mean', () => histogram.mean],
      ...[50, 90, 99].map((p): [string, () => number] => [`p${p}`, () => histogram.percentile(p)]),
    ]
    const gauges = read.map(([name, nanoseconds], i) => {
      const gauge = new Gauge({
        name: `nodejs_eventloop_lag_${name}_seconds`,
        help: `How late a tick of 0.1 s ran since the last scrape: ${name}.`,
        registers: [register],
        // The first that is read takes all of them, and begins anew.
        ...(i === 0 ? { collect: () => take() } : {}),
      })
      return { gauge, nanoseconds }
    })
    const take = () => {
      if (histogram.count === 0) return
      for (const { gauge, nanoseconds } of gauges) gauge.set(nanoseconds() / 1e9)
      histogram.reset()
    }
  }

  record(lateMs: number): void {
    this.#histogram.record(Math.max(1, Math.round(lateMs * 1e6)))
  }
}
