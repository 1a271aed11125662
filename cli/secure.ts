import { CLOCKS, DISPATCHERS, DRAIN, EDGES, GATEWAYS, HOLDINGS } from '../protocol/nodes.js'
import { DIRECTORIES, SETTINGS } from '../registry/access.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { isZkError } from '../registry/zookeeper/zk-error.js'
import { inParallel } from './connection.js'
import { Problem } from './output.js'
import type { ZookeeperAddress } from './zookeeper-address.js'

/** The output of `secure --json`. */
export interface SecureAnswer {
  /** Paths that only our credentials can now read and change. */
  readonly secured: readonly string[]
}

/** Restricts every znode of ours to our credentials, including those made without any or with former ones. */
export async function secure(zk: Zk): Promise<SecureAnswer> {
  const done = await inParallel(await everyPath(zk), async path => ((await unlessGone(zk.setAcl(path).then(() => true))) ? path : undefined))
  return { secured: done.filter(path => path !== undefined) }
}

/** @throws Problem without credentials: the znodes would stay open to everybody */
export function withCredentials({ auth }: ZookeeperAddress): void {
  if (!auth) throw new Problem('NO_CREDENTIALS', 'there are no credentials to secure the registry with: set ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE')
}

/** The paths of every znode of ours, parents first; some may not exist. */
export async function everyPath(zk: Zk): Promise<string[]> {
  const children = await Promise.all([EDGES, HOLDINGS, DISPATCHERS, GATEWAYS, DRAIN, CLOCKS].map(async path => ((await unlessGone(zk.getChildren(path)))?.names ?? []).map(name => `${path}/${name}`)))
  return [...DIRECTORIES, ...SETTINGS, ...children.flat()]
}

async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (isZkError(error, 'NO_NODE')) return undefined
    throw error
  }
}
