import { count, part, positive, someOf } from './arguments.js'
import { numberOf, viaOf, type Benchmark, type Findings, type Flags } from './benchmark.js'
import { lines } from './report/chart.js'
import type { Progress } from './report/progress.js'
import { resultTable } from './report/result-table.js'
import { fanOut, type Outcome, type Work } from './run.js'
import { startBare } from './systems/bare.js'
import { LiveSystem, TRANSPORTS, type LiveOptions, type LiveTransport } from './systems/live.js'
import { startBehindNginx } from './systems/nginx-tls.js'
import type { RunningSystem } from './systems/system.js'

const SWEEP_RATES = [10, 100, 1000]
const SWEEP_VIEWERS = [100, 1000, 10_000]
/** The viewers that a gateway holds with 20,000 descriptors, some left to posts. */
const GATEWAY_VIEWERS = 18_500
/** The viewers of `--tls`: this process decrypts for all of them. */
const TLS_VIEWERS = 2_000
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
      .option('--via <part>', 'part that viewers connect to: gateway as the public does, or edge', part, 'gateway')
      .option('--transport <names>', `how viewers watch: a comma-separated list of ${TRANSPORTS.join(', ')}, run one after the other`, someOf(TRANSPORTS), 'sse')
      .option('--gzip', 'viewers by sse accept gzip')
      .option('--tls', `the same without TLS, with TLS, and with TLS by nginx in front, then a bare write loop without and with TLS; at most ${TLS_VIEWERS} viewers`)
      .option('--sweep', `all combinations of rates ${SWEEP_RATES.join(', ')} and viewers ${SWEEP_VIEWERS.join(', ')}`),
  async run(flags, progress) {
    if (flags['tls'] === true) return await withAndWithoutTls(flags, progress)
    const outcomes: Outcome[] = []
    const rates = flags['sweep'] ? SWEEP_RATES : [numberOf(flags, 'rate')]
    const sizes = flags['sweep'] ? SWEEP_VIEWERS : [numberOf(flags, 'viewers')]
    const transports = String(flags['transport']).split(',') as LiveTransport[]
    for (const viewers of sizes) for (const rate of rates) for (const transport of transports) outcomes.push(await fanoutOnce(flags, progress, { viewers, rate, transport }))
    return {
      text: resultTable(outcomes),
      runs: outcomes,
      correct: outcomes.every(({ correct }) => correct),
      chart: lines('The cost of a delivery', 'viewers', 'deliveries per CPU-second of what writes to viewers', rates.map(rate => ({
        name: `${rate} comments/s`,
        points: outcomes.filter(each => each.rate === rate && each.system === outcomes[0]?.system).map(each => [each.viewers, Math.round(each.deliveriesPerCpuSecond)] as const),
      }))),
    }
  },
}

/** One after the other in one run, since only then can they be compared. */
async function withAndWithoutTls(flags: Flags, progress: Progress): Promise<Findings> {
  const options = liveOptions(flags)
  const work = workOf(flags, { viewers: Math.min(numberOf(flags, 'viewers'), TLS_VIEWERS), rate: numberOf(flags, 'rate') })
  const outcomes: Outcome[] = []
  /** The bare loop gathers for as long as the run did that it stands beside. */
  const gathers = (run: number) => outcomes[run]?.flushIntervalMs ?? 0
  const starts: readonly (() => Promise<RunningSystem>)[] = [
    () => LiveSystem.start(options),
    () => LiveSystem.start({ ...options, tls: true }),
    () => startBehindNginx(options),
    () => startBare(gathers(0)),
    () => startBare(gathers(1), { tls: true }),
  ]
  for (const start of starts) {
    progress.title(`${work.viewers} viewers, ${work.rate} comments/s, through the ${options.via}: ${outcomes.length + 1} of ${starts.length}`)
    progress.step('starting')
    await using system = await start()
    outcomes.push(await fanOut(system, work, progress))
  }
  return { text: `${resultTable(outcomes)}\n${costs(outcomes)}`, runs: outcomes, correct: outcomes.every(({ correct }) => correct) }
}

/** What a delivery costs the processes that write to viewers, and nginx. */
function costs(outcomes: readonly Outcome[]): string {
  const [plain, tls, nginx, bare, bareTls] = outcomes.map(({ deliveriesPerCpuSecond }) => 1e6 / deliveriesPerCpuSecond) as [number, number, number, number, number]
  const us = (cost: number) => `${cost.toFixed(2)} µs`
  const times = (cost: number, of: number) => `${us(cost)}, ${(cost / of).toFixed(2)} times as much`
  return (
    `A delivery costs ${us(plain)} of processor without TLS; with TLS ${times(tls, plain)}; with TLS by nginx ${times(nginx, plain)}.\n` +
    `It costs the bare write loop ${us(bare)} without TLS; with TLS ${times(bareTls, bare)}.\n` +
    // The fewer writes, the cheaper a delivery: only runs that gathered alike say what TLS costs.
    `Comments gathered for ${outcomes.slice(0, 3).map(({ flushIntervalMs }) => (flushIntervalMs ?? 0).toFixed(0)).join(', ')} ms before a write; for the bare write loop as in the first two.\n`
  )
}

function liveOptions(flags: Flags): LiveOptions {
  return { via: viaOf(flags), gzip: flags['gzip'] === true, profile: flags.profile }
}

async function fanoutOnce(flags: Flags, progress: Progress, { viewers: wanted, rate, transport }: { readonly viewers: number; readonly rate: number; readonly transport: LiveTransport }): Promise<Outcome> {
  const options = { ...liveOptions(flags), transport }
  const { via, gzip } = options
  const viewers = via === 'gateway' ? Math.min(wanted, GATEWAY_VIEWERS) : wanted
  progress.title(`${viewers} viewers, ${rate} comments/s, through the ${via}, ${transport}${gzip ? ', gzip' : ''}`)
  progress.step('starting a cluster')
  await using system = await LiveSystem.start(options)
  return await fanOut(system, workOf(flags, { viewers, rate }), progress)
}

/** The usual work, from the common flags. */
export function workOf(flags: Flags, change: Pick<Work, 'viewers' | 'rate'> & Partial<Work>): Work {
  return { videos: 1, seconds: flags.duration, warmSeconds: WARM_SECONDS, patienceMs: PATIENCE_MS, eventBytes: flags.size, checked: flags.checked, threads: flags.threads, ...change }
}
