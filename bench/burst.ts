import { numberOf, type Benchmark } from './benchmark.js'
import { workOf } from './fanout.js'
import { bars } from './report/chart.js'
import { resultTable } from './report/result-table.js'
import { fanOut } from './run.js'
import { LiveSystem } from './systems/live.js'

/** From the warm-up to the burst: nothing is under way any more. */
const PAUSE_MS = 2_000

export const burst: Benchmark = {
  name: 'burst',
  question: 'how long do viewers wait when a quiet video gets all its comments within one second?',
  flags: command =>
    command
      .option('--viewers <count>', 'of the video', Number, 10_000)
      .option('--comments <count>', 'within the second', Number, 100)
      .option('--gzip', 'viewers accept gzip'),
  async run(flags, progress) {
    const gzip = flags['gzip'] === true
    const viewers = numberOf(flags, 'viewers')
    const rate = numberOf(flags, 'comments')
    progress.title(`${rate} comments within one second to ${viewers} viewers`)
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via: 'edge', gzip, profile: flags.profile })
    const outcome = await fanOut(system, workOf(flags, { viewers, rate, seconds: 1, warmSeconds: 1, pauseMs: PAUSE_MS, opaque: gzip }), progress)
    const { p50 = 0, p99 = 0, p999 = 0 } = outcome.latencyMs ?? {}
    return {
      text: resultTable([outcome]),
      runs: [outcome],
      correct: outcome.correct,
      chart: bars('A burst', `${rate} comments within a second to ${viewers} viewers; posted to read, ms`, [{ name: 'p50', value: p50 }, { name: 'p99', value: p99 }, { name: 'p99.9', value: p999 }]),
    }
  },
}
