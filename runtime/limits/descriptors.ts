import { readFileSync } from 'node:fs'

/** Descriptors that a process needs for itself: ZooKeeper, the store, its log, other nodes. */
const RESERVE = 250
/** Assumed where the limit cannot be read; common for services. */
const COMMON_LIMIT = 10_240

/** Descriptors that connections may use in total. A process without a free descriptor reaches neither ZooKeeper nor its
 * store, and spins in `accept`. */
export function descriptorsForConnections(limit = descriptorLimit()): number {
  return Math.ceil(limit - Math.min(RESERVE, limit / 2))
}

function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return soft === 'unlimited' ? Infinity : Number(soft ?? COMMON_LIMIT)
  } catch {
    return COMMON_LIMIT // not Linux
  }
}
