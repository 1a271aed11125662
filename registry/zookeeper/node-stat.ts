import type { Stat } from 'node-zookeeper-client'

/** What ZooKeeper knows of a node beside its data. */
export interface NodeStat {
  /** Of the transaction that made the node: tells it from an earlier one at the same path. */
  readonly czxid: bigint
  /** Of the last transaction that set its data. */
  readonly mzxid: bigint
  /** Counts the writes of its data, from 0. */
  readonly version: number
  /** Unix ms, by the server's clock. */
  readonly modifiedAt: number
  /** The session that keeps it; 0 for a persistent node. */
  readonly ephemeralOwner: bigint
}

export function nodeStatOf(stat: Stat): NodeStat {
  return {
    czxid: stat.czxid.readBigInt64BE(0),
    mzxid: stat.mzxid.readBigInt64BE(0),
    version: stat.version,
    modifiedAt: Number(stat.mtime.readBigInt64BE(0)),
    ephemeralOwner: stat.ephemeralOwner.readBigInt64BE(0),
  }
}
