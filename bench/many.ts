import { count, positive } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { workOf } from './fanout.js'
import { resultTable } from './report/result-table.js'
import { fanOut } from './run.js'
import { LiveSystem } from './systems/live.js'

export const many: Benchmark = {
  name: 'many',
  question: 'what do many small videos cost?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers of all videos together', count, 10_000)
      .option('--videos <count>', 'videos, with equally many viewers', count, 1_000)
      .option('--rate <count>', 'comments per second, over all videos', positive, 1_000),
  async run(flags, progress) {
    const viewers = numberOf(flags, 'viewers')
    const videos = numberOf(flags, 'videos')
    progress.title(`${viewers} viewers over ${videos} videos`)
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via: 'edge', profile: flags.profile })
    const outcome = await fanOut(system, workOf(flags, { viewers, videos, rate: numberOf(flags, 'rate'), checked: Math.max(flags.checked, videos) }), progress)
    return { text: resultTable([outcome]), runs: [outcome], correct: outcome.correct }
  },
}
