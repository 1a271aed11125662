import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterIdentity } from '../protocol/nodes.js'
import { identifyCluster } from '../registry/cluster-identity.js'
import { Zk } from '../registry/zookeeper/client.js'
import type { Credentials } from '../registry/zookeeper/credentials.js'
import { ZkError } from '../registry/zookeeper/zk-error.js'

export interface DescriptionOptions {
  /** What ZOOKEEPER_CONNECT takes. */
  readonly connect: string
  readonly auth: Credentials | undefined
  readonly identity: ClusterIdentity
  readonly signal: AbortSignal
}

const RETRY_MS = 200

/** Writes into the registry what no part can know: which cluster it is of. Waits for ZooKeeper, however long that takes.
 * @returns the identity that stands there: a registry that is another cluster's stays so
 * @throws ZkError when ZooKeeper refuses, AbortError when `signal` comes first */
export async function describe({ connect, auth, identity, signal }: DescriptionOptions): Promise<ClusterIdentity> {
  const zk = new Zk(connect, { auth })
  try {
    for (;;) {
      await zk.ready(signal)
      try {
        return await identifyCluster(zk, identity)
      } catch (error) {
        if (!(error instanceof ZkError && error.retryable)) throw error
      }
      await sleep(RETRY_MS, undefined, { signal })
    }
  } finally {
    await zk.close()
  }
}
