import { CLOCKS, DISPATCHERS, DRAIN, EDGES, GATEWAYS, HOLDINGS, HOMES, PLACEMENT } from '../protocol/nodes.js'
import { inParallel } from '../runtime/in-parallel.js'
import { DIRECTORIES, SETTINGS } from './access.js'
import type { Zk } from './zookeeper/client.js'
import { isZkError } from './zookeeper/zk-error.js'

export interface Secured {
  /** Paths that only our credentials can now read and change. */
  readonly secured: readonly string[]
  /** Paths that belong to other credentials, and stay theirs. */
  readonly refused: readonly string[]
}

/** Restricts every znode of ours to our credentials, including those made without any or with former ones. */
export async function secure(zk: Zk): Promise<Secured> {
  const secured: string[] = []
  const refused: string[] = []
  await inParallel(await everyPath(zk), async path => {
    try {
      await zk.setAcl(path)
      secured.push(path)
    } catch (error) {
      if (isZkError(error, 'NO_AUTH')) refused.push(path)
      else if (!isZkError(error, 'NO_NODE')) throw error
    }
  })
  return { secured: secured.sort(), refused: refused.sort() }
}

/** The paths of every znode of ours, parents first; some may not exist. */
export async function everyPath(zk: Zk): Promise<string[]> {
  const children = await Promise.all([EDGES, HOLDINGS, DISPATCHERS, GATEWAYS, DRAIN, PLACEMENT, HOMES, CLOCKS].map(async path => ((await unlessGone(zk.getChildren(path)))?.names ?? []).map(name => `${path}/${name}`)))
  return [...DIRECTORIES, HOMES, ...SETTINGS, ...children.flat()]
}

async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (isZkError(error, 'NO_NODE')) return undefined
    throw error
  }
}
