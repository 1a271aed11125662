import { DISPATCHERS, DRAIN, EDGES, HOLDINGS } from '../protocol/nodes.js'
import type { Zk } from './zookeeper/client.js'
import { isZk } from './zookeeper/zk-error.js'

/** Every persistent node of ours in ZooKeeper, parents first; the first is the chroot. */
export const DIRECTORIES = ['/', EDGES, HOLDINGS, DISPATCHERS, '/control', DRAIN] as const

/** The first directory of ours that refuses us, since its ACL is for others; undefined where none does. One that is
 * missing refuses nobody. @throws ZkError where ZooKeeper is away */
export async function refusal(zk: Zk): Promise<string | undefined> {
  for (const path of DIRECTORIES) {
    try {
      await zk.getChildren(path)
    } catch (error) {
      if (isZk(error, 'NO_AUTH')) return path
      if (!isZk(error, 'NO_NODE')) throw error
    }
  }
  return undefined
}

/** What to tell an operator. @param given whether we have credentials at all */
export function refusalMessage(connect: string, path: string, given: boolean): string {
  return `ZooKeeper at ${connect} refuses us at ${path}: ${given ? 'it belongs to other credentials than those of ZOOKEEPER_AUTH' : 'it belongs to somebody, and we have no credentials: set ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE'}`
}
