import { table } from '../cli/table.js'
import { count, positive } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { Poster } from './load/poster.js'
import { endsAt, wallMs, type Schedule } from './load/schedule.js'
import { quantiles, type Quantiles } from './measure/histogram.js'
import { cpuSeconds } from './measure/process-usage.js'
import { ms, whole } from './report/result-table.js'
import { waitUntil } from './run.js'
import { LiveSystem } from './systems/live.js'

const WARM_MS = 2_000

interface PostOutcome {
  readonly how: string
  readonly postsPerSecond: number
  readonly latencyMs: Quantiles | undefined
  readonly refused: Readonly<Record<number, number>>
  /** Of one core, by process; the client is this one. */
  readonly cpu: Readonly<Record<string, number>>
  /** Processor time that a post costs all of the system's processes, and the client, µs. */
  readonly systemMicroseconds: number
  readonly clientMicroseconds: number
}

const CLIENT = 'client'

export const post: Benchmark = {
  name: 'post',
  question: 'how many comments per second can be stored durably, and how long does one take?',
  flags: command =>
    command
      .option('--connections <count>', 'connections, each with one post under way', count, 512)
      .option('--videos <count>', 'videos, posted to in turn', count, 100)
      .option('--share <part>', 'rate of the second run, which keeps a schedule, as a share of the first run\'s', positive, 0.5),
  async run(flags, progress) {
    progress.title('durable posts')
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via: 'edge', profile: flags.profile })
    const connections = numberOf(flags, 'connections')
    const videos = numberOf(flags, 'videos')
    const common = { targets: system.posts, connections, eventBytes: flags.size, unread: true }
    const measure = async (how: string, poster: Poster, from: number, until: number): Promise<PostOutcome> => {
      const cpu = (): (readonly [string, number])[] => {
        const { user, system: kernel } = process.cpuUsage()
        return [...system.processes().map(({ name, pid }) => [name, cpuSeconds(pid)] as const), [CLIENT, (user + kernel) / 1e6]]
      }
      await waitUntil(from, share => progress.step(`${how}: warming up`, share))
      const before = new Map(cpu())
      await waitUntil(until, share => progress.step(`${how}: measuring`, share))
      const used = Object.fromEntries(cpu().map(([name, seconds]) => [name, (seconds - before.get(name)!) / flags.duration]))
      const { measured, refused, lastAt } = await poster.done
      const postsPerSecond = measured / ((Math.max(until, lastAt) - from) / 1000)
      const cores = Object.entries(used).reduce((sum, [name, cores]) => sum + (name === CLIENT ? 0 : cores), 0)
      return { how, postsPerSecond, latencyMs: quantiles(poster.latency), refused, cpu: used, systemMicroseconds: (cores / postsPerSecond) * 1e6, clientMicroseconds: (used[CLIENT]! / postsPerSecond) * 1e6 }
    }

    const startAt = wallMs() + 300
    const flatOut = { measuredFrom: startAt + WARM_MS, until: startAt + WARM_MS + flags.duration * 1000 }
    const none: Schedule = { startAt, stepMs: 0, warm: 0, pauseMs: 0, count: 0, videos }
    const most = await measure('flat out', new Poster({ ...common, schedule: none, flatOut }), flatOut.measuredFrom, flatOut.until)

    const rate = Math.max(1, most.postsPerSecond * numberOf(flags, 'share'))
    const warm = Math.round((rate * WARM_MS) / 1000)
    const schedule: Schedule = { startAt: wallMs() + 300, stepMs: 1000 / rate, warm, pauseMs: 0, count: warm + Math.round(rate * flags.duration), videos }
    const half = await measure(`${whole(rate)}/s by schedule`, new Poster({ ...common, schedule }), schedule.startAt + WARM_MS, endsAt(schedule))
    progress.end()

    const outcomes = [most, half]
    return {
      text: table(
        [{ head: 'posts' }, { head: 'stored/s', align: 'right' }, { head: 'p50 ms', align: 'right' }, { head: 'p99', align: 'right' }, { head: 'p99.9', align: 'right' }, { head: 'refused', align: 'right' }, { head: 'cores: gateway', align: 'right' }, { head: 'dispatcher', align: 'right' }, { head: 'client', align: 'right' }, { head: 'µs/post: system', align: 'right' }, { head: 'client', align: 'right' }],
        outcomes.map(({ how, postsPerSecond, latencyMs, refused, cpu, systemMicroseconds, clientMicroseconds }) => [
          how,
          whole(postsPerSecond),
          ms(latencyMs?.p50),
          ms(latencyMs?.p99),
          ms(latencyMs?.p999),
          String(Object.values(refused).reduce((sum, count) => sum + count, 0)),
          (cpu['gateway-1'] ?? 0).toFixed(2),
          (cpu['dispatcher-1'] ?? 0).toFixed(2),
          (cpu[CLIENT] ?? 0).toFixed(2),
          systemMicroseconds.toFixed(0),
          clientMicroseconds.toFixed(1),
        ]),
        false,
      ),
      runs: outcomes,
      correct: outcomes.every(({ refused }) => Object.keys(refused).length === 0),
    }
  },
}
