import { readConfig, zookeeperConnect } from '../node/config.js'
import { runningCluster } from './running-cluster.js'

export interface ZookeeperAddress {
  /** HOST:PORT[,HOST:PORT…][/CHROOT] */
  readonly connect: string
  /** Where it was found, in words. */
  readonly source: string
}

/** Finds ZooKeeper: by flag, environment, the cluster that runs in this folder, default, in that order.
 * @throws ConfigError for a bad variable, Problem for a cluster file that cannot be read */
export function zookeeperAddress(flag: string | undefined, env: NodeJS.ProcessEnv, folder: string): ZookeeperAddress {
  if (flag !== undefined) return { connect: flag, source: 'from --zookeeper' }
  const { ZOOKEEPER_CONNECT: connect } = readConfig(env, { ZOOKEEPER_CONNECT: zookeeperConnect })
  if (env['ZOOKEEPER_CONNECT']) return { connect, source: 'from ZOOKEEPER_CONNECT' }
  const running = runningCluster(folder)?.zookeeper[0]?.url
  if (running) return { connect: running, source: 'from ./data/cluster.json' }
  return { connect, source: 'the default' }
}
