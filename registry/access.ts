import { CLOCKS, CLUSTER, DISPATCHERS, DRAIN, EDGES, EXPECTED, GATEWAYS, HOLDINGS, PLACEMENT, STORE } from '../protocol/nodes.js'
import type { Zk } from './zookeeper/client.js'
import type { Loss } from './zookeeper/loss.js'
import { isZkError } from './zookeeper/zk-error.js'

/** Our persistent directories in ZooKeeper, parents first; `/` is the chroot. */
export const DIRECTORIES = ['/', EDGES, HOLDINGS, DISPATCHERS, GATEWAYS, '/control', DRAIN, PLACEMENT, CLOCKS] as const

/** What is said of the cluster as a whole, where somebody has said it. */
export const SETTINGS = [CLUSTER, EXPECTED, STORE] as const

/** The first of our directories whose ACL keeps us out; undefined when there is none. A missing directory keeps nobody out.
 * @throws ZkError when ZooKeeper is away */
export async function refusal(zk: Zk): Promise<string | undefined> {
  for (const path of DIRECTORIES) {
    try {
      await zk.getChildren(path)
    } catch (error) {
      if (isZkError(error, 'NO_AUTH')) return path
      if (!isZkError(error, 'NO_NODE')) throw error
    }
  }
  return undefined
}

/** The refusal, for an operator. @param given whether we have credentials at all */
export function refusalMessage(connect: string, path: string, given: boolean): string {
  return `ZooKeeper at ${connect} refuses us at ${path}: ${given ? 'it belongs to other credentials than those of ZOOKEEPER_AUTH' : 'it belongs to somebody, and we have no credentials: set ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE'}`
}

/** Why there is no connection to ZooKeeper, for an operator. */
export function lossMessage({ code, server, unanswered }: Loss): string {
  return `ZooKeeper at ${server}: ${code}${MEANINGS[code] ?? ''}${code === 'HUNG_UP' && unanswered !== undefined ? `, unanswered: ${unanswered}` : ''}`
}

/** Whether ZooKeeper says by `code` that it does not serve us, whichever call it is. */
export function refusesUs(code: string): boolean {
  return code in MEANINGS
}

const MEANINGS: Readonly<Record<string, string>> = {
  SESSION_CLOSED_REQUIRE_SASL_AUTH: ', it serves nobody without credentials: set ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE',
  AUTH_FAILED: ', it does not take our credentials',
}
