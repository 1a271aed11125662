/** Of 20,000 descriptors: what is left to posters and readers when the gateway is full of viewers. */
const NOT_VIEWERS = 125

/** Connections this gateway can hold, given the descriptors that connections may take: each may become one that needs
 * another to an edge or a dispatcher. */
export function connectionLimit(descriptors: number): number {
  return Math.max(1, Math.floor(descriptors / 2))
}

/** Viewers it can hold: less, so that one too many is told to come back later, and posts go on. */
export function viewerLimit(descriptors: number): number {
  const connections = connectionLimit(descriptors)
  return Math.max(1, connections - Math.min(NOT_VIEWERS, Math.ceil(connections / 10)))
}
