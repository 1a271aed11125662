import type { EdgeNode, MemberNode } from '../protocol/nodes.js'
import type { Clock } from '../runtime/clock.js'
import type { GzipPolicy } from '../runtime/fan-out/encoded.js'
import { Pacer } from '../runtime/fan-out/pacer.js'
import type { PeerFailure } from '../runtime/peers/peer-error.js'
import type { Traces } from '../runtime/traces/traces.js'
import { Compressor } from './compressor.js'
import { KeptFlushes } from './kept-flushes.js'
import { Link, type ConnectLink } from './link.js'
import type { Member } from './member.js'
import { Relayed, type Connect } from './relayed.js'
import type { Upstreams } from './upstreams.js'

const TICK_MS = 1_000
/** Instances without links that are remembered: more than an upgrade has. */
const MOST_REMEMBERED = 10_000

export interface LinksOptions {
  readonly clock: Clock
  readonly upstreams: Upstreams
  readonly connectLink: ConnectLink
  /** How a viewer is brought its events from an edge that has no links. */
  readonly connect: Connect
  /** Of flushes that all groups keep for members that lag; 32 MB without. */
  readonly keptBytes?: number | undefined
  readonly gzip: GzipPolicy
  readonly traces?: Traces | undefined
}

/** The links of this gateway, one for each edge that viewers are on. */
export class Links {
  readonly #o: LinksOptions
  readonly #pacer: Pacer
  readonly #kept: KeptFlushes
  readonly #compressor: Compressor
  /** By the edge's instance. */
  readonly #links = new Map<string, Link>()
  /** Instances that have none. */
  readonly #without = new Set<string>()
  #cancel: () => void

  constructor(options: LinksOptions) {
    this.#o = options
    this.#pacer = new Pacer(options.clock)
    this.#kept = new KeptFlushes(options.clock, options.keptBytes)
    this.#compressor = new Compressor(options.gzip)
    this.#cancel = options.clock.tick(TICK_MS, this.#tick)
  }

  /** Of the group that was written to last: from the start of that to the next, ms. */
  intervalMs = 0
  /** Viewers who have a stream of their own from an edge that has no links. */
  relayed = 0

  /** Open links. */
  get size(): number {
    let open = 0
    for (const link of this.#links.values()) if (link.isOpen) open++
    return open
  }

  /** Videos that are watched by links, counted for each edge. */
  get groups(): number {
    let groups = 0
    for (const link of this.#links.values()) groups += link.groups
    return groups
  }

  /** Bytes that are kept for viewers who lag. */
  get keptBytes(): number {
    return this.#kept.bytes
  }

  /** Has the edge bring the member its events. */
  join(node: EdgeNode, member: Member): void {
    if (!this.#without.has(node.instance)) return this.#linkTo(node).join(member)
    if (member.linksOnly) return member.lost('wire')
    this.relayed++
    new Relayed(member, node, { ...this.#o, left: () => this.relayed-- })
  }

  /** @returns undefined where there is no link to ask by */
  ping(peer: MemberNode, timeoutMs: number): Promise<PeerFailure | undefined> | undefined {
    const link = this.#links.get(peer.instance)
    return link?.isOpen ? link.ping(timeoutMs) : undefined
  }

  close(): void {
    this.#cancel()
    for (const link of [...this.#links.values()]) link.close()
  }

  #linkTo(node: EdgeNode): Link {
    const known = this.#links.get(node.instance)
    if (known) return known
    const { clock, upstreams, connectLink, traces } = this.#o
    const link = new Link({
      clock,
      traces,
      upstreams,
      connectLink,
      pacer: this.#pacer,
      kept: this.#kept,
      compressor: this.#compressor,
      written: intervalMs => (this.intervalMs = intervalMs),
      node,
      over: (link, absent) => {
        if (this.#links.get(node.instance) === link) this.#links.delete(node.instance)
        if (!absent) return
        if (this.#without.size >= MOST_REMEMBERED) this.#without.clear()
        this.#without.add(node.instance)
      },
      otherwise: member => this.join(node, member),
    })
    this.#links.set(node.instance, link)
    return link
  }

  readonly #tick = (): void => {
    this.#cancel = this.#o.clock.tick(TICK_MS, this.#tick)
    this.#kept.expire()
  }
}
