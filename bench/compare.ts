import { numberOf, type Benchmark, type Flags } from './benchmark.js'
import { workOf } from './fanout.js'
import { bars } from './report/chart.js'
import type { Progress } from './report/progress.js'
import { resultTable } from './report/result-table.js'
import { fanOut, type Outcome } from './run.js'
import { startBare } from './systems/bare.js'
import { startBetterSse } from './systems/better-sse.js'
import { startCentrifugo } from './systems/centrifugo.js'
import { NotInstalledError } from './systems/installed.js'
import { LiveSystem } from './systems/live.js'
import { startMercure } from './systems/mercure.js'
import { startNchan } from './systems/nchan.js'
import { startRedis } from './systems/redis.js'
import { startSocketIo } from './systems/socket-io.js'
import type { RunningSystem } from './systems/system.js'

/** A system by its name on the command line. */
type Start = (flags: Flags, flushIntervalMs: number) => Promise<RunningSystem>

// The cluster first: the bare loop gathers comments for as long as its edge chose to.
const systems: Readonly<Record<string, Start>> = {
  live: ({ profile }) => LiveSystem.start({ via: 'edge', profile }),
  'live-gzip': ({ profile }) => LiveSystem.start({ via: 'edge', gzip: true, profile }),
  bare: (_flags, flushIntervalMs) => startBare(flushIntervalMs),
  nchan: () => startNchan(),
  redis: () => startRedis(),
  'socket.io': () => startSocketIo(),
  'better-sse': () => startBetterSse(),
  centrifugo: () => startCentrifugo(process.env),
  mercure: () => startMercure(process.env),
}

export const compare: Benchmark = {
  name: 'compare',
  question: 'how does it do beside what people would use instead, and beside the limit?',
  flags: command =>
    command
      .option('--viewers <count>', 'of the video', Number, 10_000)
      .option('--rate <count>', 'comments a second', Number, 100)
      .option('--only <names>', `some of ${Object.keys(systems).join(',')}`),
  async run(flags, progress) {
    const outcomes: Outcome[] = []
    const notes: string[] = []
    const only = typeof flags['only'] === 'string' ? flags['only'].split(',') : Object.keys(systems)
    for (const [name, start] of Object.entries(systems)) {
      if (!only.includes(name)) continue
      progress.title(`${name}: ${numberOf(flags, 'viewers')} viewers, ${numberOf(flags, 'rate')} comments/s`)
      try {
        outcomes.push(await once(flags, progress, start, outcomes.find(({ system }) => system.startsWith('live'))?.flushIntervalMs ?? 0))
      } catch (error) {
        progress.end()
        notes.push(error instanceof NotInstalledError ? `${name} is left out; to have it: ${error.message}` : `${name} FAILED: ${(error as Error).message}`)
      }
    }
    const ranked = [...outcomes].sort((a, b) => b.deliveriesPerCpuSecond - a.deliveriesPerCpuSecond)
    return {
      text: resultTable(outcomes) + ratios(outcomes) + notes.map(note => `${note}\n`).join(''),
      runs: outcomes,
      chart: bars(
        'Comments delivered per CPU-second',
        `one video, ${numberOf(flags, 'viewers')} viewers, ${numberOf(flags, 'rate')} comments/s; the processes that write to viewers`,
        ranked.map(({ system, deliveriesPerCpuSecond, keptUp }) => ({ name: keptUp ? system : `${system} (fell behind)`, value: deliveriesPerCpuSecond })),
      ),
      correct: outcomes.every(({ system, correct }) => correct || !system.startsWith('live')),
    }
  },
}

async function once(flags: Flags, progress: Progress, start: Start, flushIntervalMs: number): Promise<Outcome> {
  progress.step('starting')
  await using system = await start(flags, flushIntervalMs)
  const opaque = system.name.endsWith('gzip')
  return await fanOut(system, workOf(flags, { viewers: numberOf(flags, 'viewers'), rate: numberOf(flags, 'rate'), opaque }), progress)
}

/** What the issue of all this is: our edge as a share of the bare loop, and as a multiple of the best of the others. */
function ratios(outcomes: readonly Outcome[]): string {
  const ours = outcomes.find(({ system }) => system.startsWith('live'))
  if (!ours) return ''
  const bare = outcomes.find(({ system }) => system.startsWith('bare'))
  const others = outcomes.filter(({ system }) => !system.startsWith('live') && !system.startsWith('bare'))
  const best = others.sort((a, b) => b.deliveriesPerCpuSecond - a.deliveriesPerCpuSecond)[0]
  const lines = ['']
  if (bare) lines.push(`The edge makes ${((100 * ours.deliveriesPerCpuSecond) / bare.deliveriesPerCpuSecond).toFixed(0)}% of the bare loop's deliveries per CPU-second (both gather for ${(ours.flushIntervalMs ?? 0).toFixed(0)} ms).`)
  if (best) lines.push(`It makes ${(ours.deliveriesPerCpuSecond / best.deliveriesPerCpuSecond).toFixed(1)} times those of the best of the others, ${best.system}.`)
  return lines.length > 1 ? `${lines.join('\n')}\n` : ''
}
