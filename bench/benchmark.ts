import type { Command } from 'commander'
import type { EChartsOption } from 'echarts'
import type { Progress } from './report/progress.js'

/** A subcommand of `npm run bench`: a question and how to answer it. */
export interface Benchmark {
  readonly name: string
  readonly question: string
  /** Adds its own flags to the common ones. */
  readonly flags: (command: Command) => Command
  readonly run: (flags: Flags, progress: Progress) => Promise<Findings>
}

/** The parsed command line. */
export interface Flags {
  readonly [name: string]: number | string | boolean | undefined
  /** Measured time of a run, s. */
  readonly duration: number
  /** Threads of viewers. */
  readonly threads: number
  readonly checked: number
  readonly size: number
  /** Folder for CPU profiles. */
  readonly profile: string | undefined
}

export interface Findings {
  /** Printed on the terminal. */
  readonly text: string
  /** Written to the JSON file. */
  readonly runs: readonly object[]
  readonly chart?: EChartsOption
  /** True if nothing was lost, duplicated or misplaced. */
  readonly correct: boolean
}

/** The part that viewers connect to, as `--via` says. */
export function viaOf(flags: Flags): 'edge' | 'gateway' {
  return flags['via'] === 'edge' ? 'edge' : 'gateway'
}

/** The value of a numeric flag. */
export function numberOf(flags: Flags, name: string): number {
  return flags[name] as number
}
