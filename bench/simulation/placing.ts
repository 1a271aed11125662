import { HoldingsAnnouncements } from '../../edge/holdings.js'
import { Admission } from '../../gateway/admission.js'
import { level, LEVEL_EVERY_MS, MOVE_AFTER_MS, TOLERATED_VIEWERS, type Moves } from '../../gateway/levelling.js'
import { FULL_MS, Pending, type PlacedViewer } from '../../gateway/pending.js'
import { place } from '../../gateway/placement.js'
import { SILENT_MS } from '../../gateway/upstreams.js'
import { MEASURED as M } from '../../cli/plan/measured.js'
import type { DispatcherNode, EdgeNode } from '../../protocol/nodes.js'
import { retryMs } from '../../protocol/sse.js'
import { WIRE_VERSION } from '../../protocol/wire.js'
import { ownerOf } from '../../registry/ownership.js'
import { View, type Change } from '../../registry/view.js'
import type { Random } from '../../test/support/random.js'
import { Histogram } from '../measure/histogram.js'
import { poisson } from '../load/poisson.js'
import { ANYONE, Arriving } from './arriving.js'
import { CROWD, NOWHERE, type Audience } from './audience.js'
import { edgeId, fill, numberOf, type FilledEdge } from './filling.js'
import { Process } from './process.js'
import { PEAK_SECONDS, SETTLE_SECONDS, type Scenario } from './scenario.js'
import { Timeline } from './timeline.js'

/** From an edge's write to ZooKeeper until every view shows it: a hop to the leader, its disk, and a hop to the readers. */
const REGISTRY_MS = 30
/** ZooKeeper's session ends so long after its node died, as registry/zookeeper/client.ts sets it. */
const SESSION_MS = 5_000
/** An edge asks how many edges there are about so often, as registry/edge-count.ts does. */
const COUNT_EDGES_MS = 30_000
/** Gateways look this often, and so notice a silence up to so much later. */
const NOTICE_MS = 250
/** A join and its answer. */
const ANSWER_MS = 2
const STEP_MS = 100
const TICK_MS = 1_000
/** By now every announcement counts the viewer, and the gateway's own note of it makes no difference. */
const NOTED_MS = 8_000
/** If the viewers are not all back so long after the loss, they are not coming. */
const GIVE_UP_SECONDS = 600
/** After all are back, until the last look: announcements and the levelling come to rest. */
const REST_SECONDS = 10
/** Videos whose owners are looked at. */
const OWNED_SAMPLE = 50_000
const [NOT_LOST, LOST_EDGE, LOST_GATEWAY] = [0, 1, 2]

/** What is seen once a second. */
export interface Second {
  readonly at: number
  readonly crowd: number
  readonly viewers: number
  /** Of the fullest edge, divided by those of a living one on average. */
  readonly fullest: number
  /** Edges that hold the growing video. */
  readonly holders: number
  /** Of all edges, in this second. */
  readonly announcements: number
}

/** What the registry and the gateways made of it. */
export interface Placed {
  readonly seconds: readonly Second[]
  /** When the zone was lost, s. */
  readonly lostAt: number
  readonly lostViewers: { readonly onEdges: number; readonly onGateways: number }
  /** From the loss until those viewers were on an edge again, ms: of those whose edge was lost, and of those whose gateway was. */
  readonly back: { readonly edges: Histogram; readonly gateways: Histogram }
  readonly allBack: boolean
  /** Viewers moved by the levelling of load, refused by full edges, and placed in all. */
  readonly levelled: number
  readonly refused: number
  readonly placements: number
  /** Announcements of all edges. */
  readonly announcements: number
  readonly owners: { readonly fullest: number; readonly moved: number }
  readonly liveEdges: readonly number[]
  readonly liveGateways: readonly number[]
  readonly faults: readonly string[]
}

