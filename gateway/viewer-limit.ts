import { readFileSync } from 'node:fs'

/** Descriptors for everything that is not a relayed viewer. */
const RESERVED = 500
/** Where the limit cannot be read: what a service is commonly given. */
const COMMON_LIMIT = 10_240

/** Viewers this process can hold: each costs a descriptor on either side, and a process that runs out of them can
 * reach neither ZooKeeper nor an edge. */
export function viewerLimit(descriptors = descriptorLimit()): number {
  return Math.max(1, Math.floor((descriptors - RESERVED) / 2))
}

function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return soft === 'unlimited' ? Infinity : Number(soft ?? COMMON_LIMIT)
  } catch {
    return COMMON_LIMIT // not Linux
  }
}
