import type { Command } from 'commander'
import type { EChartsOption } from 'echarts'
import type { Progress } from './report/progress.js'

/** One question, and how it is answered: a subcommand of `npm run bench`. */
export interface Benchmark {
  readonly name: string
  readonly question: string
  /** Its own flags, besides those that all have. */
  readonly flags: (command: Command) => Command
  readonly run: (flags: Flags, progress: Progress) => Promise<Findings>
}

/** What the command line says; numbers are numbers. */
export interface Flags {
  readonly [name: string]: number | string | boolean | undefined
  /** Seconds that one run measures. */
  readonly duration: number
  /** Of viewers. */
  readonly threads: number
  readonly checked: number
  readonly size: number
  /** Folder for CPU profiles. */
  readonly profile: string | undefined
}

export interface Findings {
  /** For the terminal. */
  readonly text: string
  /** For the file. */
  readonly runs: readonly object[]
  readonly chart?: EChartsOption
  /** Nothing was lost, doubled or misplaced. */
  readonly correct: boolean
}

/** A flag's number. */
export function numberOf(flags: Flags, name: string): number {
  return flags[name] as number
}
