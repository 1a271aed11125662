import { setTimeout as sleep } from 'node:timers/promises'
import { number, table } from '../cli/table.js'
import { count, part } from './arguments.js'
import { numberOf, viaOf, type Benchmark } from './benchmark.js'
import { isFaultless } from './load/checker.js'
import { Poster } from './load/poster.js'
import { endsAt, measuredFrom, wallMs, type Schedule } from './load/schedule.js'
import { Viewers } from './load/viewers.js'
import { quantiles } from './measure/histogram.js'
import { cpuSeconds } from './measure/process-usage.js'
import { ms, whole } from './report/result-table.js'
import { waitUntil } from './run.js'
import { LiveSystem } from './systems/live.js'

/** Viewers that are there before: their comments go on and are checked. */
const PRESENT = 1_000
const RATE = 20
const WARM_SECONDS = 2
/** Before the crowd comes. */
const QUIET_SECONDS = 4
/** Comments go on for so long after the crowd should have come, in case that it takes longer. */
const SPARE_SECONDS = 5
const READY_TIMEOUT_MS = 60_000
/** The viewers that a gateway holds with 20,000 descriptors, some left to posts. */
const PER_GATEWAY = 18_500

export const join: Benchmark = {
  name: 'join',
  question: 'how many viewers can join per second, and how does that affect viewers who are already there?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers that join', count, 10_000)
      .option('--joins <count>', 'joins per second', count, 5_000)
      .option('--present <count>', 'viewers that are there already', count, PRESENT)
      .option('--via <part>', 'part that viewers connect to: gateway as the public does, or edge', part, 'gateway'),
  async run(flags, progress) {
    const [coming, joinRate, there] = ['viewers', 'joins', 'present'].map(name => numberOf(flags, name)) as [number, number, number]
    const via = viaOf(flags)
    progress.title(`${joinRate} joins a second through the ${via}`)
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via, gateways: via === 'gateway' ? Math.ceil((coming + there) / PER_GATEWAY) : 1, profile: flags.profile })
    const present = new Viewers(flags.threads)
    const crowd = new Viewers(flags.threads)
    try {
      present.connect({ targets: system.streams, viewers: there, videos: 1, checked: there, joinRate: 0 })
      await present.ready(READY_TIMEOUT_MS)
      const seconds = coming / joinRate
      const schedule: Schedule = { startAt: wallMs() + 300, stepMs: 1000 / RATE, warm: WARM_SECONDS * RATE, pauseMs: 0, count: Math.ceil((WARM_SECONDS + QUIET_SECONDS + seconds + SPARE_SECONDS) * RATE), videos: 1 }
      present.begin(schedule)
      const poster = new Poster({ targets: system.posts, schedule, connections: 16, eventBytes: flags.size })
      await waitUntil(measuredFrom(schedule), share => progress.step('warming up', share))
      await waitUntil(measuredFrom(schedule) + QUIET_SECONDS * 1000, share => progress.step('before the crowd comes', share))
      const before = snapshot(system)
      const startAt = crowd.connect({ targets: system.streams, viewers: coming, videos: 1, checked: 1, joinRate })
      present.disturbed(startAt)
      await crowd.ready(READY_TIMEOUT_MS, ready => progress.step('viewers are coming', ready / coming))
      const endAt = wallMs()
      present.disturbed(startAt, endAt)
      const after = snapshot(system)
      const took = (endAt - startAt) / 1000
      await waitUntil(endsAt(schedule), share => progress.step('after the crowd came', share))
      const posted = await poster.done
      await sleep(1_500)
      const { faults } = await present.verify(posted.accepted, true)
      progress.end()
      const used = after.parts.map(({ name, delivers, seconds }, i) => ({ name, delivers, microsecondsPerJoin: ((seconds - before.parts[i]!.seconds) / coming) * 1e6 }))
      const outcome = {
        via,
        coming,
        joinRate,
        joinsPerSecond: coming / took,
        joinMs: quantiles(crowd.histogram('joined')),
        quietLatencyMs: quantiles(present.histogram('posted')),
        presentLatencyMs: quantiles(present.histogram('disturbed')),
        cpuMicrosecondsPerJoin: used.reduce((sum, { delivers, microsecondsPerJoin }) => sum + (delivers ? microsecondsPerJoin : 0), 0),
        used,
        /** Share of one core that the load client itself used meanwhile. */
        clientCpu: (after.clientCpu - before.clientCpu) / took,
        faults,
      }
      const correct = isFaultless(faults)
      const right = (head: string) => ({ head, align: 'right' as const })
      return {
        text: table(
          [right('joins/s wanted'), right('joins/s'), right('join p50 ms'), right('p99'), right('CPU µs/join'), right('present viewers before: p50 ms'), right('p99'), right('during: p50 ms'), right('p99'), right('max'), right('client\'s cores'), { head: 'verdict' }],
          [[
            number(joinRate),
            whole(outcome.joinsPerSecond),
            ms(outcome.joinMs?.p50),
            ms(outcome.joinMs?.p99),
            whole(outcome.cpuMicrosecondsPerJoin),
            ms(outcome.quietLatencyMs?.p50),
            ms(outcome.quietLatencyMs?.p99),
            ms(outcome.presentLatencyMs?.p50),
            ms(outcome.presentLatencyMs?.p99),
            ms(outcome.presentLatencyMs?.max),
            outcome.clientCpu.toFixed(2),
            correct ? 'nothing missed' : `FAILED: ${JSON.stringify(faults)}`,
          ]],
          false,
        ),
        runs: [outcome],
        correct,
      }
    } finally {
      await Promise.all([present.close(), crowd.close()])
    }
  },
}

/** Processor seconds used so far. */
function snapshot(system: LiveSystem) {
  const { user, system: kernel } = process.cpuUsage()
  return { parts: system.processes().map(each => ({ ...each, seconds: cpuSeconds(each.pid) })), clientCpu: (user + kernel) / 1e6 }
}
