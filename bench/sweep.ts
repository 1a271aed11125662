import type { Benchmark, Flags } from './benchmark.js'
import { workOf } from './fanout.js'
import { lines } from './report/chart.js'
import type { Progress } from './report/progress.js'
import { resultTable } from './report/result-table.js'
import { fanOut, type Outcome } from './run.js'
import { LiveSystem } from './systems/live.js'

/** Comments per second of each video: so few that each is written by itself, and gathering gains nothing. */
const RATE = 10

interface Step {
  readonly viewers: number
  readonly videos?: number
  readonly edges?: number
}

/** One of the three grows while the others stay: viewers of a video; videos of 100 viewers each; edges of 2,500 viewers each. */
const axes: readonly { readonly name: string; readonly steps: readonly Step[]; readonly size: (step: Step) => number }[] = [
  { name: 'viewers', steps: [100, 1_000, 10_000].map(viewers => ({ viewers })), size: ({ viewers }) => viewers },
  { name: 'videos', steps: [1, 10, 100].map(videos => ({ viewers: 100 * videos, videos })), size: ({ videos = 1 }) => videos },
  { name: 'edges', steps: [1, 2, 4].map(edges => ({ viewers: 2_500 * edges, edges })), size: ({ edges = 1 }) => edges },
]

export const sweep: Benchmark = {
  name: 'sweep',
  question: 'does a delivery cost more with more viewers, more videos, more edges?',
  flags: command => command,
  async run(flags, progress) {
    const outcomes: Outcome[] = []
    const series = []
    for (const { name, steps, size } of axes) {
      const points: [number, number][] = []
      for (const step of steps) {
        const outcome = await once(flags, progress, step)
        outcomes.push(outcome)
        points.push([size(step) / size(steps[0]!), Math.round(outcome.deliveriesPerCpuSecond)])
      }
      series.push({ name: `${name}, from ${size(steps[0]!)}`, points })
    }
    return {
      text: resultTable(outcomes),
      runs: outcomes,
      correct: outcomes.every(({ correct }) => correct),
      chart: lines(`The cost of a delivery, ${RATE} comments/s a video`, 'times as many', 'deliveries per CPU-second of the edges', series),
    }
  },
}

async function once(flags: Flags, progress: Progress, { viewers, videos = 1, edges = 1 }: Step): Promise<Outcome> {
  progress.title(`${viewers} viewers, ${videos} videos, ${edges} edges`)
  progress.step('starting a cluster')
  await using system = await LiveSystem.start({ via: 'edge', edges, profile: flags.profile })
  const outcome = await fanOut(system, workOf(flags, { viewers, videos, rate: RATE * videos, checked: Math.max(flags.checked, videos) }), progress)
  return { ...outcome, system: `${outcome.system}: ${videos} ${videos === 1 ? 'video' : 'videos'}, ${edges} ${edges === 1 ? 'edge' : 'edges'}` }
}
