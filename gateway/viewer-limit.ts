/** What a gateway needs besides its public connections: links, calls to dispatchers, ZooKeeper, the log. */
const OTHERS = 500
/** Of 20,000 descriptors: what is left to posters and readers when the gateway is full of viewers. */
const NOT_VIEWERS = 125

/** Connections this gateway can hold, given the descriptors that connections may take. A viewer on an edge of the former version
 * takes one more. */
export function connectionLimit(descriptors: number): number {
  return Math.max(1, descriptors - Math.min(OTHERS, Math.ceil(descriptors / 4)))
}

/** Viewers it can hold: less, so that one too many is asked to come back later, and posts go on. */
export function viewerLimit(descriptors: number): number {
  const connections = connectionLimit(descriptors)
  return Math.max(1, connections - Math.min(NOT_VIEWERS, Math.ceil(connections / 10)))
}
