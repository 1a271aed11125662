import { EXPECTED, parseExpected, printNode, RubbishError, type ExpectedNodes } from '../protocol/nodes.js'
import type { Zk } from './zookeeper/client.js'
import { isZkError } from './zookeeper/zk-error.js'

/** How many nodes of each kind should be there; empty where nobody has said so, or what stands there is rubbish.
 * @throws ZkError */
export async function expectedNodes(zk: Zk): Promise<ExpectedNodes> {
  try {
    return unlessRubbish((await zk.getData(EXPECTED)).data)
  } catch (error) {
    if (isZkError(error, 'NO_NODE')) return {}
    throw error
  }
}

/** Sets the counts that are given and leaves the others as they are, whoever else sets some now. @throws ZkError */
export async function expectNodes(zk: Zk, counts: ExpectedNodes): Promise<void> {
  await zk.ensure(EXPECTED)
  for (;;) {
    const { data, stat } = await zk.getData(EXPECTED)
    try {
      await zk.setData(EXPECTED, printNode({ ...unlessRubbish(data), ...counts }), stat.version)
      return
    } catch (error) {
      if (!isZkError(error, 'BAD_VERSION')) throw error
    }
  }
}

function unlessRubbish(data: Buffer): ExpectedNodes {
  try {
    return parseExpected(data)
  } catch (error) {
    if (error instanceof RubbishError) return {}
    throw error
  }
}
