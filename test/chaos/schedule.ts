import { Random } from '../support/random.js'

/** What can go wrong, each in one or more ways. */
const WAYS = {
  kill: ['edge', 'dispatcher', 'gateway'],
  freeze: ['edge', 'dispatcher', 'gateway'],
  term: ['edge', 'dispatcher', 'gateway'],
  expire: ['edge', 'dispatcher'],
  zookeeper: ['killed', 'away', 'frozen', 'cut'],
  net: ['edge stalled', 'edge delayed', 'edge cut', 'edge half-closed', 'dispatcher stalled', 'dispatcher delayed', 'dispatcher cut', 'dispatcher half-closed'],
  slow: ['viewers'],
  pipe: ['full'],
  busy: ['store'],
  cassandra: ['killed', 'frozen', 'slow', 'answers lost'],
  churn: ['storm'],
  drain: ['edge'],
  rolling: ['restart'],
  line: ['cut', 'silent', 'slow', 'half-open'],
} as const satisfies Record<string, readonly string[]>

export type FaultKind = keyof typeof WAYS

/** What can go wrong with an ensemble, instead of with one server. */
const ENSEMBLE_WAYS = ['leader killed', 'leader frozen', 'follower killed', 'follower frozen', 'quorum lost', 'rolling', 'cut'] as const

export const FAULT_KINDS = Object.keys(WAYS) as readonly FaultKind[]
/** All but a rolling restart, which is no fault and wants to be alone; what only one of the stores has; and what takes two clusters. */
export const USUAL_FAULTS = FAULT_KINDS.filter(kind => kind !== 'rolling' && kind !== 'cassandra' && kind !== 'line')
/** Where there are two clusters: without the proxies between all their parts, which are too much for one process beside the viewers. */
export const FAULTS_OF_TWO = [...USUAL_FAULTS.filter(kind => kind !== 'net'), 'line'] as const satisfies readonly FaultKind[]
export const CASSANDRA_FAULTS = FAULT_KINDS.filter(kind => kind !== 'rolling' && kind !== 'busy' && kind !== 'line')

/** One fault of the schedule. */
export interface Fault {
  readonly kind: FaultKind
  readonly way: string
  /** From the beginning of the run, ms. */
  readonly atMs: number
  /** How long it is kept up, ms; 0: it is over at once, though what it broke comes back later. */
  readonly durationMs: number
  /** 0 ≤ x < 1: which of several clusters, and of several members there. */
  readonly which: number
}

export interface ScheduleOptions {
  readonly seed: number
  readonly seconds: number
  readonly kinds: readonly FaultKind[]
  /** How many servers ZooKeeper has. */
  readonly zookeepers: number
  /** One fault at a time, with time to recover, so that each one's silence is its own. */
  readonly apart: boolean
}

const FIRST_MS = 3_000
const RECOVERY_MS = 10_000
/** How long the line between clusters is well again: longer than all that was missed needs to come. */
const WELL_MS = [5_000, 10_000] as const
/** What cannot be done while ZooKeeper is away, or not again. */
const NEEDS_ZOOKEEPER: readonly FaultKind[] = ['expire', 'drain', 'zookeeper']
/** How long it takes ZooKeeper to serve again: one server, and all of an ensemble. */
const RESTART_MS = { one: 3_000, ensemble: 8_000 }
/** How long a rolling restart of an ensemble takes. */
const ROLLING_ZOOKEEPERS_MS = 20_000

/** What a report calls it. */
export function faultName({ kind, way }: Pick<Fault, 'kind' | 'way'>): string {
  return `${kind} ${way}`
}

/** The seed's faults in the order of their beginning. Every way of every kind comes once before any comes again, but a
 * rolling restart once, first. What happens to the line between clusters goes on beside the rest, so that parts fail while it is broken
 * and while it is well. */
export function schedule(options: ScheduleOptions): Fault[] {
  const { kinds, apart } = options
  if (apart || !kinds.includes('line')) return ofParts(options)
  const parts = ofParts({ ...options, kinds: kinds.filter(kind => kind !== 'line') })
  return [...parts, ...ofLine(options)].sort((a, b) => a.atMs - b.atMs)
}

