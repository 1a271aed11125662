import { CLUSTER, printNode, type ClusterIdentity } from '../protocol/nodes.js'
import { clusterIdentity, newClusterId } from '../registry/cluster-identity.js'
import type { Zk } from '../registry/zookeeper/client.js'

/** Gives the cluster a name, and an identity where it has none. */
export async function nameCluster(zk: Zk, name: string): Promise<ClusterIdentity> {
  const id = (await clusterIdentity(zk))?.id ?? newClusterId()
  await zk.put(CLUSTER, printNode({ id, name }))
  return { id, name }
}
