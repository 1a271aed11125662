import { STALE_MS } from '../protocol/limits.js'
import type { EdgeNode, MemberNode } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import { peersIn, type View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import { Failover, type Ping } from '../runtime/peers/failover.js'
import type { PeerFailure } from '../runtime/peers/peer-error.js'

const TICK_MS = 250
/** How often an edge we relay from is pinged. */
const PING_EACH_MS = 250
const PING_TIMEOUT_MS = 1_000
/** Without a sign of life for this long, an edge's viewers are placed again. */
export const SILENT_MS = 1_000
/** Proof that we can hear at all: some other edge was heard within this time. More than PING_EACH_MS, less than
 * SILENT_MS − PING_EACH_MS, so that edges that fell silent together are never proof for each other. */
const HEARD_MS = 600
/** Without a sign of life for this long, other edges are tried out for an edge's viewers: two pings in a row are unanswered. */
const SUSPECT_MS = 600
/** Proof that we can hear, where an edge is only suspected: as HEARD_MS is to SILENT_MS. */
const HEARD_LATELY_MS = 300
/** Others pinged when an edge we relay from misses a sign of life. */
const WITNESSES = 3
/** An edge that said it drains is believed this long; after that it is the view that knows. */
const LEAVING_MS = 2_000

/** Whoever relays from an edge. */
export interface Relay {
  /** Leave the edge: it is silent, or stale while others are not. */
  leave(why: 'silent' | 'stale'): void
  /** The edge may be dead: others are to be tried out. */
  suspected?(): void
}

export interface UpstreamsOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly view: View
  readonly ping: Ping
  /** An edge that was backed off from can be used again. */
  readonly onUsable: () => void
}

/** One instance of an edge, as this gateway has met it. Times are in own running time. */
export class Upstream {
  readonly relays = new Set<Relay>()
  heardAt = -Infinity
  /** When its first relay of now began: before that nothing was to be heard. */
  watchedFrom = 0
  pingedAt = -Infinity
  /** No dispatcher answers it, by its own last answer to a ping. */
  stale = false
  /** It said that it drains, and gets nobody until then. */
  leavingUntil: number | undefined

  constructor(readonly node: EdgeNode) {}
}

/** Which edges this gateway can use now. Streams end for an edge's silence, never for its znode; an edge is backed
 * off from only for refused or timed-out connects, a missing proof and missed signs of life.
 *
 * Everything is measured in own running time, which a tick moves by at most its length: while this process did
 * not run, the edges were not silent, it was deaf. */
export class Upstreams {
  readonly #options: UpstreamsOptions
  readonly #edges = new Map<string, Upstream>()
  /** Instances that another of the same id came after, while they still have relays. */
  readonly #former = new Set<Upstream>()
  readonly #failover: Failover
  /** The edge for whose viewers others are tried out. One at a time: an overloaded machine would have all of them tried out at
   * once. */
  #suspect: Upstream | undefined
  /** False only when no edge is leaving, or stale: placement asks about every edge. */
  #someLeaving = false
  #someStale = false
  #ran = 0
  #tickedAt: number
  #cancel: () => void

  constructor(options: UpstreamsOptions) {
    this.#options = options
    const { view } = options
    this.#failover = new Failover({ ...options, ...peersIn(view, id => view.edge(id)) })
    this.#tickedAt = options.clock.now()
    this.#cancel = options.clock.tick(TICK_MS, this.#tick)
  }

  close(): void {
    this.#cancel()
    this.#failover.close()
  }

  /** The edge, watched for as long as it has relays. */
  relay(node: EdgeNode, relay: Relay): Upstream {
    const edge = this.#edge(node)
    if (edge.relays.size === 0) edge.watchedFrom = this.#ran
    edge.relays.add(relay)
    return edge
  }

  /** Any byte is a sign of life. */
  heard(edge: Upstream): void {
    edge.heardAt = this.#ran
  }

  /** A stream of ours was answered. */
  connected(edge: Upstream): void {
    edge.heardAt = this.#ran
    this.#failover.answered(edge.node)
  }

  /** A stream could not be had, or broke. Only a connect that was refused or timed out, and a missing proof, speak of the
   * edge: resets, error statuses and our own lack of descriptors do not. */
  failed(edge: Upstream, failure: PeerFailure): void {
    if (failure === 'refused' || failure === 'timeout' || failure === 'unproven') this.#failover.backOff(edge.node, failure)
  }

  /** The edge hands its viewers back: nobody is placed on it while the view may not say so yet. Not for ever: an
   * operator can call a drain off. */
  leaving(edge: Upstream): void {
    edge.leavingUntil = this.#ran + LEAVING_MS
    this.#someLeaving = true
  }

  /** What an edge answered to a ping: `syncAgeMs`, for how long no dispatcher has answered it. */
  pong(peer: MemberNode, { syncAgeMs }: Readonly<Record<string, unknown>>): void {
    const edge = this.#edges.get(peer.id)
    if (edge?.node.instance !== peer.instance) return
    edge.stale = typeof syncAgeMs === 'number' && syncAgeMs >= STALE_MS
    this.#someStale ||= edge.stale
  }