/** One after the other, the line being well in between. */
function ofLine({ seed, seconds }: ScheduleOptions): Fault[] {
  const random = new Random(seed ^ 0x11e)
  const faults: Fault[] = []
  let deck: string[] = []
  for (let atMs = FIRST_MS; atMs < seconds * 1_000 - FIRST_MS; ) {
    if (deck.length === 0) deck = random.shuffled(WAYS.line)
    const way = deck.pop()!
    const durationMs = durationIn(seconds, 'line', way, random)
    faults.push({ kind: 'line', way, atMs: Math.round(atMs), durationMs, which: random.next() })
    atMs += durationMs + random.between(...WELL_MS)
  }
  return faults
}

function ofParts({ seed, seconds, kinds, zookeepers, apart }: ScheduleOptions): Fault[] {
  const random = new Random(seed)
  const all = kinds.filter(kind => kind !== 'rolling').flatMap(kind => waysOf(kind, zookeepers).map(way => ({ kind, way })))
  const faults: Fault[] = kinds.includes('rolling') ? [{ kind: 'rolling', way: 'restart', atMs: FIRST_MS, durationMs: 0, which: 0 }] : []
  const lastMs = seconds * 1_000 - FIRST_MS
  let deck: typeof all = []
  let zookeeperBackMs = 0
  for (let atMs = FIRST_MS; atMs < lastMs && all.length > 0; ) {
    if (deck.length === 0) deck = random.shuffled(all)
    const at = deck.findLastIndex(({ kind }) => atMs >= zookeeperBackMs || !NEEDS_ZOOKEEPER.includes(kind))
    if (at < 0) {
      atMs += 1_000
      continue
    }
    const [{ kind, way }] = deck.splice(at, 1) as [(typeof all)[number]]
    const durationMs = durationIn(seconds, kind, way, random)
    if (kind === 'zookeeper') zookeeperBackMs = atMs + durationMs + (zookeepers > 1 ? RESTART_MS.ensemble : RESTART_MS.one)
    faults.push({ kind, way, atMs: Math.round(atMs), durationMs, which: random.next() })
    atMs += apart ? durationMs + RECOVERY_MS : random.between(1_000, 4_000)
  }
  return faults
}

function waysOf(kind: FaultKind, zookeepers: number): readonly string[] {
  return kind === 'zookeeper' && zookeepers > 1 ? ENSEMBLE_WAYS : WAYS[kind]
}

/** No fault is kept up for more than half of a run. */
function durationIn(seconds: number, kind: FaultKind, way: string, random: Random): number {
  return Math.round(Math.min(duration(kind, way, random), (seconds * 1_000) / 2))
}

function duration(kind: FaultKind, way: string, random: Random): number {
  switch (kind) {
    case 'freeze':
      // Half of them outlast every session time-out.
      return random.next() < 0.5 ? random.between(1_000, 6_000) : random.between(6_000, 15_000)
    case 'zookeeper':
      if (way === 'away') return 30_000
      if (way === 'quorum lost') return random.between(10_000, 40_000)
      if (way === 'rolling') return ROLLING_ZOOKEEPERS_MS
      if (way.endsWith('frozen')) return random.between(2_000, 15_000)
      return way.endsWith('killed') ? 1_000 : 0
    case 'net':
      return way.endsWith('stalled') ? random.between(1_000, 8_000) : way.endsWith('delayed') ? random.between(2_000, 6_000) : 0
    case 'slow':
      return random.between(2_000, 12_000)
    case 'pipe':
      return random.between(3_000, 8_000)
    case 'busy':
      return random.between(500, 4_000)
    case 'cassandra':
      return way === 'killed' ? 1_000 : way === 'answers lost' ? 0 : random.between(1_000, 6_000)
    case 'line':
      return way === 'cut' ? 60_000 : random.between(5_000, 15_000)
    case 'drain':
      return random.between(4_000, 8_000)
    case 'kill':
    case 'term':
    case 'expire':
    case 'churn':
    case 'rolling':
      return 0
  }
}
