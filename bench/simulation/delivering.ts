import { Buffer } from 'node:buffer'
import { Registry } from 'prom-client'
import { MEASURED as M } from '../../cli/plan/measured.js'
import { Forward } from '../../dispatcher/forward.js'
import { DispatcherMetrics } from '../../dispatcher/metrics.js'
import { Synced } from '../../dispatcher/synced.js'
import type { EdgeNode, MemberNode } from '../../protocol/nodes.js'
import { WIRE_VERSION } from '../../protocol/wire.js'
import { View } from '../../registry/view.js'
import { Histogram, quantiles, type Quantiles } from '../measure/histogram.js'
import type { Besides } from './load.js'
import { Cores, Process } from './process.js'
import { SimulatedEdge, type Receiver } from './simulated-edge.js'
import { Parcel, SimulatedGateway, VIDEO } from './simulated-gateway.js'
import { Timeline } from './timeline.js'

/** One hop between two machines of a region, and the disk that a commit waits for. Both are assumed: no result has them. */
const HOP_MS = 0.5
const DISK_MS = 2
const COMMENT = new RegExp(`^C ${VIDEO} [0-9]+ ([0-9]+) `, 'gm')
/** The other videos of the same dispatcher, as one that no simulated viewer watches. */
const OTHER_VIDEO = 'other'
const MAX_PIPE_BYTES = 64 * 1024 * 1024
/** After the last comment, at most. */
const DRAIN_MS = 10_000
/** Joins and other work take turns of so long at most, as gateway/admission.ts has it. */
const SLICE_MS = 5
/** Processes do what they do beside at so many different times. */
const PHASES = 7

/** What one video's comments go through, from its dispatcher to its viewers. */
export interface Course {
  /** Its viewers: by edge, then by gateway. */
  readonly crowd: ReadonlyMap<number, Uint32Array>
  /** Edges that each comment is sent to. */
  readonly targets: readonly number[]
  /** Gateways whose viewers are simulated; all if that is not given. */
  readonly sampled?: readonly number[] | undefined
  readonly ownConnections?: boolean | undefined
  /** When comments are posted, ms. */
  readonly posts: readonly number[]
  /** Comments that are posted before, whose times are not counted. */
  readonly warmUp: number
  /** Viewers that are simulated as one: they are written one after another. */
  readonly parcel: number
  /** What else the processes do: a share of a core each. */
  readonly shares?: { readonly gateway: (number: number) => number; readonly edge: (number: number) => number; readonly dispatcher: number } | undefined
  /** Posts come by the gateways, in turn. */
  readonly postsAtGateways?: boolean | undefined
  /** Comments of other videos that the dispatcher sends to some of these edges besides. */
  readonly besides?: Besides | undefined
  /** Processor time of joins that gateways begin with, ms. */
  readonly joinsMs?: ((gateway: number) => number) | undefined
  /** All processes are on one machine of so many cores, as the viewers' programs are: one for each gateway, which reads what comes. */
  readonly sharedCores?: number | undefined
}

/** From the moment a comment is accepted until a viewer's socket is given it; on a shared machine, until it is read. */
export interface Delivered {
  readonly ms: Quantiles | undefined
  /** Every viewer was given every comment, once. */
  readonly complete: boolean
  readonly faults: readonly string[]
  readonly deliveries: number
  /** Comments that some viewer has not been given yet, at most at a time. */
  readonly inFlight: number
  /** When the last viewer was given the last comment, ms after that was accepted. */
  readonly lastMs: number
  /** Shares of a core while comments were posted, all that else is done included: of each sampled gateway, of each edge that comments are sent to, of the dispatcher. */
  readonly cores: { readonly gateways: readonly number[]; readonly edges: ReadonlyMap<number, number>; readonly dispatcher: number }
  /** Comments in a write to a viewer, on average. */
  readonly commentsAWrite: number
}

