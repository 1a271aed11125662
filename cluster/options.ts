import { Command, CommanderError } from 'commander'
import { resolve } from 'node:path'
import { z } from 'zod'
import { zookeeperConnect } from '../registry/variables.js'
import { calledAs } from '../runtime/called-as.js'
import { ConfigError } from '../runtime/config.js'
import { meant } from '../runtime/did-you-mean.js'

/** The flags of `npm start`. */
export interface Options {
  readonly gateways: number
  readonly dispatchers: number
  readonly edges: number
  /** The gateways' public port, or the first one's if they do not share it; 0: any free port. */
  readonly port: number
  /** Absolute path. */
  readonly data: string
  /** Cassandra: that of STORE_URL, or one that the cluster starts. */
  readonly store: 'sqlite' | 'cassandra'
  /** Servers of the ZooKeeper that the cluster starts. */
  readonly zookeepers: number
  /** HOST:PORT/chroot of a ZooKeeper that is running already; undefined: the cluster starts its own. */
  readonly zookeeper: string | undefined
  /** Whether a part that died is restarted. */
  readonly restart: boolean
  /** A part that has answered no health check for this long is killed, ms; 0: never. */
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
  store: z.enum(['sqlite', 'cassandra'], 'must be sqlite or cassandra'),
  zookeepers: z.string().regex(/^[135]$/, 'must be 1, 3 or 5').transform(Number),
  zookeeper: zookeeperConnect.unwrap().optional(),
  restart: z.boolean(),
  watchdog: z.string().regex(/^\d{1,6}(\.\d+)?$/, 'must be seconds, 0 or more').transform(seconds => Number(seconds) * 1000),
})

function command(): Command {
  return new Command(calledAs('cluster', process.env))
    .description('A whole cluster on this machine: real processes under one supervisor.')
    .option('--gateways <count>', 'gateways: the public API and the page; on Linux they share one port', '1')
    .option('--dispatchers <count>', 'dispatchers: store and forward comments', '2')
    .option('--edges <count>', 'edges: hold the viewers\' streams', '3')
    .option('--port <port>', 'public port; 0: any free port', '8080')
    .option('--data <folder>', 'folder for comments, logs, cluster.json and secrets', './data')
    .option('--store <kind>', 'comment store: sqlite, or cassandra: the one that STORE_URL names, else one that it starts', 'sqlite')
    .option('--zookeepers <count>', 'servers of the ZooKeeper that it starts: 1, 3 or 5', '1')
    .option('--zookeeper <host:port/chroot>', 'use this running ZooKeeper (default: start one)')
    .option('--no-restart', 'do not restart a part that dies')
    .option('--watchdog <seconds>', 'kill a part that answers no health check for this long; 0: never', '5')
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
    for (const word of operands) bad.push(`${word}: unexpected argument`)
    // What follows an unknown flag is that flag's.
    for (const word of unknown) if (word.startsWith('-')) bad.push(`${word}: unknown flag${meant(word, flags.options.flatMap(({ long }) => long ?? []))}`)
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
