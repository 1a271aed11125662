/** Where things are in ZooKeeper, under the chroot. */
export const EDGES = '/edges'
export const HOLDINGS = '/holdings'
export const DISPATCHERS = '/dispatchers'
export const DRAIN = '/control/drain'
