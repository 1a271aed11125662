import zookeeper, { type ACL } from 'node-zookeeper-client'
import type { Credentials } from './credentials.js'

/** One entry of a node's ACL: somebody who may read the node, or also change it, its children or its ACL. */
export interface Grant {
  /** `world` with the id `anyone`, or `digest`, or another of ZooKeeper's schemes. */
  readonly scheme: string
  readonly id: string
  readonly mayChange: boolean
}

/** Missing from the library's types. */
const ACLS = zookeeper.ACL as unknown as Readonly<Record<'OPEN_ACL_UNSAFE' | 'CREATOR_ALL_ACL', ACL[]>>

/** The ACL of the nodes we make: open to whoever shows one of our credentials; without credentials, open to all. */
export function aclFor(auth: Credentials): ACL[] {
  return auth.length > 0 ? ACLS.CREATOR_ALL_ACL : ACLS.OPEN_ACL_UNSAFE
}

export function grantsOf(acls: ACL[]): Grant[] {
  const list = acls as unknown as { permission: number; id: { scheme: string; id: string } }[]
  return list.map(({ permission, id: { scheme, id } }) => ({ scheme, id, mayChange: (permission & ~zookeeper.Permission.READ) !== 0 }))
}
