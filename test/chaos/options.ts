import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { CASSANDRA_FAULTS, FAULT_KINDS, FAULTS_OF_TWO, USUAL_FAULTS, type FaultKind } from './schedule.js'

export interface ChaosOptions {
  readonly seconds: number
  readonly seed: number
  readonly faults: readonly FaultKind[]
  /** One fault at a time. */
  readonly apart: boolean
  readonly viewers: number
  readonly videos: number
  /** Comments a second, in all. */
  readonly rate: number
  /** Acts of moderators a second, in all. */
  readonly acts: number
  /** The folder of a cluster that runs already; undefined: one of our own. */
  readonly data: string | undefined
  /** Clusters of our own: two share their videos, by a line that breaks. The numbers of parts are each one's. */
  readonly clusters: number
  readonly gateways: number
  readonly dispatchers: number
  readonly edges: number
  /** Servers of its ZooKeeper. */
  readonly zookeepers: number
  /** Nodes of its Cassandra; 0: it stores in a file. */
  readonly cassandras: number
  /** Seconds; 0: never. */
  readonly watchdog: number
  /** The folder of another compiled build: the parts begin with it, and `rolling` brings them to this one and back. */
  readonly otherBuild?: string
}

export class UsageError extends Error {}

const whole = (least: number, most: number) => (text: string) => {
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < least || value > most) throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  return value
}

const oneOf = (values: readonly number[]) => (text: string) => {
  if (!values.some(value => String(value) === text)) throw new InvalidArgumentError(`It must be one of ${values.join(', ')}.`)
  return Number(text)
}

function kinds(text: string): FaultKind[] {
  const list = text.split(',').filter(word => word !== '')
  const unknown = list.filter(word => !FAULT_KINDS.includes(word as FaultKind))
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no ${unknown.join(', ')}.`)
  return list as FaultKind[]
}

/** @returns undefined when help was asked for and printed
 * @throws UsageError */
export function readOptions(argv: readonly string[]): ChaosOptions | undefined {
  const command = new Command('npm run chaos --')
    .description('Breaks a cluster under load, and checks for every viewer that it missed and repeated nothing.')
    .option('--seconds <n>', 'how long faults go on', whole(5, 86_400), 60)
    .option('--seed <n>', 'seed that decides the faults, and who watches what', whole(0, 999_999_999), 1)
    .option('--faults <kinds>', `comma-separated list of ${FAULT_KINDS.join(',')}; empty: no faults (default: all that apply to its store, except rolling; with two clusters also line, but not net)`, kinds)
    .option('--apart', 'one fault at a time, with time to recover, to measure the silence that each one causes', false)
    .option('--viewers <n>', 'viewers at the same time', whole(1, 20_000), 500)
    .option('--videos <n>', 'videos that they watch', whole(1, 10_000), 50)
    .option('--rate <n>', 'comments per second, over all videos', whole(1, 5_000), 200)
    .option('--acts <n>', 'acts of moderators per second, over all videos: deletions, pins, bans; none with --other-build', whole(0, 1_000), 5)
    .option('--data <folder>', 'data folder of a running cluster to use (default: a cluster of its own, in a new folder)')
    .option('--clusters <n>', '1, or 2 that are connected through a proxy; viewers and posters are at both', oneOf([1, 2]), 1)
    .option('--gateways <n>', 'gateways of its own cluster', whole(1, 10), 2)
    .option('--dispatchers <n>', 'dispatchers of its own cluster', whole(1, 10), 2)
    .option('--edges <n>', 'edges of its own cluster', whole(1, 10), 3)
    .option('--zookeepers <n>', 'ZooKeeper servers of its own cluster: 1, 3 or 5', oneOf([1, 3, 5]), 1)
    .option('--cassandras <n>', 'Cassandra nodes that its own cluster stores in: 0, 1 or 3; with three, each comment is kept three times', oneOf([0, 1, 3]), 0)
    .option('--watchdog <seconds>', 'time after which the watchdogs of its own cluster kill a frozen part, s; 0: never', whole(0, 600), 5)
    .option('--other-build <folder>', 'compiled build that the parts of its own cluster start with; the fault rolling then upgrades them to this build and back')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  try {
    command.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return undefined
    throw new UsageError(error.message, { cause: error })
  }
  const options = command.opts<Omit<ChaosOptions, 'data' | 'faults'> & { readonly data?: string; readonly faults?: FaultKind[] }>()
  const { clusters, cassandras, faults = usual(options) } = options
  if (clusters > 1 && (options.data !== undefined || cassandras > 0 || options.otherBuild !== undefined)) throw new UsageError('--clusters 2 goes with none of --data, --cassandras and --other-build')
  if (clusters === 1 && faults.includes('line')) throw new UsageError('the fault line takes --clusters 2')
  return { ...options, data: options.data, faults }
}

function usual({ cassandras, clusters }: Pick<ChaosOptions, 'cassandras' | 'clusters'>): readonly FaultKind[] {
  if (cassandras > 0) return CASSANDRA_FAULTS
  return clusters > 1 ? FAULTS_OF_TWO : USUAL_FAULTS
}
