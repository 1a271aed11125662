import { setTimeout as sleep } from 'node:timers/promises'
import { number, table } from '../cli/table.js'
import { count } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { isFaultless } from './load/checker.js'
import { Poster } from './load/poster.js'
import { endsAt, measuredFrom, wallMs, type Schedule } from './load/schedule.js'
import { Viewers } from './load/viewers.js'
import { quantiles } from './measure/histogram.js'
import { ms } from './report/result-table.js'
import { drained, waitUntil } from './run.js'
import { LiveSystem } from './systems/live.js'

/** Low enough that the writes leave the processor to the viewers that rejoin and to the client, high enough to see when each
 * is served again. */
const RATE = 2
const WARM_SECONDS = 4
/** The viewers that a gateway holds with 20,000 descriptors. */
const PER_GATEWAY = 18_500
const READY_TIMEOUT_MS = 120_000
/** Limit for the last posts' delivery, once the run is over. */
const PATIENCE_MS = 30_000

export const restart: Benchmark = {
  name: 'restart',
  question: 'how long until all viewers are served again after their edge is killed?',
  flags: command => command.option('--viewers <count>', 'viewers', count, 10_000),
  async run(flags, progress) {
    const count = numberOf(flags, 'viewers')
    progress.title(`${count} viewers, whose edge is killed`)
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via: 'gateway', gateways: Math.ceil(count / PER_GATEWAY), edges: 2, profile: flags.profile })
    const viewers = new Viewers(flags.threads)
    try {
      viewers.connect({ targets: system.streams, viewers: count, videos: 1, checked: count, joinRate: 0 })
      await viewers.ready(READY_TIMEOUT_MS, ready => progress.step(`connecting ${count} viewers`, ready / count))
      await sleep(1_500)
      const schedule: Schedule = { startAt: wallMs() + 300, stepMs: 1000 / RATE, warm: WARM_SECONDS * RATE, pauseMs: 0, count: Math.ceil((WARM_SECONDS + flags.duration) * RATE), videos: 1 }
      viewers.begin(schedule)
      const poster = new Poster({ targets: system.posts, schedule, connections: 16, eventBytes: flags.size })
      await waitUntil(measuredFrom(schedule), share => progress.step('warming up', share))
      const held = await Promise.all(system.cluster.record().edges.map(async ({ id }) => ({ id, viewers: await system.cluster.metric(id, 'live_edge_viewers') })))
      const fullest = held.reduce((a, b) => (b.viewers > a.viewers ? b : a))
      const at = wallMs()
      viewers.disturbed(at)
      system.cluster.kill(fullest.id)
      await waitUntil(at + flags.duration * 1000, share => progress.step('waiting for all to be back', share))
      const { posted } = await drained(viewers, { videos: 1, viewers: count, patienceMs: PATIENCE_MS }, endsAt(schedule), poster.done, progress)
      const { faults } = await viewers.verify(posted.accepted, true)
      const back = viewers.histogram('back')
      progress.end()
      const correct = isFaultless(faults) && back.total === count
      const outcome = { viewers: count, onKilledEdge: fullest.viewers, back: back.total, backMs: quantiles(back), faults }
      return {
        text: table(
          [{ head: 'viewers', align: 'right' }, { head: 'on the killed edge', align: 'right' }, { head: 'back', align: 'right' }, { head: 'p50 ms', align: 'right' }, { head: 'p99', align: 'right' }, { head: 'max', align: 'right' }, { head: 'verdict' }],
          [[number(count), number(fullest.viewers), number(back.total), ms(outcome.backMs?.p50), ms(outcome.backMs?.p99), ms(outcome.backMs?.max), correct ? 'nothing missed' : `FAILED: ${JSON.stringify(faults)}`]],
          false,
        ),
        runs: [outcome],
        correct,
      }
    } finally {
      await viewers.close()
    }
  },
}
