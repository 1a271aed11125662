import { readConfig } from '../../runtime/config.js'
import { zookeeperAuth, zookeeperAuthVariables, zookeeperConnect } from '../variables.js'
import type { Credentials } from '../zookeeper/credentials.js'
import { runningCluster, zookeeperOf } from './running-cluster.js'

export interface ZookeeperAddress {
  /** HOST:PORT[,HOST:PORT…][/CHROOT] */
  readonly connect: string
  /** Where it comes from, for messages. */
  readonly source: string
  /** Our credentials, if we have any. */
  readonly auth: Credentials | undefined
}

/** ZooKeeper's flags. The credentials are in a file, since other users can see a command's arguments. */
export interface ZookeeperFlags {
  readonly zookeeper?: string
  readonly zookeeperAuthFile?: string
}

/** Finds ZooKeeper's address by flag, environment, the cluster that runs in this folder or default, in that order, and our
 * credentials by flag or environment.
 * @throws ConfigError for a bad variable, Problem if the cluster file cannot be read */
export function zookeeperAddress(flags: ZookeeperFlags, env: NodeJS.ProcessEnv, folder: string): ZookeeperAddress {
  const given = flags.zookeeperAuthFile === undefined ? env : { ...env, ZOOKEEPER_AUTH: undefined, ZOOKEEPER_AUTH_FILE: flags.zookeeperAuthFile }
  const auth = zookeeperAuth(readConfig(given, zookeeperAuthVariables))
  if (flags.zookeeper !== undefined) return { connect: flags.zookeeper, source: 'from --zookeeper', auth }
  const { ZOOKEEPER_CONNECT: connect } = readConfig(env, { ZOOKEEPER_CONNECT: zookeeperConnect })
  if (env['ZOOKEEPER_CONNECT']) return { connect, source: 'from ZOOKEEPER_CONNECT', auth }
  const running = runningCluster(folder)
  const all = running && zookeeperOf(running)
  if (all) return { connect: all, source: 'from ./data/cluster.json', auth }
  return { connect, source: 'the default', auth }
}
