import { count, positive, someOf } from './arguments.js'
import { numberOf, type Benchmark, type Findings, type Flags } from './benchmark.js'
import { PATIENCE_MS, workOf } from './fanout.js'
import { bars } from './report/chart.js'
import type { Progress } from './report/progress.js'
import { resultTable } from './report/result-table.js'
import { fanOut, type Outcome, type Work } from './run.js'
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
      .option('--viewers <count>', 'of the video', count, 10_000)
      .option('--rate <count>', 'comments a second', positive, 100)
      .option('--only <names>', `some of ${Object.keys(systems).join(',')}`, someOf(Object.keys(systems)))
      .addHelpText('after', `\nA system that falls behind is waited for until ${PATIENCE_MS / 1000} s after its last post was due, and shown with what it did.\nEach takes --duration and a minute at most, besides the two minutes at most that its viewers have to connect.`),
  async run(flags, progress) {
    const only = typeof flags['only'] === 'string' ? flags['only'].split(',') : Object.keys(systems)
    const chosen = Object.entries(systems).filter(([name]) => only.includes(name))
    return await sideBySide(
      chosen.map(([name, start]) => ({ name, start: flushIntervalMs => start(flags, flushIntervalMs) })),
      workOf(flags, { viewers: numberOf(flags, 'viewers'), rate: numberOf(flags, 'rate') }),
      progress,
    )
  },
}

export interface Candidate {
  readonly name: string
  /** @param flushIntervalMs for how long our edge let comments gather; 0 when it has not run */
  readonly start: (flushIntervalMs: number) => Promise<RunningSystem>
}

export interface Comparison extends Findings {
  readonly runs: readonly Outcome[]
}

/** The same work for each, one after the other. One that fails has no row but a line, and the others go on; the run has
 * failed when it is ours. */
export async function sideBySide(candidates: readonly Candidate[], work: Work, progress: Progress): Promise<Comparison> {
  const outcomes: Outcome[] = []
  const notes: string[] = []
  let correct = true
  for (const { name, start } of candidates) {
    progress.title(`${name}: ${work.viewers} viewers, ${work.rate} comments/s`)
    try {
      const outcome = await once(start, outcomes.find(isOurs)?.flushIntervalMs ?? 0, work, progress)
      outcomes.push(outcome)
      if (isOurs(outcome) && !outcome.correct) correct = false
    } catch (error) {
      progress.end()
      notes.push(error instanceof NotInstalledError ? `${name} is left out; to have it: ${error.message}` : `${name} FAILED: ${(error as Error).message}`)
      if (isOurs({ system: name })) correct = false
    }
  }
  const ranked = [...outcomes].sort((a, b) => b.deliveriesPerCpuSecond - a.deliveriesPerCpuSecond)
  return {
    text: resultTable(outcomes) + ratios(outcomes) + notes.map(note => `${note}\n`).join(''),
    runs: outcomes,
    chart: bars(
      'Comments delivered per CPU-second',
      `one video, ${work.viewers} viewers, ${work.rate} comments/s; the processes that write to viewers`,
      ranked.map(({ system, deliveriesPerCpuSecond, keptUp }) => ({ name: keptUp ? system : `${system} (did not keep up)`, value: deliveriesPerCpuSecond })),
    ),
    correct,
  }
}

async function once(start: Candidate['start'], flushIntervalMs: number, work: Work, progress: Progress): Promise<Outcome> {
  progress.step('starting')
  await using system = await start(flushIntervalMs)
  return await fanOut(system, { ...work, opaque: system.name.endsWith('gzip') }, progress)
}

function isOurs({ system }: Pick<Outcome, 'system'>): boolean {
  return system.startsWith('live')
}

/** What the issue of all this is: our edge as a share of the bare loop, and as a multiple of the best of the others. */
function ratios(outcomes: readonly Outcome[]): string {
  const ours = outcomes.find(isOurs)
  if (!ours) return ''
  const bare = outcomes.find(({ system }) => system.startsWith('bare'))
  const others = outcomes.filter(each => !isOurs(each) && !each.system.startsWith('bare'))
  const best = others.sort((a, b) => b.deliveriesPerCpuSecond - a.deliveriesPerCpuSecond)[0]
  const lines = ['']
  if (bare) lines.push(`The edge makes ${((100 * ours.deliveriesPerCpuSecond) / bare.deliveriesPerCpuSecond).toFixed(0)}% of the bare loop's deliveries per CPU-second (both gather for ${(ours.flushIntervalMs ?? 0).toFixed(0)} ms).`)
  if (best && best.deliveriesPerCpuSecond > 0) lines.push(`It makes ${(ours.deliveriesPerCpuSecond / best.deliveriesPerCpuSecond).toFixed(1)} times those of the best of the others, ${best.system}.`)
  return lines.length > 1 ? `${lines.join('\n')}\n` : ''
}