export interface PlacingOptions {
  readonly scenario: Scenario
  readonly audience: Audience
  readonly random: Random
  /** The gateways' decision; tests break it. */
  readonly decide?: typeof place
  /** Called just before the loss, and when everyone is back and at rest. */
  readonly look: (moment: 'peak' | 'loss' | 'after', placing: Placing) => void
  readonly progress: (step: string, share: number) => void
}

interface Edge extends FilledEdge {
  readonly announcements: HoldingsAnnouncements
  alive: boolean
}

interface Gateway {
  readonly number: number
  readonly process: Process
  readonly pending: Pending
  readonly admission: Admission
  /** Clients that were turned away, or whose gateway was lost, and that are to connect to this one. */
  readonly outside: number[]
  readonly turnAway: (viewer: number) => void
  /** What it has noted of its viewers, the longest first. */
  noted: { readonly at: number; readonly placed: PlacedViewer }[]
  /** It has noticed that the edges of the lost zone are silent. */
  hasNoticed: boolean
  alive: boolean
}

/** Every gateway's placements, every edge's announcements and every viewer, through growth and the loss of a zone. The decisions
 * are those of the gateways' and edges' own code. All gateways read one view: their views differ by milliseconds, their own
 * unannounced placements, which each keeps to itself, by seconds. */
export class Placing {
  readonly timeline = new Timeline()
  readonly edges: readonly Edge[]
  readonly gateways: readonly Gateway[]
  readonly view = new View()
  readonly #o: PlacingOptions
  readonly #decide: typeof place
  readonly #seconds: Second[] = []
  readonly #back = { edges: new Histogram(), gateways: new Histogram() }
  #dispatchers: DispatcherNode[]
  readonly #dead = new Set<string>()
  #moves: Moves = new Map()
  #grown = 0
  #due = 0
  #knownEdges: number
  #lostAt = Infinity
  /** Of each viewer: whether it is to come back, and what it has lost. */
  readonly #lost: Uint8Array
  #missing = 0
  #levelled = 0
  #refused = 0
  #placements = 0
  #announcements = 0
  /** The same, as of the last second. */
  #announcedBefore = 0

