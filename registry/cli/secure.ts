import { CLOCKS, DISPATCHERS, DRAIN, EDGES, HOLDINGS, STORE } from '../../protocol/nodes.js'
import { DIRECTORIES } from '../access.js'
import type { Zk } from '../zookeeper/client.js'
import { isZkError } from '../zookeeper/zk-error.js'
import { inParallel } from './connection.js'
import { Problem } from './output.js'
import type { ZookeeperAddress } from './zookeeper-address.js'

/** What `secure --json` answers. */
export interface SecureAnswer {
  /** Paths whose ACL is now for whoever shows our credentials, and for nobody else. */
  readonly secured: readonly string[]
}

/** Gives everything of ours in ZooKeeper the ACL that a part with our credentials gives what it makes: what was made
 * before there were any, or under former ones. @throws Problem without credentials */
export async function secure(zk: Zk, { auth }: ZookeeperAddress): Promise<SecureAnswer> {
  if (!auth) throw new Problem('there are no credentials to secure the registry with: set ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE')
  const done = await inParallel(await everyPath(zk), async path => ((await unlessGone(zk.setAcl(path).then(() => true))) ? path : undefined))
  return { secured: done.filter(path => path !== undefined) }
}

/** Every node of ours, parents first. */
export async function everyPath(zk: Zk): Promise<string[]> {
  const children = await Promise.all([EDGES, HOLDINGS, DISPATCHERS, DRAIN].map(async path => ((await unlessGone(zk.getChildren(path)))?.names ?? []).map(name => `${path}/${name}`)))
  return [...DIRECTORIES, STORE, CLOCKS, ...children.flat()]
}

async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (isZkError(error, 'NO_NODE')) return undefined
    throw error
  }
}
