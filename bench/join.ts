import { setTimeout as sleep } from 'node:timers/promises'
import { number, table } from '../cli/table.js'
import { count, part } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { isFaultless } from './load/checker.js'
import { Poster } from './load/poster.js'
import { measuredFrom, wallMs, type Schedule } from './load/schedule.js'
import { Viewers } from './load/viewers.js'
import { quantiles } from './measure/histogram.js'
import { cpuSeconds } from './measure/process-usage.js'
import { ms, whole } from './report/result-table.js'
import { waitUntil } from './run.js'
import { LiveSystem } from './systems/live.js'

/** Viewers that are there before: their comments go on and are checked. */
const PRESENT = 1_000
const RATE = 20
const READY_TIMEOUT_MS = 60_000

export const join: Benchmark = {
  name: 'join',
  question: 'how many viewers per second can join one edge, and what do its present viewers notice?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers that join', count, 10_000)
      .option('--joins <count>', 'joins per second', count, 5_000)
      .option('--via <part>', 'part that viewers connect to: edge or gateway', part, 'edge'),
  async run(flags, progress) {
    const coming = numberOf(flags, 'viewers')
    const joinRate = numberOf(flags, 'joins')
    const via = flags['via'] === 'gateway' ? 'gateway' : 'edge'
    progress.title(`${joinRate} joins a second`)
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via, gateways: via === 'gateway' ? Math.ceil((coming + PRESENT) / 9_000) : 1, profile: flags.profile })
    const present = new Viewers(flags.threads)
    const crowd = new Viewers(flags.threads)
    try {
      present.connect({ targets: system.streams, viewers: PRESENT, videos: 1, checked: PRESENT, joinRate: 0 })
      await present.ready(READY_TIMEOUT_MS)
      const seconds = coming / joinRate
      const schedule: Schedule = { startAt: wallMs() + 300, stepMs: 1000 / RATE, warm: 3 * RATE, pauseMs: 0, count: Math.ceil((seconds + 4) * RATE), videos: 1 }
      present.begin(schedule)
      const poster = new Poster({ targets: system.posts, schedule, connections: 16, eventBytes: flags.size })
      await waitUntil(measuredFrom(schedule), share => progress.step('warming up', share))
      const edge = () => system.processes().filter(({ delivers }) => delivers).reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
      const cpuBefore = edge()
      const startAt = crowd.connect({ targets: system.streams, viewers: coming, videos: 1, checked: 1, joinRate })
      await crowd.ready(READY_TIMEOUT_MS, ready => progress.step('viewers are coming', ready / coming))
      const took = (wallMs() - startAt) / 1000
      const cpu = edge() - cpuBefore
      const posted = await poster.done
      await sleep(1_500)
      const { faults } = await present.verify(posted.accepted, true)
      progress.end()
      const outcome = { coming, joinRate, joinsPerSecond: coming / took, joinMs: quantiles(crowd.histogram('joined')), presentLatencyMs: quantiles(present.histogram('posted')), cpuMicrosecondsPerJoin: (cpu / coming) * 1e6, faults }
      const correct = isFaultless(faults)
      return {
        text: table(
          [{ head: 'joins/s wanted', align: 'right' }, { head: 'joins/s', align: 'right' }, { head: 'join p50 ms', align: 'right' }, { head: 'p99', align: 'right' }, { head: 'CPU µs/join', align: 'right' }, { head: 'present viewers: p50 ms', align: 'right' }, { head: 'p99', align: 'right' }, { head: 'verdict' }],
          [[number(joinRate), whole(outcome.joinsPerSecond), ms(outcome.joinMs?.p50), ms(outcome.joinMs?.p99), whole(outcome.cpuMicrosecondsPerJoin), ms(outcome.presentLatencyMs?.p50), ms(outcome.presentLatencyMs?.p99), correct ? 'nothing missed' : `FAILED: ${JSON.stringify(faults)}`]],
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
