import { Command, CommanderError } from 'commander'
import { resolve } from 'node:path'
import { z } from 'zod'
import { zookeeperConnect } from '../registry/variables.js'
import { ConfigError } from '../runtime/config.js'
import { meant } from '../runtime/did-you-mean.js'

/** What `npm start` may be told. */
export interface Options {
  readonly gateways: number
  readonly dispatchers: number
  readonly edges: number
  /** Of the first gateway; 0: any free port. */
  readonly port: number
  /** Absolute path. */
  readonly data: string
  readonly store: 'sqlite'
  /** Servers of a ZooKeeper of our own. */
  readonly zookeepers: number
  /** HOST:PORT/chroot of a ZooKeeper that runs already; undefined: one of our own. */
  readonly zookeeper: string | undefined
  /** Start a part again that died. */
  readonly restart: boolean
  /** How long a part may answer no health check, ms; 0: for ever. */
  readonly watchdogMs: number
}

const whole = (least: number, most: number) => {
  const rule = `must be a whole number from ${least} to ${most}`
  return z.string().regex(/^\d{1,6}$/, rule).transform(Number).refine(n => n >= least && n <= most, rule)
}

const shape = z.object({
  gateways: whole(1, 100),
  dispatchers: whole(1, 100),
  edges: whole(1, 100),
  port: whole(0, 65_535),
  data: z.string().min(1, 'must be a folder').transform(path => resolve(path)),
  store: z.literal('sqlite', 'must be sqlite'),
  zookeepers: z.string().regex(/^[135]$/, 'must be 1, 3 or 5').transform(Number),
  zookeeper: zookeeperConnect.unwrap().optional(),
  restart: z.boolean(),
  watchdog: z.string().regex(/^\d{1,6}(\.\d+)?$/, 'must be seconds, 0 or more').transform(seconds => Number(seconds) * 1000),
})

function command(): Command {
  return new Command('npm start --')
    .description('A whole cluster on this machine: real processes under one supervisor.')
    .option('--gateways <count>', 'public addresses', '1')
    .option('--dispatchers <count>', 'accept, store and forward comments', '2')
    .option('--edges <count>', 'hold the streams of the viewers', '3')
    .option('--port <port>', 'of the first gateway; 0: any free port', '8080')
    .option('--data <folder>', 'comments, logs, cluster.json and the token between the parts', './data')
    .option('--store <kind>', 'where comments are kept: sqlite', 'sqlite')
    .option('--zookeepers <count>', 'servers of a ZooKeeper of its own: 1, 3 or 5', '1')
    .option('--zookeeper <host:port/chroot>', 'one that runs already (without: starts one of its own)')
    .option('--no-restart', 'leave a part that died dead')
    .option('--watchdog <seconds>', 'end a part that answers no health check for so long; 0: never', '5')
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
}

/** @returns undefined when help was asked for and printed
 * @throws ConfigError naming every bad flag */
export function readOptions(argv: readonly string[]): Options | undefined {
  const flags = command()
  const bad: string[] = []
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(flags.helpInformation())
    return undefined
  }
  try {
    const { operands, unknown } = flags.parseOptions([...argv])
    for (const word of operands) bad.push(`${word}: belongs to no flag`)
    // What follows an unknown flag is that flag's.
    for (const word of unknown) if (word.startsWith('-')) bad.push(`${word}: there is no such flag${meant(word, flags.options.flatMap(({ long }) => long ?? []))}`)
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    bad.push(error.message.replace(/^error: /, ''))
  }
  const result = shape.safeParse(flags.opts())
  if (flags.opts()['zookeeper'] !== undefined && flags.getOptionValueSource('zookeepers') === 'cli') bad.push('--zookeepers: is for a ZooKeeper of its own, and --zookeeper names one')
  if (!result.success) bad.push(...result.error.issues.map(issue => `--${issue.path.join('.')}: ${issue.message}`))
  if (!result.success || bad.length > 0) throw new ConfigError(bad.join('\n'))
  const { watchdog: watchdogMs, zookeeper, ...rest } = result.data
  return { ...rest, zookeeper, watchdogMs }
}
