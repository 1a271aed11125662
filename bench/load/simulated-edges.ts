import { pino } from 'pino'
import { EDGES, HOLDINGS, printHoldings, printNode, type EdgeNode, type Holdings } from '../../protocol/nodes.js'
import { WIRE_VERSION } from '../../protocol/wire.js'
import { HoldingsAnnouncements } from '../../edge/holdings.js'
import { Announcer } from '../../registry/announcer.js'
import { EdgeCount } from '../../registry/edge-count.js'
import { entry, type Entry } from '../../registry/entry.js'
import { newInstance } from '../../registry/start.js'
import { Zk } from '../../registry/zookeeper/client.js'
import { connectionManagerOf } from '../../registry/zookeeper/internals.js'
import { systemClock } from '../../runtime/clock.js'
import { Crowd, popularityOf, videoIdOf } from './crowd.js'
import { PROBES } from './probe.js'
import { wallMs } from './schedule.js'

/** A process of many edges that have no viewers but announce themselves as real ones do, each in a session of its own. Its
 * argument is {@link SimulatedEdgesOptions} in JSON. */
export interface SimulatedEdgesOptions {
  readonly connect: string
  /** This process has every `stride`-th edge from `first` on. */
  readonly first: number
  readonly stride: number
  readonly edges: number
  readonly videos: number
  readonly stayMs: number
  /** Each announces as if it were the only edge. */
  readonly unpaced: boolean
  /** Unix ms from which probes count. */
  readonly epoch: number
}

/** What such a process says of itself, once a second. */
export interface EdgesReport {
  /** Edges that stand in the registry. */
  readonly up: number
  /** Videos that they hold, and viewers of those. */
  readonly held: number
  readonly viewers: number
  /** Largest list of holdings that was announced, bytes. */
  readonly mostBytes: number
  /** Of the lists announced so far, bytes and number; what those would have taken that said only what is different, deflated too. */
  readonly listBytes: number
  readonly deltaBytes: number
  readonly lists: number
  /** Sent to ZooKeeper so far. */
  readonly bytesWritten: number
}

const PROBE_MS = 10_000
/** Edges take turns within this. */
const ROUND_MS = 100
const TURNS = 20
/** Most sessions that are opened at a time. */
const STARTING = 50
const START_POLL_MS = 20

class SimulatedEdge {
  mostBytes = 0
  listBytes = 0
  deltaBytes = 0
  lists = 0
  readonly #zk: Zk
  readonly #held = new Map<string, number>()
  readonly #crowd: Crowd
  readonly #options: SimulatedEdgesOptions
  #node: EdgeNode
  #nodeEntry: Entry<EdgeNode> | undefined
  #holdings: Entry<Holdings> | undefined
  #announcements: HoldingsAnnouncements | undefined
  #announced: ReadonlyMap<string, number> = new Map()
  #probe = 0
  #steppedAt = 0
  #probeAt = wallMs() + Math.random() * PROBE_MS

  constructor(number: number, popularity: number, options: SimulatedEdgesOptions) {
    const { connect, edges, videos, stayMs } = options
    this.#options = options
    this.#zk = new Zk(connect)
    const url = `http://10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`
    this.#node = { id: `edge-${number}`, instance: newInstance(), internalUrl: `${url}:9081`, publicUrl: `${url}:8081`, capacity: 1_000_000, viewers: 0, state: 'up', startedAt: Date.now(), version: '0', wire: WIRE_VERSION }
    this.#crowd = new Crowd({ edge: number, edges, videos, popularity, stayMs, random: Math.random, changed: (rank, viewers) => this.#changed(videoIdOf(rank), viewers) })
    this.#crowd.fill()
  }

  get up(): boolean {
    return this.#holdings?.up ?? false
  }

  get held(): number {
    return this.#held.size
  }

  get viewers(): number {
    return this.#crowd.viewers
  }

