import { readFileSync, statSync } from 'node:fs'

/** Descriptors that a process needs for itself: ZooKeeper, the store, its log, other nodes. */
const RESERVE = 250
/** Assumed where the limit cannot be read; common for services. */
const COMMON_LIMIT = 10_240

/** Descriptors that connections may use in total. A process without a free descriptor reaches neither ZooKeeper nor its
 * store, and spins in `accept`. */
export function descriptorsForConnections(limit = descriptorLimit()): number {
  return Math.ceil(limit - Math.min(RESERVE, limit / 2))
}

/** Whether half of the reserve is left of the descriptors, whatever those in use are for: true where the system does not say how
 * many there are. Linux does so since 6.2. */
export function sparesDescriptors(limit = descriptorLimit()): () => boolean {
  const most = (limit + descriptorsForConnections(limit)) / 2
  return () => (statSync('/proc/self/fd', { throwIfNoEntry: false })?.size ?? 0) < most
}

function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return soft === 'unlimited' ? Infinity : Number(soft ?? COMMON_LIMIT)
  } catch {
    return COMMON_LIMIT // not Linux
  }
}
