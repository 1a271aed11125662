import { count, part } from './arguments.js'
import { numberOf, viaOf, type Benchmark } from './benchmark.js'
import { sideBySide } from './compare.js'
import { workOf } from './fanout.js'
import { bars } from './report/chart.js'
import { startBare } from './systems/bare.js'
import { LiveSystem } from './systems/live.js'

/** Between the warm-up and the burst, so that nothing is under way any more. */
const PAUSE_MS = 2_000

export const burst: Benchmark = {
  name: 'burst',
  question: 'how long do viewers wait when a quiet video gets all its comments within one second?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers of the video', count, 10_000)
      .option('--comments <count>', 'comments within the second', count, 100)
      .option('--via <part>', 'part that viewers connect to: gateway as the public does, or edge', part, 'gateway')
      .option('--gzip', 'viewers accept gzip'),
  async run(flags, progress) {
    const gzip = flags['gzip'] === true
    const viewers = numberOf(flags, 'viewers')
    const rate = numberOf(flags, 'comments')
    const found = await sideBySide(
      [
        { name: 'live', start: () => LiveSystem.start({ via: viaOf(flags), gzip, profile: flags.profile }) },
        { name: 'bare', start: startBare },
      ],
      workOf(flags, { viewers, rate, seconds: 1, warmSeconds: 1, pauseMs: PAUSE_MS }),
      progress,
    )
    const quantile = (name: 'p50' | 'p99') => found.runs.map(({ system, latencyMs }) => ({ name: `${system}, ${name}`, value: latencyMs?.[name] ?? 0 }))
    return { ...found, chart: bars('A burst', `${rate} comments within a second to ${viewers} viewers; posted to read, ms`, [...quantile('p50'), ...quantile('p99')]) }
  },
}
