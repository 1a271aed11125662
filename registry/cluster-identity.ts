import { randomBytes } from 'node:crypto'
import { CLUSTER, parseCluster, printNode, RubbishError, type ClusterIdentity } from '../protocol/nodes.js'
import type { Zk } from './zookeeper/client.js'
import { isZkError } from './zookeeper/zk-error.js'

/** Which cluster the registry is of; undefined where nobody has said so, or what stands there is rubbish.
 * @throws ZkError */
export async function clusterIdentity(zk: Zk): Promise<ClusterIdentity | undefined> {
  try {
    return parseCluster((await zk.getData(CLUSTER)).data)
  } catch (error) {
    if (error instanceof RubbishError || isZkError(error, 'NO_NODE')) return undefined
    throw error
  }
}

/** Random: the cluster's for as long as it lives. */
export function newClusterId(): string {
  return randomBytes(4).toString('hex')
}

/** Says which cluster the registry is of, where nobody has. @returns the identity that stands there now @throws ZkError */
export async function identifyCluster(zk: Zk, identity: ClusterIdentity): Promise<ClusterIdentity> {
  try {
    await zk.ensure('/control')
    await zk.create(CLUSTER, printNode(identity))
    return identity
  } catch (error) {
    if (!isZkError(error, 'NODE_EXISTS')) throw error
    return (await clusterIdentity(zk)) ?? identity
  }
}
