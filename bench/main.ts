import { Command, CommanderError } from 'commander'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { count, positive } from './arguments.js'
import { attack } from './attack.js'
import type { Benchmark, Flags } from './benchmark.js'
import { burst } from './burst.js'
import { compare } from './compare.js'
import { deletion } from './delete.js'
import { fanout } from './fanout.js'
import { history } from './history.js'
import { idleCluster } from './idle-cluster.js'
import { idle } from './idle.js'
import { join } from './join.js'
import { many } from './many.js'
import { machine } from './measure/machine.js'
import { million } from './million.js'
import { placement } from './placement.js'
import { post } from './post.js'
import { relay } from './relay.js'
import { registry } from './registry.js'
import { profileTables } from './report/profile.js'
import { Progress } from './report/progress.js'
import { restart } from './restart.js'
import { simulate } from './simulate.js'
import { sweep } from './sweep.js'
import { trace } from './trace.js'

const benchmarks: readonly Benchmark[] = [fanout, compare, many, burst, join, idle, idleCluster, post, history, restart, million, relay, placement, registry, simulate, sweep, trace, deletion, attack]

/** Runs a benchmark and sets the exit status: 0; 1 if a run of ours lost, duplicated or misplaced a comment; 2 for wrong usage.
 * @param argv the arguments after `bench` */
export async function main(argv: string[], _env: NodeJS.ProcessEnv): Promise<void> {
  const program = new Command('npm run bench --')
    .description('Benchmarks. Each starts the processes it needs and stops them.')
    .showHelpAfterError('(--help lists the benchmarks)')
    .exitOverride()
  for (const benchmark of benchmarks) {
    const command = program
      .command(benchmark.name)
      .description(benchmark.question)
      .option('--duration <seconds>', 'measured time of a run', positive, 15)
      .option('--size <bytes>', 'size of a comment as an edge writes it', count, 140)
      .option('--checked <count>', 'viewers whose events are all checked; the others only count comments', count, 200)
      .option('--threads <count>', 'threads of viewers', count, Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2))))
      .option('--profile <folder>', 'folder for CPU profiles, which the parts write when they stop', folder => resolve(folder))
      .option('--json <file>', 'file for all numbers')
      .option('--svg <file>', 'file for a chart')
    benchmark.flags(command).action((flags: Flags) => run(benchmark, flags))
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : 2
  }
}

async function run(benchmark: Benchmark, flags: Flags): Promise<void> {
  const where = machine()
  const { text, runs, chart, correct } = await benchmark.run(flags, new Progress())
  process.stdout.write(`\n${text}`)
  if (flags.profile !== undefined) process.stdout.write(profileTables(flags.profile))
  if (typeof flags['json'] === 'string') writeFileSync(flags['json'], `${JSON.stringify({ benchmark: benchmark.name, machine: where, flags, runs }, undefined, 2)}\n`)
  if (typeof flags['svg'] === 'string' && chart) {
    const { writeChart } = await import('./report/chart.js') // large: loaded where it is used
    writeChart(flags['svg'], chart)
  }
  process.exitCode = correct ? 0 : 1
}
