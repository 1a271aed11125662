import { DRAIN, EDGES, parseEdge, printNode, RubbishError, type EdgeNode } from '../../protocol/nodes.js'
import type { Zk } from '../zookeeper/client.js'
import { isZkError } from '../zookeeper/zk-error.js'
import { Problem } from './output.js'
import { unknownEdge } from './videos.js'

/** The output of `drain --json` and `undrain --json`. */
export interface DrainAnswer {
  readonly id: string
  /** The instance that is asked to drain; null if none is. */
  readonly instance: string | null
}

/** Asks the edge's present instance to drain. @throws Problem if there is no such edge */
export async function drain(zk: Zk, edgeId: string): Promise<DrainAnswer> {
  const { instance } = await edgeNode(zk, edgeId)
  await zk.ensure(`${DRAIN}/${edgeId}`)
  await zk.setData(`${DRAIN}/${edgeId}`, printNode({ instance }))
  return { id: edgeId, instance }
}

/** Withdraws the request, also for an edge that is gone. @throws Problem if there is neither a request nor an edge */
export async function undrain(zk: Zk, edgeId: string): Promise<DrainAnswer> {
  try {
    await zk.remove(`${DRAIN}/${edgeId}`)
  } catch (error) {
    if (!isZkError(error, 'NO_NODE')) throw error
    await edgeNode(zk, edgeId)
  }
  return { id: edgeId, instance: null }
}

async function edgeNode(zk: Zk, edgeId: string): Promise<EdgeNode> {
  try {
    return parseEdge((await zk.getData(`${EDGES}/${edgeId}`)).data)
  } catch (error) {
    if (isZkError(error, 'NO_NODE')) throw unknownEdge(edgeId)
    if (error instanceof RubbishError) throw new Problem(`${EDGES}/${edgeId} was not written by an edge of this software`, { cause: error })
    throw error
  }
}