/** The dispatcher's forwarding, the edges' rounds and the gateways' groups are the code itself. What a step costs is measured:
 * the code runs at the price of what it stands for, whatever it takes here. */
export async function deliver(course: Course): Promise<Delivered> {
  const run = new Delivery(course)
  return run.run()
}

interface Post {
  readonly id: number
  readonly at: number
}

class Delivery {
  readonly #course: Course
  readonly #timeline = new Timeline()
  readonly #cores: Cores | undefined
  readonly #dispatcher: Process
  readonly #edges = new Map<number, SimulatedEdge>()
  readonly #gateways = new Map<number, SimulatedGateway>()
  readonly #forward: Forward
  readonly #acceptedAt: number[] = []
  readonly #deliveredTo: number[] = []
  readonly #lastAt: number[] = []
  readonly #histogram = new Histogram()
  readonly #faults: string[] = []
  #waiting: Post[] = []
  #committing = false
  #writes = 0
  #deliveries = 0
  #viewers = 0
  #otherId = 0
  #processes = 0

  constructor(course: Course) {
    this.#course = course
    const { sharedCores, crowd, targets, sampled, shares } = course
    this.#cores = sharedCores === undefined ? undefined : new Cores(this.#timeline, sharedCores)
    this.#dispatcher = this.#process(shares?.dispatcher)
    const view = new View()
    for (const number of new Set([...targets, ...crowd.keys()])) this.#edges.set(number, new SimulatedEdge(this.#process(shares?.edge(number))))
    const { perSecond = 0, edges: others = 0 } = course.besides ?? {}
    targets.forEach((number, i) => {
      const node = nodeOf(number)
      const isOther = Math.floor((i * others) / targets.length) < Math.floor(((i + 1) * others) / targets.length)
      view.apply({ kind: 'edge', id: node.id, node }, 0)
      view.apply({ kind: 'holdings', id: node.id, holdings: { instance: node.instance, videos: new Map([[VIDEO, 1], ...(perSecond > 0 && isOther ? [[OTHER_VIDEO, 1] as const] : [])]) } }, 0)
    })
    this.#forward = new Forward({
      view,
      synced: new Synced(this.#dispatcher),
      clock: this.#dispatcher,
      random: () => 0.5,
      send: (target, _path, body) => this.#send(target, body),
      metrics: new DispatcherMetrics(new Registry()),
      maxPipeBytes: MAX_PIPE_BYTES,
    })
    const watched = new Set(sampled ?? [...crowd.values()].flatMap(byGateway => [...byGateway.keys()].filter(gateway => byGateway[gateway]! > 0)))
    for (const number of watched) this.#gateways.set(number, new SimulatedGateway(number, this.#process(shares?.gateway(number)), this.#cores && this.#process(undefined)))
    for (const [number, byGateway] of crowd) this.#connect(this.#edges.get(number)!, byGateway)
  }

  async run(): Promise<Delivered> {
    const { posts, besides, joinsMs } = this.#course
    const timeline = this.#timeline
    posts.forEach((at, i) => timeline.after(at, () => this.#post({ id: i + 1, at })))
    const end = posts.at(-1)!
    if (besides) timeline.every(1000 / besides.perSecond, () => (timeline.now() < end ? this.#post({ id: 0, at: timeline.now() }) : false))
    for (const { number, process } of this.#gateways.values()) work(process, joinsMs?.(number) ?? 0)
    const from = posts[this.#course.warmUp]!
    await timeline.run(from)
    const busy = this.#busy()
    await timeline.run(end)
    const busyAtEnd = this.#busy()
    // Until all have all, or no longer.
    for (let at = end; at < end + DRAIN_MS && !this.#isComplete; at += 100) await timeline.run(at)
    this.#forward.close()
    const share = (before: number, after: number) => (after - before) / Math.max(1, end - from)
    return {
      ms: quantiles(this.#histogram),
      complete: this.#isComplete,
      faults: this.#faults,
      deliveries: this.#deliveries,
      inFlight: this.#mostInFlight(),
      lastMs: (this.#lastAt[posts.length] ?? Infinity) - (this.#acceptedAt[posts.length] ?? 0),
      cores: {
        gateways: busy.gateways.map((before, i) => share(before, busyAtEnd.gateways[i]!)),
        edges: new Map(Array.from(busy.edges, ([number, before]) => [number, share(before, busyAtEnd.edges.get(number)!)])),
        dispatcher: share(busy.dispatcher, busyAtEnd.dispatcher),
      },
      commentsAWrite: this.#deliveries / Math.max(1, this.#writes),
    }
  }

  get #isComplete(): boolean {
    return this.#course.posts.every((_, i) => this.#deliveredTo[i + 1] === this.#viewers)
  }

  #process(share: number | undefined): Process {
    const process = new Process({ timeline: this.#timeline, wakeMs: M.wakeMicroseconds.value / 1000, cores: this.#cores })
    process.background(share ?? 0, (this.#processes++ % PHASES) / PHASES)
    return process
  }

  /** The edge's room, whose viewers are the gateways' groups, and those groups. */
  #connect(edge: SimulatedEdge, byGateway: Uint32Array): void {
    const receivers: Receiver[] = []
    byGateway.forEach((viewers, number) => {
      if (viewers === 0) return
      const gateway = this.#gateways.get(number)
      if (gateway) this.#viewers += viewers
      receivers.push(...(this.#course.ownConnections ? this.#streams(edge, gateway, viewers) : [this.#link(edge, gateway, viewers)]))
    })
    edge.open(receivers)
  }

  #link(edge: SimulatedEdge, gateway: SimulatedGateway | undefined, viewers: number): Receiver {
    const group = gateway?.group(this.#parcels(gateway, viewers))
    return {
      take: ({ from, to, events }) => {
        edge.process.spend(M.busyWriteMicroseconds.value / 1000)
        if (!gateway || !group) return
        edge.process.tell(HOP_MS, () =>
          gateway.process.soon(() => {
            gateway.process.spend(M.readMicroseconds.value / 1000)
            group.flush({ epoch: 0, from, to, events })
          }),
        )
      },
    }
  }

  /** Each viewer's events come on a connection of its own, and are passed on one by one. */
  #streams(edge: SimulatedEdge, gateway: SimulatedGateway | undefined, viewers: number): Receiver[] {
    return this.#parcels(gateway, viewers).map(parcel => ({
      take: ({ events }) => {
        edge.process.spend((parcel.viewers * M.busyWriteMicroseconds.value) / 1000)
        if (!gateway) return
        edge.process.tell(HOP_MS, () =>
          gateway.process.soon(() => {
            gateway.process.spend((parcel.viewers * M.readMicroseconds.value) / 1000)
            parcel.pass({ bytes: events })
          }),
        )
      },
    }))
  }

  #parcels(gateway: SimulatedGateway | undefined, viewers: number): Parcel[] {
    const { parcel } = this.#course
    return Array.from({ length: Math.ceil(viewers / parcel) }, (_, i) => new Parcel(Math.min(parcel, viewers - i * parcel), (from, to, each) => gateway && this.#given(gateway, from, to, each)))
  }

  #given(gateway: SimulatedGateway, from: number, to: number, viewers: number): void {
    gateway.process.spend((viewers * M.busyWriteMicroseconds.value) / 1000)
    this.#writes += viewers
    const { client } = gateway
    if (!client) return this.#received(from, to, viewers, gateway.process.now())
    gateway.process.tell(0, () =>
      client.soon(() => {
        client.spend((viewers * M.clientReadMicroseconds.value) / 1000)
        this.#received(from, to, viewers, client.now())
      }),
    )
  }

  #received(from: number, to: number, viewers: number, at: number): void {
    for (let id = from + 1; id <= to; id++) {
      this.#deliveries += viewers
      this.#deliveredTo[id] = (this.#deliveredTo[id] ?? 0) + viewers
      this.#lastAt[id] = Math.max(this.#lastAt[id] ?? 0, at)
      if (id > this.#course.warmUp) this.#histogram.record(at - this.#acceptedAt[id]!, viewers)
    }
  }

  /** All that has come by the time of the commit is committed at once. */
  #post(post: Post): void {
    if (this.#course.postsAtGateways) {
      const { process } = this.#gateways.get(post.id % this.#gateways.size)!
      process.soon(() => process.spend(M.gatewayPostMicroseconds.value / 1000))
    }
    this.#waiting.push(post)
    if (post.id > 0) this.#acceptedAt[post.id] = post.at
    if (!this.#committing) this.#commit()
  }

  #commit(): void {
    this.#committing = true
    const dispatcher = this.#dispatcher
    dispatcher.soon(() => {
      const posts = this.#waiting
      this.#waiting = []
      dispatcher.spend((M.commitMicroseconds.value + (posts.length - 1) * M.postMicroseconds.value) / 1000)
      dispatcher.after(DISK_MS, () => {
        this.#committing = false
        if (this.#waiting.length > 0) this.#commit()
        for (const { id } of posts) {
          const comment = id > 0 ? { videoId: VIDEO, prev: id - 1, id, json: '{}' } : { videoId: OTHER_VIDEO, prev: this.#otherId, id: ++this.#otherId, json: '{}' }
          this.#forward.comment(comment, undefined)
        }
      })
    })
  }

  /** A batch on its way to an edge, and its answer. */
  #send(target: MemberNode, body: Buffer | string): Promise<Buffer> {
    const dispatcher = this.#dispatcher
    const edge = this.#edges.get(Number(target.id))!
    dispatcher.spend(M.batchMicroseconds.value / 1000)
    const ids = [...body.toString().matchAll(COMMENT)].map(([, id]) => Number(id))
    return new Promise(resolve => {
      dispatcher.tell(HOP_MS, () =>
        edge.process.soon(() => {
          edge.process.spend(M.edgeBatchMicroseconds.value / 1000)
          if (!edge.take(ids)) this.#fault(`an edge was sent comments ${ids.join(', ')} out of order`)
          edge.process.tell(HOP_MS, () =>
            dispatcher.soon(() => {
              resolve(Buffer.alloc(0))
              this.#timeline.settle()
            }),
          )
        }),
      )
    })
  }

  #fault(what: string): void {
    if (this.#faults.length < 5) this.#faults.push(what)
  }

  #busy(): { readonly gateways: readonly number[]; readonly edges: ReadonlyMap<number, number>; readonly dispatcher: number } {
    return {
      gateways: Array.from(this.#gateways.values(), ({ process }) => process.busyMs),
      edges: new Map(Array.from(this.#edges, ([number, { process }]) => [number, process.busyMs])),
      dispatcher: this.#dispatcher.busyMs,
    }
  }

  #mostInFlight(): number {
    const changes = this.#course.posts.flatMap((_, i) => [[this.#acceptedAt[i + 1]!, 1] as const, [this.#lastAt[i + 1] ?? Infinity, -1] as const])
    let [most, now] = [0, 0]
    for (const [, change] of changes.sort(([a], [b]) => a - b)) most = Math.max(most, (now += change))
    return most
  }
}

function nodeOf(number: number): EdgeNode {
  return { id: String(number), instance: 'a', internalUrl: `http://edge-${number}:9081`, publicUrl: `http://edge-${number}:8081`, capacity: 1, viewers: 0, state: 'up', startedAt: 0, version: '0', wire: WIRE_VERSION }
}

function work(process: Process, ms: number): void {
  if (ms <= 0) return
  process.soon(() => {
    process.spend(Math.min(SLICE_MS, ms))
    work(process, ms - SLICE_MS)
  })
}
