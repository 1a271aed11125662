import { readConfig } from '../../runtime/config.js'
import { zookeeperAuth, zookeeperAuthVariables, zookeeperConnect } from '../variables.js'
import type { Credentials } from '../zookeeper/credentials.js'
import type { ClusterIdentity } from '../../protocol/nodes.js'
import { runningCluster, type DataFolder } from './running-cluster.js'

export interface ZookeeperAddress {
  /** HOST:PORT[,HOST:PORT…][/CHROOT] */
  readonly connect: string
  /** Where it was found, in words. */
  readonly source: string
  /** Who we are to it, where we are anybody. */
  readonly auth: Credentials | undefined
  /** Nobody named it: a cluster may be there, or another one than the operator has in mind. */
  readonly isDefault?: true
  /** Whose registry it must be, where we know. */
  readonly cluster?: ClusterIdentity | undefined
}

/** What may be said of ZooKeeper on the command line. The credentials are in a file: others see a command's arguments. */
export interface ZookeeperFlags {
  readonly zookeeper?: string
  readonly zookeeperAuthFile?: string
}

/** Finds ZooKeeper: by flag, the data folder of a flag, environment, the cluster that runs where we are, default, in that
 * order; and our credentials for it, by flag and environment.
 * @throws ConfigError for a bad variable, Problem for a cluster file that cannot be read or is not there */
export function zookeeperAddress(flags: ZookeeperFlags, env: NodeJS.ProcessEnv, data: DataFolder): ZookeeperAddress {
  const given = flags.zookeeperAuthFile === undefined ? env : { ...env, ZOOKEEPER_AUTH: undefined, ZOOKEEPER_AUTH_FILE: flags.zookeeperAuthFile }
  const auth = zookeeperAuth(readConfig(given, zookeeperAuthVariables))
  if (flags.zookeeper !== undefined) return { connect: flags.zookeeper, source: 'from --zookeeper', auth }
  const { ZOOKEEPER_CONNECT: connect } = readConfig(env, { ZOOKEEPER_CONNECT: zookeeperConnect })
  if (env['ZOOKEEPER_CONNECT'] && !data.isGiven) return { connect, source: 'from ZOOKEEPER_CONNECT', auth }
  const running = runningCluster(data)
  const url = running?.zookeeper[0]?.url
  if (url) return { connect: url, source: `from ${data.name}/cluster.json`, auth, cluster: running?.cluster }
  return { connect, source: 'the default', auth, isDefault: true }
}
