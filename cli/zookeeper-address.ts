import { readConfig } from '../runtime/config.js'
import { zookeeperAuth, zookeeperAuthVariables, zookeeperConnect } from '../registry/variables.js'
import type { Credentials } from '../registry/zookeeper/credentials.js'
import type { ClusterIdentity } from '../protocol/nodes.js'
import { runningAuth, runningCluster, zookeeperOf, type DataFolder } from './running-cluster.js'

export interface ZookeeperAddress {
  /** HOST:PORT[,HOST:PORT…][/CHROOT] */
  readonly connect: string
  /** Where it comes from, for messages. */
  readonly source: string
  /** Our credentials, if we have any. */
  readonly auth: Credentials | undefined
  /** Nobody named it: a cluster may be there, or another one than the operator has in mind. */
  readonly isDefault?: true
  /** Whose registry it must be, where we know. */
  readonly cluster?: ClusterIdentity | undefined
}

/** ZooKeeper's flags. The credentials are in a file, since other users can see a command's arguments. */
export interface ZookeeperFlags {
  readonly zookeeper?: string
  readonly zookeeperAuthFile?: string
}

/** Finds ZooKeeper's address by --zookeeper, --data, environment, the cluster that runs on ./data or default, in that
 * order, and our credentials by flag or environment, together with those of the cluster, if it is the one on the data folder.
 * @throws ConfigError for a bad variable, Problem if the cluster file cannot be read or --data has none */
export function zookeeperAddress(flags: ZookeeperFlags, env: NodeJS.ProcessEnv, data: DataFolder): ZookeeperAddress {
  const given = flags.zookeeperAuthFile === undefined ? env : { ...env, ZOOKEEPER_AUTH: undefined, ZOOKEEPER_AUTH_FILE: flags.zookeeperAuthFile }
  const auth = zookeeperAuth(readConfig(given, zookeeperAuthVariables))
  const place = zookeeperPlace(flags, env, data)
  const running = runningAuth(data, place.connect)
  return { ...place, auth: auth && running ? [...new Set([...auth, ...running])] : (auth ?? running) }
}

function zookeeperPlace(flags: ZookeeperFlags, env: NodeJS.ProcessEnv, data: DataFolder): Omit<ZookeeperAddress, 'auth'> {
  if (flags.zookeeper !== undefined) return { connect: flags.zookeeper, source: 'from --zookeeper' }
  const { ZOOKEEPER_CONNECT: connect } = readConfig(env, { ZOOKEEPER_CONNECT: zookeeperConnect })
  if (env['ZOOKEEPER_CONNECT'] && !data.isGiven) return { connect, source: 'from ZOOKEEPER_CONNECT' }
  const running = runningCluster(data)
  const all = running && zookeeperOf(running)
  if (all) return { connect: all, source: `from ${data.name}/cluster.json`, cluster: running.cluster }
  return { connect, source: 'the default', isDefault: true }
}
