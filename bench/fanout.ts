import { count, part, positive } from './arguments.js'
import { numberOf, type Benchmark, type Flags } from './benchmark.js'
import { lines } from './report/chart.js'
import type { Progress } from './report/progress.js'
import { resultTable } from './report/result-table.js'
import { fanOut, type Outcome, type Work } from './run.js'
import { LiveSystem } from './systems/live.js'

const SWEEP_RATES = [10, 100, 1000]
const SWEEP_VIEWERS = [100, 1000, 10_000]
/** The viewers that a gateway holds with 20,000 descriptors. */
const GATEWAY_VIEWERS = 9_500
const WARM_SECONDS = 3
/** A delivery that takes longer counts as never: by then viewers have gone. */
export const PATIENCE_MS = 20_000

export const fanout: Benchmark = {
  name: 'fanout',
  question: 'what does it cost to deliver one video\'s comments to all its viewers?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers of the video', count, 10_000)
      .option('--rate <count>', 'comments per second', positive, 100)
      .option('--via <part>', 'part that viewers connect to: edge, or gateway as the public does', part, 'edge')
      .option('--gzip', 'viewers accept gzip')
      .option('--sweep', `all combinations of rates ${SWEEP_RATES.join(', ')} and viewers ${SWEEP_VIEWERS.join(', ')}`),
  async run(flags, progress) {
    const outcomes: Outcome[] = []
    const rates = flags['sweep'] ? SWEEP_RATES : [numberOf(flags, 'rate')]
    const sizes = flags['sweep'] ? SWEEP_VIEWERS : [numberOf(flags, 'viewers')]
    for (const viewers of sizes) for (const rate of rates) outcomes.push(await fanoutOnce(flags, progress, viewers, rate))
    return {
      text: resultTable(outcomes),
      runs: outcomes,
      correct: outcomes.every(({ correct }) => correct),
      chart: lines('The cost of a delivery', 'viewers', 'deliveries per CPU-second of the edge', rates.map(rate => ({
        name: `${rate} comments/s`,
        points: outcomes.filter(each => each.rate === rate).map(each => [each.viewers, Math.round(each.deliveriesPerCpuSecond)] as const),
      }))),
    }
  },
}

async function fanoutOnce(flags: Flags, progress: Progress, wanted: number, rate: number): Promise<Outcome> {
  const via = flags['via'] === 'gateway' ? 'gateway' : 'edge'
  const gzip = flags['gzip'] === true
  const viewers = via === 'gateway' ? Math.min(wanted, GATEWAY_VIEWERS) : wanted
  progress.title(`${viewers} viewers, ${rate} comments/s, through the ${via}${gzip ? ', gzip' : ''}`)
  progress.step('starting a cluster')
  await using system = await LiveSystem.start({ via, gzip, profile: flags.profile })
  return await fanOut(system, workOf(flags, { viewers, rate, opaque: gzip }), progress)
}

/** The usual work, from the common flags. */
export function workOf(flags: Flags, change: Pick<Work, 'viewers' | 'rate'> & Partial<Work>): Work {
  return { videos: 1, seconds: flags.duration, warmSeconds: WARM_SECONDS, patienceMs: PATIENCE_MS, eventBytes: flags.size, checked: flags.checked, threads: flags.threads, ...change }
}
