import { DRAIN, EDGES, parseEdge, printNode, RubbishError, type EdgeNode } from '../../protocol/nodes.js'
import type { Zk } from '../zookeeper/client.js'
import { isZkError } from '../zookeeper/zk-error.js'
import { Problem } from './output.js'
import { unknownEdge } from './videos.js'

/** What `drain --json` and `undrain --json` answer. */
export interface DrainAnswer {
  readonly id: string
  /** The instance asked to leave, null where none is. */
  readonly instance: string | null
}

/** Wishes that the edge's present instance leave. @throws Problem when there is no such edge */
export async function drain(zk: Zk, edgeId: string): Promise<DrainAnswer> {
  const { instance } = await edgeNode(zk, edgeId)
  await zk.ensure(`${DRAIN}/${edgeId}`)
  await zk.setData(`${DRAIN}/${edgeId}`, printNode({ instance }))
  return { id: edgeId, instance }
}

/** Takes the wish back, also that of an edge that has left. @throws Problem when there is neither wish nor edge */
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
    if (error instanceof RubbishError) throw new Problem(`${EDGES}/${edgeId} does not hold what an edge of this software writes`, { cause: error })
    throw error
  }
}
