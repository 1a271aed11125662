import { MEASURED, USED_SHARE } from './measured.js'

export interface Demand {
  readonly viewers: number
  /** Comments a second, of all videos. */
  readonly rate: number
  /** Over which viewers and comments are spread evenly. */
  readonly videos: number
  /** Viewers accept gzip, as browsers do. */
  readonly gzip: boolean
  /** Of each gateway; 20,000 by default. */
  readonly descriptors?: number | undefined
  /** Dollars for an hour of a core, and for a GB (10^9 bytes) to the public. */
  readonly coreHour: number
  readonly gbEgress: number
}

/** How many of one kind of process are needed. */
export interface Need {
  readonly part: 'gateway' | 'edge' | 'dispatcher' | 'zookeeper' | 'cassandra'
  readonly count: number
  /** Cores that they use, all together, at that load. */
  readonly cores: number
  /** Why not fewer. */
  readonly limit: string
}

export interface Plan {
  readonly demand: Demand
  readonly needs: readonly Need[]
  /** To buy: what is used, at the planned share of each. */
  readonly cores: number
  /** To viewers, bits a second, and to each reader of the registry, bytes a second at most. */
  readonly egressBits: number
  readonly registryBytes: number
  /** Of the store, GB (10^9 bytes) a day, once. */
  readonly storedGbPerDay: number
  /** Dollars an hour, and for a million viewers that watch for an hour. */
  readonly dollarsPerHour: number
  readonly dollarsPerMillionViewerHours: number
  /** What this plan does not show, or assumes. */
  readonly remarks: readonly string[]
}

const M = MEASURED
/** A node of which one more is kept, so that the others can carry its load. */
const SPARE = 1
/** SQLite's file is on one machine, and so are its dispatchers: more than its cores gain nothing. */
const ONE_MACHINE = 8
const ZOOKEEPERS = 3
/** Assumed of a ZooKeeper's machine, bytes a second: 1 Gbit/s. */
const ZOOKEEPER_LINE = 125e6
/** Most often that one edge announces what it holds, a second. */
const EDGE_ANNOUNCES = 20
/** A comment has as many replicas: Cassandras come by threes. */
const REPLICAS = 3
/** Of each node, as measured. */
const CASSANDRA_CORES = 2
/** Of each kind, so that one may fail. */
const LEAST_CORES = 2
const VERIFIED_VIDEOS = 1_000_000

/** How many processes carry a demand, by what one of each has been measured to do. */
export function planFor(demand: Demand): Plan {
  const { viewers, rate, videos, gzip, coreHour, gbEgress } = demand
  const rateOfVideo = rate / videos
  const viewersOfVideo = viewers / videos
  const writes = Math.min(rateOfVideo, M.writesPerSecond.value)
  const viewerCores = (writes * M.writeMicroseconds.value + M.idleMicroseconds.value) / 1e6

  const gateways = gatewaysFor(viewers, viewerCores, (demand.descriptors ?? M.descriptors.value) - M.ownDescriptors.value)
  const holders = Math.max(1, Math.ceil(viewersOfVideo / M.videoShare.value))
  const edges = edgesFor({ viewers, videos, rate, writes, holders, groups: Math.max(holders, Math.min(gateways.count, viewersOfVideo)) })
  const dispatchers = dispatchersFor(rate, holders)
  const announcements = Math.min(M.announcements.value, edges.count * EDGE_ANNOUNCES)
  const registryBytes = announcements * ((videos * holders) / edges.count) * M.heldBytes.value
  const manyHosts = dispatchers.count > ONE_MACHINE
  const needs: Need[] = [
    gateways,
    edges,
    dispatchers,
    zookeepersFor((gateways.count + dispatchers.count) * registryBytes),
    ...(manyHosts ? [cassandrasFor(rate, dispatchers.count)] : []),
  ]
  const cores = needs.reduce((sum, need) => sum + Math.max(LEAST_CORES, Math.ceil(need.cores / USED_SHARE)), 0)
  const egressBits = viewers * rateOfVideo * 8 * (gzip ? M.gzipBytes : M.plainBytes).value
  const egressGb = (egressBits / 8 / 1e9) * 3600
  const dollarsPerHour = cores * coreHour + egressGb * gbEgress
  return {
    demand,
    needs,
    cores,
    egressBits,
    registryBytes,
    storedGbPerDay: (rate * M.storedBytes.value * 86_400) / 1e9,
    dollarsPerHour,
    dollarsPerMillionViewerHours: (dollarsPerHour / viewers) * 1e6,
    remarks: [...remarksOn(demand, rateOfVideo, holders, dispatchers.count)],
  }
}