  constructor(options: PlacingOptions) {
    this.#o = options
    this.#decide = options.decide ?? place
    const { scenario } = options
    this.edges = Array.from({ length: scenario.edges }, (_, number) => this.#newEdge(number))
    this.gateways = Array.from({ length: scenario.gateways }, (_, number) => this.#newGateway(number))
    this.#dispatchers = Array.from({ length: scenario.dispatchers }, (_, number) => ({ ...common(`dispatcher-${number}`), state: 'up' as const, startedAt: 0, version: '0', wire: WIRE_VERSION }))
    this.#knownEdges = scenario.edges
    this.#lost = new Uint8Array(options.audience.size)
  }

  get liveEdges(): number[] {
    return this.edges.filter(({ alive }) => alive).map(({ number }) => number)
  }

  get liveGateways(): number[] {
    return this.gateways.filter(({ alive }) => alive).map(({ number }) => number)
  }

  get liveDispatchers(): number {
    return this.#dispatchers.length
  }

  /** Viewers moved by the levelling of load so far. */
  get levelled(): number {
    return this.#levelled
  }

  async run(): Promise<Placed> {
    const { scenario, audience, progress, look } = this.#o
    const { timeline } = this
    for (const node of this.#dispatchers) this.view.apply({ kind: 'dispatcher', id: node.id, node }, 0)
    fill({ ...this.#o, decide: this.#decide, view: this.view, edges: this.edges })
    for (const { held, announcements } of this.edges) for (const [id, viewers] of held) announcements.changed(id, viewers)
    timeline.every(STEP_MS, () => this.#step())
    timeline.every(TICK_MS, () => this.#tick())
    timeline.every(LEVEL_EVERY_MS, () => this.#level())
    const until = async (seconds: number, step: string) => {
      const from = timeline.now() / 1000
      for (let at = from + 1; at <= seconds; at++) {
        progress(step, (at - from) / (seconds - from))
        await timeline.run(at * 1000)
      }
    }
    const peakAt = SETTLE_SECONDS + scenario.growSeconds
    this.#lostAt = (peakAt + PEAK_SECONDS) * 1000
    await until(peakAt + PEAK_SECONDS, `a video grows to ${audience.crowd.toLocaleString('en-US')} viewers`)
    look('peak', this)
    const ownersBefore = this.#owners()
    const lostViewers = this.#lose()
    look('loss', this)
    const giveUpAt = this.#lostAt / 1000 + GIVE_UP_SECONDS
    while (this.#missing > 0 && timeline.now() / 1000 < giveUpAt) await until(timeline.now() / 1000 + 1, 'a zone is lost')
    const allBack = this.#missing === 0
    await until(timeline.now() / 1000 + REST_SECONDS, 'at rest')
    look('after', this)
    const ownersAfter = this.#owners()
    return {
      seconds: this.#seconds,
      lostAt: this.#lostAt / 1000,
      lostViewers,
      back: this.#back,
      allBack,
      levelled: this.#levelled,
      refused: this.#refused,
      placements: this.#placements,
      announcements: this.#announcements,
      owners: { fullest: fullestOwner(ownersBefore), moved: ownersBefore.filter((owner, i) => owner !== ownersAfter[i]).length / ownersBefore.length },
      liveEdges: this.liveEdges,
      liveGateways: this.liveGateways,
      faults: this.#faults(),
    }
  }

  /** Newcomers come, and others of their videos leave. */
  #step(): void {
    const { scenario, audience, random } = this.#o
    const now = this.timeline.now()
    if (now > SETTLE_SECONDS * 1000) {
      this.#due = Math.min(audience.crowd, this.#due + (audience.crowd * STEP_MS) / (scenario.growSeconds * 1000))
      for (; this.#grown < Math.floor(this.#due); this.#grown++) this.#comes(this.#grown, this.#anyGateway())
    }
    const others = audience.size - audience.crowd
    for (let leaving = poisson((others * STEP_MS) / (scenario.staySeconds * 1000), random.next); leaving > 0; leaving--) {
      const viewer = audience.crowd + random.below(others)
      // One that is on its way stays: what becomes of it is watched.
      if (audience.edge[viewer] === NOWHERE || !this.edges[audience.edge[viewer]!]!.alive || !this.gateways[audience.gateway[viewer]!]!.alive) continue
      this.#leaves(viewer)
      this.#comes(viewer, this.#anyGateway())
    }
    for (const gateway of this.gateways) this.#letIn(gateway)
  }

  #tick(): void {
    const now = this.timeline.now()
    this.view.expire(now)
    for (const { pending, process, alive } of this.gateways) if (alive) pending.expire(process.now())
    for (const gateway of this.gateways) {
      const kept = gateway.noted.findIndex(({ at }) => at + NOTED_MS > now)
      for (const { placed } of gateway.noted.splice(0, kept < 0 ? gateway.noted.length : kept)) placed.left()
    }
    const living = this.edges.filter(({ alive }) => alive)
    const viewers = living.reduce((sum, edge) => sum + edge.viewers, 0)
    const id = this.#o.audience.ids[CROWD]!
    this.#seconds.push({
      at: now / 1000,
      crowd: living.reduce((sum, { held }) => sum + (held.get(id) ?? 0), 0),
      viewers,
      fullest: Math.max(...living.map(edge => edge.viewers)) / (viewers / living.length),
      holders: living.filter(({ held }) => held.has(id)).length,
      announcements: this.#announcements - this.#announcedBefore,
    })
    this.#announcedBefore = this.#announcements
  }

  /** All gateways decide by the same view, and so alike. */
  #level(): void {
    const { scenario, audience } = this.#o
    const moves = level(this.view, { videoShare: scenario.videoShare, toleratedViewers: TOLERATED_VIEWERS, exact: false, backedOff: edge => this.#dead.has(edge.id) })
    this.timeline.after(MOVE_AFTER_MS, () => {
      this.#moves = moves
      if (moves.size === 0) return
      audience.ids.forEach((id, video) => {
        const [move] = moves.get(id) ?? []
        if (!move) return
        const from = this.#edgeOf(move.from)
        for (let viewer = audience.starts[video]!; viewer < audience.starts[video + 1]!; viewer++) {
          const gateway = this.gateways[audience.gateway[viewer]!]
          if (audience.edge[viewer] !== from.number || !from.alive || !gateway?.alive) continue
          this.#leaves(viewer)
          this.#levelled++
          gateway.admission.add(this.#arriving(gateway, viewer, true))
        }
      })
    })
  }

  /** The first of the zones is gone, without a word. */
  #lose(): Placed['lostViewers'] {
    const { scenario, audience, random } = this.#o
    const { timeline } = this
    const isLost = ({ number }: { readonly number: number }) => number % scenario.zones === 0
    for (const edge of this.edges.filter(isLost)) {
      edge.alive = false
      this.#dead.add(edge.node.id)
      edge.announcements.stop()
      timeline.after(SESSION_MS, () => {
        for (const kind of ['holdings', 'edge'] as const) this.view.apply(kind === 'edge' ? { kind, id: edge.node.id, node: undefined } : { kind, id: edge.node.id, holdings: undefined }, timeline.now())
      })
    }
    for (const gateway of this.gateways.filter(isLost)) {
      gateway.alive = false
      gateway.admission.close()
    }
    this.#dispatchers.filter((_, number) => number % scenario.zones === 0).forEach(({ id }) => timeline.after(SESSION_MS, () => this.view.apply({ kind: 'dispatcher', id, node: undefined }, timeline.now())))
    this.#dispatchers = this.#dispatchers.filter((_, number) => number % scenario.zones !== 0)
    timeline.after(random.between(0, COUNT_EDGES_MS), () => (this.#knownEdges = this.edges.filter(({ alive }) => alive).length))
    const lost = { onEdges: 0, onGateways: 0 }
    const returning = new Map<number, number[]>()
    for (let viewer = 0; viewer < audience.size; viewer++) {
      const gateway = this.gateways[audience.gateway[viewer]!]
      if (!gateway) continue
      const edge = this.edges[audience.edge[viewer]!]
      if (!gateway.alive) {
        lost.onGateways++
        this.#lost[viewer] = LOST_GATEWAY
        if (edge) this.#leaves(viewer)
        const step = Math.ceil(retryMs(random.next) / STEP_MS)
        if (returning.has(step)) returning.get(step)!.push(viewer)
        else returning.set(step, [viewer])
      } else if (edge?.alive === false) {
        lost.onEdges++
        this.#lost[viewer] = LOST_EDGE
      }
    }
    this.#missing = lost.onEdges + lost.onGateways
    for (const [step, viewers] of returning) timeline.after(step * STEP_MS, () => viewers.forEach(viewer => this.#anyGateway().outside.push(viewer)))
    for (const gateway of this.gateways) if (gateway.alive) timeline.after(SILENT_MS + random.between(0, NOTICE_MS), () => this.#notice(gateway))
    return lost
  }

  /** The edges are silent: whoever is there by now is placed again, those first who were there before. */
  #notice(gateway: Gateway): void {
    const { audience } = this.#o
    gateway.hasNoticed = true
    for (let viewer = 0; viewer < audience.size; viewer++) {
      if (audience.gateway[viewer] !== gateway.number || audience.edge[viewer] === NOWHERE || this.edges[audience.edge[viewer]!]!.alive) continue
      this.#leaves(viewer)
      gateway.admission.add(this.#arriving(gateway, viewer, true))
    }
  }

  #comes(viewer: number, gateway: Gateway): void {
    this.#o.audience.gateway[viewer] = gateway.number
    if (gateway.admission.hasRoom(ANYONE)) gateway.admission.add(this.#arriving(gateway, viewer, false))
    else gateway.outside.push(viewer)
  }

  /** Those outside try again and again: as soon as there is room in the line, somebody has it. */
  #letIn(gateway: Gateway): void {
    const { outside, admission } = gateway
    const { audience } = this.#o
    while (outside.length > 0 && gateway.alive && admission.hasRoom(ANYONE)) {
      const i = this.#o.random.below(outside.length)
      const viewer = outside[i]!
      const last = outside.pop()!
      if (i < outside.length) outside[i] = last
      audience.gateway[viewer] = gateway.number
      admission.add(this.#arriving(gateway, viewer, false))
    }
  }

  #arriving(gateway: Gateway, viewer: number, admitted: boolean): Arriving<Gateway> {
    return new Arriving({ viewer, gateway, admitted, place: this.#tryToPlace, turnAway: gateway.turnAway })
  }

  /** @returns whether there is an edge for it */
  readonly #tryToPlace = (arriving: Arriving<Gateway>): boolean => {
    const { scenario, audience } = this.#o
    const { gateway, viewer } = arriving
    const { pending, process, hasNoticed } = gateway
    const id = audience.ids[audience.video[viewer]!]!
    const now = process.now()
    const backedOff = (edge: EdgeNode) => (hasNoticed && this.#dead.has(edge.id)) || arriving.avoids(edge.id, now)
    const found = this.#decide(this.view, id, pending, { videoShare: scenario.videoShare, movedTo: this.#moves.get(id)?.[0]?.to, backedOff })
    process.spend(M.joinMicroseconds.value / 1000)
    if (typeof found === 'string') {
      process.tell(TICK_MS, () => gateway.alive && gateway.admission.add(arriving))
      return false
    }
    this.#placements++
    const placed = pending.place(found, id, now)
    process.tell(ANSWER_MS, () => this.#arrive(arriving, placed, this.#edgeOf(found)))
    return true
  }

  #arrive(arriving: Arriving<Gateway>, placed: PlacedViewer, edge: Edge): void {
    const { audience } = this.#o
    const { gateway, viewer } = arriving
    if (!gateway.alive) return
    const now = gateway.process.now()
    const id = audience.ids[audience.video[viewer]!]!
    if (edge.alive && edge.viewers >= edge.node.capacity) {
      this.#refused++
      arriving.refusedBy(edge.node.id, now + FULL_MS)
      placed.refused(this.view.holdingsOf(edge.node.id).has(id), now)
      return gateway.admission.add(arriving)
    }
    if (!edge.alive && gateway.hasNoticed) {
      placed.left()
      return gateway.admission.add(arriving)
    }
    placed.arrived(now)
    gateway.noted.push({ at: now, placed })
    const viewers = (edge.held.get(id) ?? 0) + 1
    audience.edge[viewer] = edge.number
    edge.viewers++
    edge.held.set(id, viewers)
    if (!edge.alive) return // still on its way to a silent edge, and noticed with those who are on it
    edge.announcements.changed(id, viewers)
    if (this.#lost[viewer] === NOT_LOST) return
    const back = this.#lost[viewer] === LOST_EDGE ? this.#back.edges : this.#back.gateways
    back.record(this.timeline.now() - this.#lostAt)
    this.#lost[viewer] = NOT_LOST
    this.#missing--
  }

  #leaves(viewer: number): void {
    const { audience } = this.#o
    const edge = this.edges[audience.edge[viewer]!]!
    const id = audience.ids[audience.video[viewer]!]!
    const viewers = edge.held.get(id)! - 1
    audience.edge[viewer] = NOWHERE
    edge.viewers--
    if (viewers > 0) edge.held.set(id, viewers)
    else edge.held.delete(id)
    if (edge.alive) edge.announcements.changed(id, viewers)
  }

  #anyGateway(): Gateway {
    for (;;) {
      const gateway = this.gateways[this.#o.random.below(this.gateways.length)]!
      if (gateway.alive) return gateway
    }
  }

  #newEdge(number: number): Edge {
    const held = new Map<string, number>()
    const node: EdgeNode = { ...common(edgeId(number)), publicUrl: `http://edge-${number}:8081`, capacity: this.#o.scenario.edgeCapacity, viewers: 0, state: 'up', startedAt: 0, version: '0', wire: WIRE_VERSION }
    const announcements = new HoldingsAnnouncements({ clock: this.timeline, edges: () => this.#knownEdges, read: () => new Map(held), write: videos => this.#announce(edge, videos) })
    const edge: Edge = { number, node, held, announcements, viewers: 0, alive: true }
    return edge
  }

  #newGateway(number: number): Gateway {
    const { scenario } = this.#o
    const process = new Process({ timeline: this.timeline, wakeMs: 0 })
    const outside: number[] = []
    return { number, process, pending: new Pending(), admission: new Admission({ clock: process, rate: scenario.joinRate }), outside, turnAway: viewer => void outside.push(viewer), noted: [], hasNoticed: false, alive: true }
  }

  #announce(edge: Edge, videos: ReadonlyMap<string, number>): number {
    this.#announcements++
    const node = { ...edge.node, viewers: edge.viewers }
    const { id, instance } = node
    this.timeline.after(REGISTRY_MS, () => {
      if (!edge.alive) return
      edge.node = node
      this.#seen({ kind: 'edge', id, node })
      this.#seen({ kind: 'holdings', id, holdings: { instance, videos } })
    })
    return videos.size * M.heldBytes.value
  }

  #seen(change: Change): void {
    this.view.apply(change, this.timeline.now())
    for (const { pending, process, alive } of this.gateways) if (alive) pending.seen(change, process.now())
  }

  #edgeOf({ id }: EdgeNode): Edge {
    return this.edges[numberOf(id)]!
  }

  /** Of a sample of videos. */
  #owners(): (string | undefined)[] {
    const view = new View()
    for (const node of this.#dispatchers) view.apply({ kind: 'dispatcher', id: node.id, node }, 0)
    return this.#o.audience.ids.slice(0, OWNED_SAMPLE).map(id => ownerOf(view, id)?.id)
  }

  /** What cannot be, if all of this counts right. */
  #faults(): string[] {
    const { audience } = this.#o
    const faults: string[] = []
    const counts = new Uint32Array(this.edges.length)
    let astray = 0
    for (let viewer = 0; viewer < audience.size; viewer++) {
      const edge = this.edges[audience.edge[viewer]!]
      if (!edge?.alive || !this.gateways[audience.gateway[viewer]!]?.alive) astray++
      else counts[edge.number]!++
    }
    // Those who come and go are on their way for moments.
    if (astray > audience.size / 1_000) faults.push(`${astray} viewers are on no living edge and gateway`)
    for (const { number, alive, viewers, held, node } of this.edges) {
      if (!alive) continue
      const sum = [...held.values()].reduce((total, each) => total + each, 0)
      if (viewers !== counts[number] || viewers !== sum) faults.push(`${node.id} counts ${viewers} viewers, its videos have ${sum}, and ${counts[number]} are there`)
      if (viewers > node.capacity) faults.push(`${node.id} has ${viewers} viewers, of ${node.capacity} at most`)
    }
    return faults
  }
}

function common(id: string): { readonly id: string; readonly instance: string; readonly internalUrl: string } {
  return { id, instance: 'a', internalUrl: `http://${id}:9080` }
}

function fullestOwner(owners: readonly (string | undefined)[]): number {
  const counts = new Map<string | undefined, number>()
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  return Math.max(...counts.values()) / (owners.length / counts.size)
}
