import { number, table } from '../cli/table.js'
import { count } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { wallMs } from './load/schedule.js'
import { processorUse } from './measure/process-usage.js'
import { waitUntil } from './run.js'
import { LiveSystem } from './systems/live.js'

/** After it nothing of the start goes on: modules are compiled, memory is given back. */
const SETTLE_MS = 40_000

export const idleCluster: Benchmark = {
  name: 'idle-cluster',
  question: 'what does an unused cluster cost?',
  flags: command =>
    command
      .option('--gateways <count>', 'gateways', count, 1)
      .option('--dispatchers <count>', 'dispatchers', count, 1)
      .option('--edges <count>', 'edges', count, 1),
  async run(flags, progress) {
    const [gateways, dispatchers, edges] = ['gateways', 'dispatchers', 'edges'].map(name => numberOf(flags, name)) as [number, number, number]
    progress.title('a cluster without viewers and posts')
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via: 'gateway', gateways, dispatchers, edges, profile: flags.profile })
    await waitUntil(wallMs() + SETTLE_MS, share => progress.step('waiting for quiet', share))
    const read = () => [...system.processes(), { name: 'supervisor', pid: system.cluster.pid }].map(({ name, pid }) => ({ name, at: performance.now(), use: processorUse(pid) }))
    const before = read()
    await waitUntil(wallMs() + flags.duration * 1000, share => progress.step('measuring', share))
    const outcomes = read().map(({ name, at, use }, i) => {
      const seconds = (at - before[i]!.at) / 1000
      return { name, cores: (use.seconds - before[i]!.use.seconds) / seconds, wakeUpsPerSecond: (use.wakeUps - before[i]!.use.wakeUps) / seconds }
    })
    progress.end()
    return {
      text: table(
        [{ head: 'process' }, { head: 'of a core', align: 'right' }, { head: 'wake-ups/s', align: 'right' }, { head: 'µs a wake-up', align: 'right' }],
        outcomes.map(({ name, cores, wakeUpsPerSecond }) => [name, `${(cores * 100).toFixed(2)}%`, number(Math.round(wakeUpsPerSecond)), wakeUpsPerSecond === 0 ? '-' : ((cores / wakeUpsPerSecond) * 1e6).toFixed(0)]),
        false,
      ),
      runs: outcomes,
      correct: true,
    }
  },
}
