/** How large the simulated cluster is, and what happens to it. */
export interface Scenario {
  readonly edges: number
  readonly dispatchers: number
  readonly gateways: number
  /** Availability zones, over which every kind of part is spread evenly; one of them is lost. */
  readonly zones: number
  /** Videos that somebody watches, the growing one included. */
  readonly videos: number
  /** Of all videos, once the growing one has grown. */
  readonly viewers: number
  /** Of the growing video. */
  readonly crowd: number
  /** It grows evenly for so long, s. */
  readonly growSeconds: number
  /** Its comments a second; those of the others are in proportion to their viewers. */
  readonly rate: number
  readonly edgeCapacity: number
  readonly videoShare: number
  /** Newcomers a second at one gateway. */
  readonly joinRate: number
  /** How long a viewer of another video stays on average, s. */
  readonly staySeconds: number
  /** Viewers that are simulated as one when comments are delivered to them. */
  readonly parcel: number
  /** Gateways whose viewers are simulated when comments are delivered; the others are taken to be alike. */
  readonly sampled: number
  readonly seed: number
}

export const SETTLE_SECONDS = 10
/** The cluster stays at its peak for so long before the zone is lost. */
export const PEAK_SECONDS = 20

export const WHOLE: Scenario = {
  edges: 1_000,
  dispatchers: 100,
  gateways: 200,
  zones: 3,
  videos: 1_000_000,
  viewers: 10_000_000,
  crowd: 1_000_000,
  growSeconds: 300,
  rate: 100,
  edgeCapacity: 20_000,
  videoShare: 10_000,
  joinRate: 500,
  staySeconds: 3_600,
  parcel: 8,
  sampled: 2,
  seed: 1,
}

/** The same in seconds, for tests: everything that can happen at the other size does at this one. */
export const SMALL: Scenario = {
  ...WHOLE,
  edges: 12,
  dispatchers: 3,
  gateways: 6,
  videos: 300,
  viewers: 6_000,
  crowd: 2_000,
  growSeconds: 10,
  rate: 20,
  edgeCapacity: 1_200,
  videoShare: 500,
  staySeconds: 60,
  parcel: 1,
  sampled: 2,
}

/** An edge's or gateway's number takes 16 bits. */
const MOST_PARTS = 65_000

/** Bytes of heap for each viewer while a lost zone's come back; with less, collecting garbage takes nearly all the time. */
const HEAP_OF_VIEWER = 1_000

/** Why there cannot be such a cluster, by the flags that say so; undefined: there can. @param heapBytes what this process may use */
export function impossible({ edges, gateways, dispatchers, zones, videos, viewers, crowd, edgeCapacity, sampled }: Scenario, heapBytes = Infinity): string | undefined {
  const rules: [boolean, string][] = [
    [zones >= 2, '--zones must be 2 or more: one is lost.'],
    [Math.min(edges, gateways, dispatchers) >= zones, '--edges, --gateways and --dispatchers must each be as many as --zones or more.'],
    [Math.max(edges, gateways) <= MOST_PARTS, `--edges and --gateways must be ${MOST_PARTS.toLocaleString('en-US')} or less.`],
    [videos >= 2, '--videos must be 2 or more: the one that grows, and another.'],
    [viewers >= crowd + videos, '--viewers must be --crowd and --videos together or more: each video has a viewer.'],
    [Math.floor(edges * (1 - 1 / zones)) * edgeCapacity >= viewers, '--viewers must be as many as --edges of --edge-capacity take without one zone, or less.'],
    [sampled <= gateways, '--sampled must be --gateways or less.'],
    [viewers * HEAP_OF_VIEWER <= heapBytes, `--viewers ${viewers} take more heap than Node would give them: set NODE_OPTIONS=--max-old-space-size=${Math.ceil((viewers * HEAP_OF_VIEWER) / 2 ** 20)}, or name fewer.`],
  ]
  return rules.find(([holds]) => !holds)?.[1]
}