  get bytesWritten(): number {
    return connectionManagerOf(this.#zk.session.client).socket?.bytesWritten ?? 0
  }

  /** As edge/assemble.ts does. */
  announce(): void {
    const { id, instance } = this.#node
    const zk = this.#zk
    const mayReplace = () => Promise.resolve(true)
    const announcer = (path: string) => (data: Buffer) => new Announcer({ zk, log, path, data, mayReplace })
    this.#steppedAt = wallMs()
    this.#node = { ...this.#node, viewers: this.viewers }
    this.#nodeEntry = entry(this.#node, printNode, announcer(`${EDGES}/${id}`))
    this.#holdings = entry({ instance, videos: new Map(this.#held) }, printHoldings, announcer(`${HOLDINGS}/${id}`))
    const count = new EdgeCount({ zk })
    this.#announcements = new HoldingsAnnouncements({
      clock: systemClock,
      edges: () => (this.#options.unpaced ? 1 : count.count),
      read: () => new Map(this.#held),
      write: videos => this.#write({ instance, videos }),
    })
  }

  step(): void {
    const now = wallMs()
    this.#crowd.step(now - this.#steppedAt)
    this.#steppedAt = now
    if (now < this.#probeAt) return
    this.#probeAt = now + PROBE_MS
    this.#changed(PROBES[this.#probe]!, 0)
    this.#probe = 1 - this.#probe
    this.#changed(PROBES[this.#probe]!, Math.round(now - this.#options.epoch))
  }

  #write(holdings: Holdings): number {
    const bytes = this.#holdings!.set(holdings)
    this.mostBytes = Math.max(this.mostBytes, bytes)
    this.listBytes += bytes
    this.deltaBytes += deltaBytes(this.#announced, holdings)
    this.lists++
    this.#announced = holdings.videos
    this.#node = { ...this.#node, viewers: this.viewers }
    this.#nodeEntry!.set(this.#node)
    return bytes
  }

  #changed(videoId: string, viewers: number): void {
    if (viewers > 0) this.#held.set(videoId, viewers)
    else this.#held.delete(videoId)
    this.#announcements?.changed(videoId, viewers)
  }
}

/** What a list of the videos that have changed would take; 0 viewers: it is held no more. */
function deltaBytes(before: ReadonlyMap<string, number>, { instance, videos }: Holdings): number {
  const changed = new Map<string, number>()
  for (const [videoId, viewers] of videos) if (before.get(videoId) !== viewers) changed.set(videoId, viewers)
  for (const videoId of before.keys()) if (!videos.has(videoId)) changed.set(videoId, 0)
  return printHoldings({ instance, videos: changed }).length
}

const log = pino({ level: 'silent' })

async function run(options: SimulatedEdgesOptions): Promise<void> {
  const popularity = popularityOf(options.videos)
  const edges: SimulatedEdge[] = []
  for (let number = options.first; number < options.edges; number += options.stride) {
    edges.push(new SimulatedEdge(number, popularity, options))
    edges.at(-1)!.announce()
    while (edges.filter(({ up }) => !up).length >= STARTING) await new Promise(resolve => setTimeout(resolve, START_POLL_MS))
  }
  let turn = 0
  setInterval(() => {
    for (let i = turn; i < edges.length; i += TURNS) edges[i]!.step()
    turn = (turn + 1) % TURNS
  }, ROUND_MS / TURNS)
  const sum = (of: (edge: SimulatedEdge) => number) => edges.reduce((total, edge) => total + of(edge), 0)
  setInterval(() => {
    const report: EdgesReport = { up: sum(({ up }) => Number(up)), held: sum(({ held }) => held), viewers: sum(({ viewers }) => viewers), listBytes: sum(({ listBytes }) => listBytes), deltaBytes: sum(({ deltaBytes }) => deltaBytes), lists: sum(({ lists }) => lists), mostBytes: Math.max(...edges.map(({ mostBytes }) => mostBytes)), bytesWritten: sum(({ bytesWritten }) => bytesWritten) }
    process.send!(report, () => {})
  }, 1_000)
}

process.once('disconnect', () => process.exit())
await run(JSON.parse(process.argv[2]!) as SimulatedEdgesOptions)
