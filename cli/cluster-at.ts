import type { ClusterIdentity } from '../protocol/nodes.js'
import { clusterIdentity } from '../registry/cluster-identity.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { Problem } from './output.js'
import type { ZookeeperAddress } from './zookeeper-address.js'

/** Which cluster's registry is at the address; undefined where it has no name.
 * @throws Problem when it is another cluster's than was written down: that one ended, and another took its port */
export async function clusterAt(zk: Zk, address: ZookeeperAddress): Promise<ClusterIdentity | undefined> {
  const found = await clusterIdentity(zk)
  if (isAnother(found, address)) throw new Problem('ANOTHER_CLUSTER', `${address.connect} (${address.source}) ${takenOver(found, address)}`)
  return found
}

/** Whether the cluster found at the address is another one than was written down. */
export function isAnother(found: ClusterIdentity | undefined, { cluster }: ZookeeperAddress): found is ClusterIdentity {
  return cluster !== undefined && found !== undefined && found.id !== cluster.id
}

/** Says so, without its subject, the address. */
export function takenOver(found: ClusterIdentity, { cluster }: ZookeeperAddress): string {
  return `is the registry of ${called(found)} now, not of ${called(cluster)}: that one ended, and another took its place`
}

/** For the human: which cluster a command reads or changes. */
export function clusterLine(cluster: ClusterIdentity | undefined, { connect, source }: ZookeeperAddress): string {
  return `cluster ${called(cluster)} at ${connect} (${source})`
}

function called(cluster: ClusterIdentity | undefined): string {
  return cluster ? `${cluster.name} (${cluster.id})` : 'without a name'
}
