import type { Stat } from 'node-zookeeper-client'

/** What ZooKeeper says about a node besides its data. */
export interface NodeStat {
  /** Transaction that made the node. It tells the node from an earlier one at the same path. */
  readonly czxid: bigint
  /** Transaction that last set its data. */
  readonly mzxid: bigint
  /** Number of writes of its data since it was made. */
  readonly version: number
  /** Unix ms, by the server's clock. */
  readonly modifiedAt: number
  /** Session that the node ends with; 0 for a persistent node. */
  readonly ephemeralOwner: bigint
  /** Number of its children. */
  readonly children: number
}

export function nodeStatOf(stat: Stat): NodeStat {
  return {
    czxid: stat.czxid.readBigInt64BE(0),
    mzxid: stat.mzxid.readBigInt64BE(0),
    version: stat.version,
    modifiedAt: Number(stat.mtime.readBigInt64BE(0)),
    ephemeralOwner: stat.ephemeralOwner.readBigInt64BE(0),
    children: stat.numChildren,
  }
}
