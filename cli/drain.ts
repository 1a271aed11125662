import { DRAIN, EDGES, GATEWAYS, parseEdge, parseGateway, printNode } from '../protocol/nodes.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { isZkError } from '../registry/zookeeper/zk-error.js'
import { Problem } from './output.js'
import { readNode } from './read-node.js'

/** The output of `drain --json` and `undrain --json`. */
export interface DrainAnswer {
  readonly id: string
  /** The instance that is asked to drain; null if none is. */
  readonly instance: string | null
}

/** Asks the present instance of an edge or a gateway to drain. @throws Problem if there is none of that id, or one of each */
export async function drain(zk: Zk, id: string): Promise<DrainAnswer> {
  const instance = await presentInstance(zk, id)
  await zk.put(`${DRAIN}/${id}`, printNode({ instance }))
  return { id, instance }
}

/** Withdraws the request, also for a node that is gone. @throws Problem if there is neither a request nor a node */
export async function undrain(zk: Zk, id: string): Promise<DrainAnswer> {
  try {
    await zk.remove(`${DRAIN}/${id}`)
  } catch (error) {
    if (!isZkError(error, 'NO_NODE')) throw error
    await presentInstance(zk, id)
  }
  return { id, instance: null }
}

async function presentInstance(zk: Zk, id: string): Promise<string> {
  const [edge, gateway] = await Promise.all([readNode(zk, `${EDGES}/${id}`, parseEdge), readNode(zk, `${GATEWAYS}/${id}`, parseGateway)])
  if (edge && gateway) throw new Problem('ID_TAKEN_TWICE', `both an edge and a gateway have the id ${id}: give each a NODE_ID of its own`)
  const node = edge ?? gateway
  if (!node) throw new Problem('NOT_FOUND', `there is no edge ${id}, and no gateway of that id; the commands edges and gateways list those there are`)
  return node.instance
}
