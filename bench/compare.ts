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
import { GOIM_DEFAULT, startGoim } from './systems/goim.js'
import { NotInstalledError } from './systems/installed.js'
import { LiveSystem } from './systems/live.js'
import { startMercure } from './systems/mercure.js'
import { startNchan } from './systems/nchan.js'
import { startRedis } from './systems/redis.js'
import { startSocketIo } from './systems/socket-io.js'
import type { RunningSystem } from './systems/system.js'

/** Starts a system. */
type Start = (flags: Flags, flushIntervalMs: number) => Promise<RunningSystem>

// Ours runs first: the bare loop gathers comments for as long as our edge did.
const systems: Readonly<Record<string, Start>> = {
  gateway: ({ profile }) => LiveSystem.start({ via: 'gateway', profile }),
  'gateway-gzip': ({ profile }) => LiveSystem.start({ via: 'gateway', gzip: true, profile }),
  live: ({ profile }) => LiveSystem.start({ via: 'edge', profile }),
  'live-gzip': ({ profile }) => LiveSystem.start({ via: 'edge', gzip: true, profile }),
  bare: (_flags, flushIntervalMs) => startBare(flushIntervalMs),
  'gateway-tls': ({ profile }) => LiveSystem.start({ via: 'gateway', tls: true, profile }),
  'live-tls': ({ profile }) => LiveSystem.start({ via: 'edge', tls: true, profile }),
  'bare-tls': (_flags, flushIntervalMs) => startBare(flushIntervalMs, { tls: true }),
  nchan: () => startNchan(),
  redis: () => startRedis(),
  'socket.io': () => startSocketIo(),
  'better-sse': () => startBetterSse(),
  centrifugo: () => startCentrifugo(process.env),
  mercure: () => startMercure(process.env),
  goim: () => startGoim(process.env),
  'goim-default': () => startGoim(process.env, GOIM_DEFAULT),
}

export const compare: Benchmark = {
  name: 'compare',
  question: 'how does it compare with other systems, and with a bare write loop?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers of the video', count, 10_000)
      .option('--rate <count>', 'comments per second', positive, 100)
      .option('--tls', 'ours and the bare write loop over TLS too')
      .option('--only <names>', `systems to run, comma-separated: ${Object.keys(systems).join(',')}`, someOf(Object.keys(systems)))
      .addHelpText('after', `\nA system that falls behind has until ${PATIENCE_MS / 1000} s after its last post was due; the table shows what it did by then.\nEach system takes at most --duration and a minute, plus up to two minutes for its viewers to connect.`),
  async run(flags, progress) {
    const only = typeof flags['only'] === 'string' ? flags['only'].split(',') : Object.keys(systems).filter(name => flags['tls'] === true || !name.endsWith('-tls'))
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
  /** @param flushIntervalMs how long our edge let comments gather; 0 if it has not run */
  readonly start: (flushIntervalMs: number) => Promise<RunningSystem>
}

export interface Comparison extends Findings {
  readonly runs: readonly Outcome[]
}

/** Gives each the same work, one after the other. One that fails gets a line instead of a row, and the others go on; if it
 * is ours, the run has failed. */
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
  return await fanOut(system, work, progress)
}

function isOurs({ system }: Pick<Outcome, 'system'>): boolean {
  return system.startsWith('live')
}

/** The summary: our edge as a share of the bare loop, and as a multiple of the best other system. */
function ratios(outcomes: readonly Outcome[]): string {
  const ours = outcomes.find(isOurs)
  if (!ours) return ''
  const bare = outcomes.find(({ system }) => system.startsWith('bare'))
  const others = outcomes.filter(each => !isOurs(each) && !each.system.startsWith('bare'))
  const best = others.sort((a, b) => b.deliveriesPerCpuSecond - a.deliveriesPerCpuSecond)[0]
  const lines = ['']
  if (bare) lines.push(`${ours.system} makes ${((100 * ours.deliveriesPerCpuSecond) / bare.deliveriesPerCpuSecond).toFixed(0)}% of the bare loop's deliveries per CPU-second (both gather for ${(ours.flushIntervalMs ?? 0).toFixed(0)} ms).`)
  if (best && best.deliveriesPerCpuSecond > 0) lines.push(`It makes ${(ours.deliveriesPerCpuSecond / best.deliveriesPerCpuSecond).toFixed(1)} times as many as the best of the others, ${best.system}.`)
  return lines.length > 1 ? `${lines.join('\n')}\n` : ''
}
