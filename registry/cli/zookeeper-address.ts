import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { readConfig, zookeeperConnect } from '../node/config.js'
import { Problem } from './problem.js'

export interface ZookeeperAddress {
  /** HOST:PORT[,HOST:PORT…][/CHROOT] */
  readonly connect: string
  /** Where it was found, in words. */
  readonly source: string
}

const cluster = z.object({ zookeeper: z.array(z.object({ url: z.string().nullable() })) })

/** Finds ZooKeeper: by flag, environment, the cluster that runs in this folder, default, in that order.
 * @throws ConfigError for a bad variable, Problem for a cluster file that cannot be read */
export function zookeeperAddress(flag: string | undefined, env: NodeJS.ProcessEnv, folder: string): ZookeeperAddress {
  if (flag !== undefined) return { connect: flag, source: 'from --zookeeper' }
  const { ZOOKEEPER_CONNECT: connect } = readConfig(env, { ZOOKEEPER_CONNECT: zookeeperConnect })
  if (env['ZOOKEEPER_CONNECT']) return { connect, source: 'from ZOOKEEPER_CONNECT' }
  const running = fromCluster(join(folder, 'data', 'cluster.json'))
  if (running !== undefined) return { connect: running, source: 'from ./data/cluster.json' }
  return { connect, source: 'the default' }
}

function fromCluster(file: string): string | undefined {
  if (!existsSync(file)) return undefined
  try {
    return cluster.parse(JSON.parse(readFileSync(file, 'utf8'))).zookeeper[0]?.url ?? undefined
  } catch (cause) {
    throw new Problem('./data/cluster.json is not what npm start writes; remove it, or name ZooKeeper with --zookeeper HOST:PORT/CHROOT', { cause })
  }
}
