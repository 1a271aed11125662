import { RubbishError } from '../protocol/nodes.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { isZkError } from '../registry/zookeeper/zk-error.js'
import { Problem } from './output.js'

/** What is at `path`; undefined where there is nothing. @throws Problem where it is not what a node of this software writes */
export async function readNode<T>(zk: Zk, path: string, parse: (data: Buffer) => T): Promise<T | undefined> {
  try {
    return parse((await zk.getData(path)).data)
  } catch (error) {
    if (isZkError(error, 'NO_NODE')) return undefined
    if (error instanceof RubbishError) throw new Problem('ZNODE_DAMAGED', `${path} does not hold what a node of this software writes`, { cause: error })
    throw error
  }
}
