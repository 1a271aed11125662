import { setTimeout as sleep } from 'node:timers/promises'
import { number, table } from '../cli/table.js'
import { count, part } from './arguments.js'
import { numberOf, viaOf, type Benchmark } from './benchmark.js'
import { wallMs } from './load/schedule.js'
import { Viewers } from './load/viewers.js'
import { cpuSeconds, tcpMemoryBytes } from './measure/process-usage.js'
import { memoryOf, waitUntil } from './run.js'
import { LiveSystem } from './systems/live.js'

const READY_TIMEOUT_MS = 120_000
const SETTLE_MS = 2_000

export const idle: Benchmark = {
  name: 'idle',
  question: 'what does an idle viewer cost?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers of all videos together', count, 15_000)
      .option('--videos <count>', 'videos, with equally many viewers', count, 1)
      .option('--via <part>', 'part that viewers connect to: gateway as the public does (both are measured), or edge', part, 'gateway'),
  async run(flags, progress) {
    const count = numberOf(flags, 'viewers')
    const via = viaOf(flags)
    progress.title(`${count} idle viewers`)
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via, gateways: via === 'gateway' ? Math.ceil(count / 18_500) : 1, profile: flags.profile })
    const viewers = new Viewers(flags.threads)
    try {
      const before = { memory: memoryOf(system), kernel: tcpMemoryBytes() }
      viewers.connect({ targets: system.streams, viewers: count, videos: numberOf(flags, 'videos'), checked: flags.checked, joinRate: 0 })
      await viewers.ready(READY_TIMEOUT_MS, ready => progress.step(`connecting ${count} viewers`, ready / count))
      await sleep(SETTLE_MS)
      const cpu = () => system.processes().filter(({ delivers }) => delivers).reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
      const cpuBefore = cpu()
      await waitUntil(wallMs() + flags.duration * 1000, share => progress.step('measuring', share))
      const outcome = {
        viewers: count,
        via,
        memoryPerViewer: (memoryOf(system) - before.memory) / count,
        kernelMemoryPerViewer: (tcpMemoryBytes() - before.kernel) / count,
        cpuMicrosecondsPerViewerSecond: ((cpu() - cpuBefore) / flags.duration / count) * 1e6,
        lost: viewers.get('lost'),
      }
      progress.end()
      return {
        text: table(
          [{ head: 'viewers', align: 'right' }, { head: 'KB/viewer', align: 'right' }, { head: 'CPU µs/viewer/s', align: 'right' }, { head: 'of a core', align: 'right' }, { head: 'lost', align: 'right' }],
          [[number(count), (outcome.memoryPerViewer / 1024).toFixed(2), outcome.cpuMicrosecondsPerViewerSecond.toFixed(2), `${((outcome.cpuMicrosecondsPerViewerSecond * count) / 1e4).toFixed(1)}%`, String(outcome.lost)]],
          false,
        ),
        runs: [outcome],
        correct: outcome.lost === 0,
      }
    } finally {
      await viewers.close()
    }
  },
}