/** @param most viewers that a gateway's descriptors are enough for */
function gatewaysFor(viewers: number, viewerCores: number, most: number): Need {
  const byCores = USED_SHARE / viewerCores
  const [each, limit] = byCores < most ? [byCores, `processor: ${round(byCores)} viewers each at ${USED_SHARE * 100}% of a core`] : [most, `descriptors: ${round(most)} viewers each`]
  return { part: 'gateway', count: Math.max(2, Math.ceil(viewers / each) + SPARE), cores: viewers * viewerCores, limit }
}

function edgesFor({ viewers, videos, rate, writes, holders, groups }: { viewers: number; videos: number; rate: number; writes: number; holders: number; groups: number }): Need {
  const cores = (videos * writes * groups * M.writeMicroseconds.value + rate * holders * M.edgeCommentMicroseconds.value) / 1e6
  const limits: [number, string][] = [
    [viewers / M.edgeCapacity.value, `EDGE_CAPACITY: ${round(M.edgeCapacity.value)} viewers each`],
    [holders, `EDGE_VIDEO_SHARE: ${round(M.videoShare.value)} viewers of one video each`],
    [(videos * holders) / M.edgeVideos.value, `the registry: ${round(M.edgeVideos.value)} videos each`],
    [cores / USED_SHARE, `processor: comments to ${round(groups)} groups of viewers a video`],
  ]
  const [needed, limit] = limits.reduce((most, each) => (each[0] > most[0] ? each : most))
  return { part: 'edge', count: Math.max(2, Math.ceil(needed) + SPARE), cores, limit }
}

function dispatchersFor(rate: number, holders: number): Need {
  const forwarding = (rate * holders * M.batchMicroseconds.value) / 1e6
  const storing = (rate / M.dispatcherPosts.value) * 0.52
  const limits: [number, string][] = [
    [1, 'one may fail'],
    [(forwarding + storing) / USED_SHARE, `processor: each comment goes to ${round(holders)} edge${holders === 1 ? '' : 's'}`],
  ]
  const [needed, limit] = limits.reduce((most, each) => (each[0] > most[0] ? each : most))
  return { part: 'dispatcher', count: Math.max(2, Math.ceil(needed) + SPARE), cores: forwarding + storing, limit }
}

/** An odd number, as an even one survives no more failures. @param bytesPerSecond what all readers together read at most */
function zookeepersFor(bytesPerSecond: number): Need {
  const byLine = Math.ceil(bytesPerSecond / (USED_SHARE * ZOOKEEPER_LINE))
  const count = Math.max(ZOOKEEPERS, byLine + 1 - (byLine % 2))
  return { part: 'zookeeper', count, cores: count * USED_SHARE, limit: count === ZOOKEEPERS ? 'one may fail; each on a machine of its own' : 'bandwidth: all gateways and dispatchers read all edges\' announcements, at 1 Gbit/s a server; let those beyond five be observers' }
}

function cassandrasFor(rate: number, dispatchers: number): Need {
  const byCores = Math.ceil(rate / (USED_SHARE * M.cassandraPosts.value))
  const count = REPLICAS * Math.max(1, byCores)
  return { part: 'cassandra', count, cores: count * CASSANDRA_CORES * USED_SHARE, limit: byCores > 1 ? `processor: ${round(M.cassandraPosts.value)} posts a second for each ${REPLICAS} nodes of ${CASSANDRA_CORES} cores` : `three replicas: ${dispatchers} dispatchers do not fit on one machine with one file` }
}

function* remarksOn({ rate, videos, gzip }: Demand, rateOfVideo: number, holders: number, dispatchers: number): Generator<string> {
  const manyHosts = dispatchers > ONE_MACHINE
  if (videos === 1 && (rate * holders * M.batchMicroseconds.value) / 1e6 > USED_SHARE) yield 'One video has one owner: a second dispatcher does not share its work. Beyond a core, it sends each edge several comments a batch instead of one, which delays them and costs less than counted here.'
  if (rate > M.dispatcherPosts.value && !manyHosts) yield `More than ${round(M.dispatcherPosts.value)} posts a second into one SQLite file were not measured with several dispatchers: the disk decides.`
  if (manyHosts) yield 'Cassandra is counted by one node with ten posts in a commit. A post alone in its commit took eight times as much, and several nodes were not measured: try yours.'
  else yield `The ${dispatchers} dispatchers fit on one machine, with one SQLite file. If that machine must not be the end of posting, add ${cassandrasFor(rate, dispatchers).count} Cassandras of ${CASSANDRA_CORES} cores.`
  if (videos > VERIFIED_VIDEOS) yield `More than ${round(VERIFIED_VIDEOS)} watched videos were not measured.`
  if (gzip && rateOfVideo < 100) yield 'Compressed bytes are those at 100 comments a second; fewer in a write compress less, to 86 bytes at 10 a second.'
  yield 'Viewers and comments are spread evenly over the videos, and viewers over the gateways.'
}

function round(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
