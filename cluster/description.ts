import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterIdentity, ExpectedNodes } from '../protocol/nodes.js'
import { identifyCluster } from '../registry/cluster-identity.js'
import { expectNodes } from '../registry/expected-nodes.js'
import { secure } from '../registry/secure.js'
import { Zk } from '../registry/zookeeper/client.js'
import type { Credentials } from '../registry/zookeeper/credentials.js'
import { ZkError } from '../registry/zookeeper/zk-error.js'

export interface DescriptionOptions {
  /** What ZOOKEEPER_CONNECT takes. */
  readonly connect: string
  readonly auth: Credentials | undefined
  /** Whether the registry is the cluster's own: its entries are then restricted to the credentials. */
  readonly isOwn: boolean
  readonly identity: ClusterIdentity
  /** How many nodes it starts. */
  readonly nodes: ExpectedNodes
  readonly signal: AbortSignal
}

const RETRY_MS = 200

/** Writes into the registry what no part can know: which cluster it is of, and how many nodes should be there. A registry of
 * its own that was open until now is closed. Waits for ZooKeeper, however long that takes.
 * @returns the identity that stands there: a registry that is another cluster's stays as it is
 * @throws ZkError when ZooKeeper refuses, AbortError when `signal` comes first */
export async function describe({ connect, auth, isOwn, identity, nodes, signal }: DescriptionOptions): Promise<ClusterIdentity> {
  const zk = new Zk(connect, { auth })
  try {
    for (;;) {
      await zk.ready(signal)
      try {
        if (isOwn && auth !== undefined) await secure(zk)
        const found = await identifyCluster(zk, identity)
        if (found.id === identity.id) await expectNodes(zk, nodes)
        return found
      } catch (error) {
        if (!(error instanceof ZkError && error.retryable)) throw error
      }
      await sleep(RETRY_MS, undefined, { signal })
    }
  } finally {
    await zk.close()
  }
}
