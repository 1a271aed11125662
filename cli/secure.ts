import { CLOCKS, DISPATCHERS, DRAIN, EDGES, GATEWAYS, HOLDINGS } from '../protocol/nodes.js'
import { DIRECTORIES, SETTINGS } from '../registry/access.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { isZkError } from '../registry/zookeeper/zk-error.js'
import { inParallel } from './connection.js'
import { Problem } from './output.js'
import { counted } from './table.js'
import type { ZookeeperAddress } from './zookeeper-address.js'

/** The output of `secure --json`. */
export interface SecureAnswer {
  /** Paths that only our credentials can now read and change. */
  readonly secured: readonly string[]
  /** Paths that belong to other credentials, and stay theirs. */
  readonly refused: readonly string[]
}

/** Restricts every znode of ours to our credentials, including those made without any or with former ones. */
export async function secure(zk: Zk): Promise<SecureAnswer> {
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

export function secureText({ secured, refused }: SecureAnswer): string {
  const others = refused.length === 0 ? '' : `Not ours to restrict: ${refused.join(', ')}. Whoever made it has other credentials; doctor names what it is.\n`
  return `${counted(secured.length, 'znode')} can now be read and changed only with these credentials.\n${others}`
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