  /** Whether its viewers may be missing comments: no dispatcher answers it, as it says in the registry or to us. */
  isStale(node: EdgeNode): boolean {
    if (node.stale) return true
    if (!this.#someStale) return false
    const edge = this.#edges.get(node.id)
    return edge?.stale === true && edge.node.instance === node.instance
  }

  /** Whether nobody is placed on it now. */
  isBackedOff(node: EdgeNode): boolean {
    if (this.#failover.isBackedOff(node)) return true
    if (!this.#someLeaving) return false
    const edge = this.#edges.get(node.id)
    return edge?.leavingUntil !== undefined && edge.node.instance === node.instance
  }

  get backedOffCount(): number {
    return this.#failover.backedOffCount
  }

  get relayedFromCount(): number {
    let count = 0
    for (const edge of this.#all()) if (edge.relays.size > 0) count++
    return count
  }

  *#all(): Generator<Upstream> {
    yield* this.#edges.values()
    yield* this.#former
  }

  #edge(node: EdgeNode): Upstream {
    const known = this.#edges.get(node.id)
    if (known?.node.instance === node.instance) return known
    if (known && known.relays.size > 0) this.#former.add(known)
    const edge = new Upstream(node)
    this.#edges.set(node.id, edge)
    return edge
  }

  readonly #tick = (): void => {
    const { clock } = this.#options
    this.#cancel = clock.tick(TICK_MS, this.#tick)
    const now = clock.now()
    this.#ran += Math.min(now - this.#tickedAt, TICK_MS)
    this.#tickedAt = now
    this.#endLeaving()
    this.#pingDue()
    if (this.#someMissed()) this.#pingWitnesses()
    this.#judge()
    this.#suspectOne()
    this.#leaveStale()
    this.#forget()
  }

  #endLeaving(): void {
    for (const edge of this.#all()) {
      if (edge.leavingUntil === undefined || this.#ran < edge.leavingUntil) continue
      edge.leavingUntil = undefined
      this.#options.onUsable()
    }
  }

  #pingDue(): void {
    for (const edge of this.#all()) {
      if ((edge.relays.size > 0 || edge.stale) && this.#ran - edge.pingedAt >= PING_EACH_MS) this.#ping(edge)
    }
  }

  /** Whether an edge that viewers are on has missed a sign of life. */
  #someMissed(): boolean {
    for (const edge of this.#all()) if (edge.relays.size > 0 && this.#silence(edge) > PING_EACH_MS) return true
    return false
  }

  #silence(edge: Upstream): number {
    return this.#ran - Math.max(edge.heardAt, edge.watchedFrom)
  }

  #ping(edge: Upstream): void {
    edge.pingedAt = this.#ran
    void this.#options.ping(edge.node, PING_TIMEOUT_MS).then(failure => {
      if (failure === undefined) this.heard(edge)
      else if (failure === 'refused' || failure === 'unproven') this.failed(edge, failure)
    })
  }

  /** Whether an edge is silent or we are deaf, only others can tell: some that we do not ping anyway. */
  #pingWitnesses(): void {
    const nodes = [...this.#options.view.edges()].filter(node => !this.isBackedOff(node) && !this.#edges.get(node.id)?.relays.size)
    for (let i = 0; i < WITNESSES && nodes.length > 0; i++) {
      const [node] = nodes.splice(Math.floor(this.#options.random() * nodes.length), 1)
      const witness = this.#edge(node!)
      if (this.#ran - witness.pingedAt >= PING_EACH_MS) this.#ping(witness)
    }
  }

  /** Viewers of a stale edge are better off on one that is not. */
  #leaveStale(): void {
    const { view } = this.#options
    for (const edge of this.#all()) {
      const node = view.edge(edge.node.id) ?? edge.node
      if (edge.relays.size === 0 || !this.isStale(node.instance === edge.node.instance ? node : edge.node)) continue
      if (!view.edges().some(other => this.#isBetter(other))) return
      for (const relay of [...edge.relays]) relay.leave('stale')
    }
  }

  #isBetter(node: EdgeNode): boolean {
    return node.state === 'up' && node.wire === WIRE_VERSION && node.viewers < node.capacity && !this.isBackedOff(node) && !this.isStale(node)
  }

  #judge(): void {
    for (const edge of this.#all()) {
      if (edge.relays.size === 0 || this.#silence(edge) < SILENT_MS || !this.#heardAnother(edge, HEARD_MS)) continue
      this.#failover.backOff(edge.node, 'timeout')
      for (const relay of [...edge.relays]) relay.leave('silent')
    }
  }

  #suspectOne(): void {
    const isSilent = (edge: Upstream) => edge.relays.size > 0 && this.#silence(edge) >= SUSPECT_MS
    if (this.#suspect && isSilent(this.#suspect)) return
    this.#suspect = undefined
    for (const edge of this.#all()) {
      if (!isSilent(edge) || !this.#heardAnother(edge, HEARD_LATELY_MS)) continue
      this.#suspect = edge
      for (const relay of [...edge.relays]) relay.suspected?.()
      return
    }
  }

  #heardAnother(than: Upstream, withinMs: number): boolean {
    for (const edge of this.#all()) if (edge !== than && this.#ran - edge.heardAt < withinMs) return true
    return false
  }

  /** Keeps no edge that is neither relayed from nor in view. */
  #forget(): void {
    this.#someLeaving = false
    this.#someStale = false
    for (const edge of this.#former) if (edge.relays.size === 0) this.#former.delete(edge)
    for (const [id, edge] of this.#edges) {
      if (edge.leavingUntil !== undefined) this.#someLeaving = true
      if (edge.stale) this.#someStale = true
      if (edge.relays.size === 0 && this.#options.view.edge(id)?.instance !== edge.node.instance) this.#edges.delete(id)
    }
  }
}
