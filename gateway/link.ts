import type { EndReason } from '../protocol/frame.js'
import { LinkError, parseToGateway, printToEdge, type ToEdge, type ToGateway } from '../protocol/link.js'
import type { EdgeNode } from '../protocol/nodes.js'
import type { Clock } from '../runtime/clock.js'
import type { Pacer } from '../runtime/fan-out/pacer.js'
import type { PeerFailure } from '../runtime/peers/peer-error.js'
import type { Traces } from '../runtime/traces/traces.js'
import type { Compressor } from './compressor.js'
import { FanOutTrace } from './fan-out-trace.js'
import { Group } from './group.js'
import { Join } from './join.js'
import type { KeptFlushes } from './kept-flushes.js'
import type { Member, Source } from './member.js'
import type { Relay, Upstream, Upstreams } from './upstreams.js'

/** The edge learns a group's weight this long after it changed, once for all changes by then. */
const WEIGHT_MS = 50
/** Joins of members that fell behind, at a time and by one link: each may be sent a thousand comments. */
const MOST_REJOINS = 32
/** A link that nobody uses is closed after this. */
const IDLE_MS = 10_000

/** One WebSocket to an edge. What is sent before it is open goes when it is. */
export interface LinkSocket {
  send(message: Uint8Array): void
  close(): void
}

export interface LinkHandlers {
  opened(): void
  /** Some bytes have come, perhaps not a whole message. */
  heard(): void
  message(bytes: Buffer): void
  /** It is over, whether it was ever open or not. `absent`: the edge is of a version that has no links. */
  lost(failure: PeerFailure | 'absent'): void
}

/** Opens a socket to an edge. Tells the handlers nothing before it has returned, and nothing after `close`. */
export type ConnectLink = (edge: EdgeNode, handlers: LinkHandlers) => LinkSocket

export interface LinkOptions {
  readonly clock: Clock
  readonly pacer: Pacer
  readonly kept: KeptFlushes
  readonly compressor: Compressor
  /** A group has been written to. @param intervalMs from the start of that to the next */
  readonly written: (intervalMs: number) => void
  readonly traces?: Traces | undefined
  readonly upstreams: Upstreams
  readonly connectLink: ConnectLink
  readonly node: EdgeNode
  /** It is gone: whoever joins from now on needs another. Called before its members are told.
   * @param absent the edge has no links */
  readonly over: (link: Link, absent: boolean) => void
  /** The edge has no links: the member needs another way to it. */
  readonly otherwise: (member: Member) => void
}

/** The one connection to an edge. It brings all viewers that are placed there their events (rule 11). */
export class Link implements Relay {
  readonly node: EdgeNode
  readonly #o: LinkOptions
  readonly #socket: LinkSocket
  readonly #upstream: Upstream
  readonly #joins = new Map<number, Join>()
  readonly #groups = new Map<number, Group>()
  /** The same by video. */
  readonly #groupOf = new Map<string, Group>()
  /** Groups whose weight the edge does not know yet. */
  readonly #changed = new Set<Group>()
  readonly #behind: Behind
  readonly #pings = new Map<number, (failure: PeerFailure | undefined) => void>()
  #numbers = 0
  #rejoins = 0
  #isOpen = false
  #isOver = false
  #cancelIdle: (() => void) | undefined

  constructor(options: LinkOptions) {
    this.#o = options
    this.node = options.node
    this.#behind = new Behind({ moved: () => this.#rejoin(), left: () => this.#closeWhenIdle() })
    this.#upstream = options.upstreams.relay(options.node, this)
    this.#socket = options.connectLink(options.node, {
      opened: () => {
        this.#isOpen = true
        options.upstreams.connected(this.#upstream)
      },
      heard: () => options.upstreams.heard(this.#upstream),
      message: bytes => this.#message(bytes),
      lost: failure => this.#lost(failure),
    })
  }

  get groups(): number {
    return this.#groups.size
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Brings the member up to date, and keeps it so. */
  join(member: Member, again = false): void {
    this.#cancelIdle?.()
    this.#cancelIdle = undefined
    const group = this.#groupFor(member)
    // Others that have just asked for the same are still waiting for the first byte.
    for (const join of group.joins) {
      if (!join.isAnswered && join.again === again && join.after === member.cursor && join.recent === recentOf(member)) return join.add(member)
    }
    const join = new Join({
      number: this.#nextNumber(),
      group,
      clock: this.#o.clock,
      pacer: this.#o.pacer,
      compressor: this.#o.compressor,
      again,
      after: member.cursor,
      recent: recentOf(member),
      behind: member => this.#fellBehind(member),
      more: join => this.#send({ kind: 'more', join: join.number }),
      over: join => this.#joinOver(join, group),
    })
    if (again) this.#rejoins++
    this.#joins.set(join.number, join)
    group.joins.add(join)
    join.add(member)
    this.#send({ kind: 'join', join: join.number, group: group.number, again, videoId: group.videoId, gzip: false, begin: { after: join.after, recent: join.recent } })
  }

  /** Resolves with what the edge's silence means. The answer goes to Upstreams as that of any ping. */
  ping(timeoutMs: number): Promise<PeerFailure | undefined> {
    const nonce = this.#nextNumber()
    return new Promise(resolve => {
      const cancel = this.#o.clock.after(timeoutMs, () => this.#pings.get(nonce)?.('timeout'))
      this.#pings.set(nonce, failure => {
        this.#pings.delete(nonce)
        cancel()
        resolve(failure)
      })
      this.#send({ kind: 'ping', nonce })
    })
  }

  /** All members are better off on another edge. */
  leave(why: 'silent' | 'stale'): void {
    for (const member of this.#close()) member.leave(why)
  }

  /** Those who are up to date are tried out elsewhere: the others are brought up to date by whichever edge answers first anyway. */
  suspected(): void {
    for (const group of this.#groups.values()) for (const member of group.members) member.tryElsewhere()
  }

  close(): void {
    this.#close()
  }

  #message(bytes: Buffer): void {
    let message: ToGateway
    try {
      message = parseToGateway(bytes)
    } catch (error) {
      if (!(error instanceof LinkError)) throw error
      return this.#lost('lost')
    }
    switch (message.kind) {
      case 'flush':
        this.#groups.get(message.group)?.flush(message)
        return
      case 'piece':
        this.#joins.get(message.join)?.piece(message)
        return
      case 'ready': {
        const join = this.#joins.get(message.join)
        if (join) return join.ready(message)
        // We left the join while this was on its way.
        if (!this.#groups.has(message.group)) this.#send({ kind: 'weight', group: message.group, weight: 0 })
        return
      }
      case 'joinEnded':
        return this.#joinEnded(message.join, message.reason)
      case 'groupEnded':
        return this.#groupEnded(message.group, message.reason)
      case 'pong':
        this.#o.upstreams.pong(this.node, { syncAgeMs: message.syncAgeMs })
        this.#pings.get(message.nonce)?.(undefined)
        return
    }
  }

  #joinEnded(number: number, reason: EndReason): void {
    const join = this.#joins.get(number)
    if (!join) return
    const members = [...join.members]
    join.end()
    if (reason === 'drain') this.#o.upstreams.leaving(this.#upstream)
    for (const member of members) member.handedBack(reason)
  }

  #groupEnded(number: number, reason: EndReason): void {
    const group = this.#groups.get(number)
    if (!group) return
    const members = [...group.members, ...[...group.joins].flatMap(join => [...join.members])]
    for (const join of group.joins) join.abandon()
    group.members.clear()
    this.#forget(group)
    if (reason === 'drain') this.#o.upstreams.leaving(this.#upstream)
    for (const member of members) member.handedBack(reason)
  }

  #groupFor({ videoId }: Member): Group {
    const known = this.#groupOf.get(videoId)
    if (known) return known
    const { clock, pacer, kept, compressor, written, traces, node } = this.#o
    const trace = traces && new FanOutTrace(traces, clock, videoId, node.id)
    const group = new Group({ number: this.#nextNumber(), videoId, clock, pacer, kept, compressor, written, trace, behind: member => this.#fellBehind(member), changed: group => this.#memberChanged(group) })
    this.#groups.set(group.number, group)
    this.#groupOf.set(videoId, group)
    return group
  }

  #memberChanged(group: Group): void {
    if (this.#changed.size === 0) this.#o.clock.after(WEIGHT_MS, () => this.#tellWeights())
    this.#changed.add(group)
  }

  #tellWeights(): void {
    if (this.#isOver) return
    for (const group of this.#changed) {
      const weight = group.members.size
      if (weight === 0 && group.joins.size > 0) continue // the edge learns it when those have joined
      if (this.#groups.has(group.number)) this.#send({ kind: 'weight', group: group.number, weight })
      if (weight === 0) this.#forget(group)
    }
    this.#changed.clear()
  }

  #joinOver(join: Join, group: Group): void {
    if (!this.#joins.delete(join.number)) return
    group.joins.delete(join)
    if (!join.isDone) this.#send({ kind: 'leave', join: join.number })
    this.#memberChanged(group)
    if (!join.again) return
    this.#rejoins--
    this.#rejoin()
  }

  #forget(group: Group): void {
    this.#groups.delete(group.number)
    if (this.#groupOf.get(group.videoId) === group) this.#groupOf.delete(group.videoId)
    group.close()
    this.#closeWhenIdle()
  }

  #closeWhenIdle(): void {
    if (this.#isOver || this.#groups.size > 0 || this.#behind.size > 0) return
    this.#cancelIdle ??= this.#o.clock.after(IDLE_MS, () => this.#close())
  }

  #fellBehind(member: Member): void {
    member.fellBehind()
    this.#behind.add(member)
  }

  #rejoin(): void {
    while (this.#rejoins < MOST_REJOINS && !this.#isOver) {
      const member = this.#behind.next()
      if (!member) return
      this.join(member, true)
    }
  }

  #lost(failure: PeerFailure | 'absent'): void {
    if (failure === 'absent') {
      const members = this.#close(true)
      for (const member of members) this.#o.otherwise(member)
      return
    }
    if (!this.#isOpen) this.#o.upstreams.failed(this.#upstream, failure)
    for (const member of this.#close()) member.lost(failure)
  }

  /** @returns who was on it */
  #close(absent = false): Member[] {
    if (this.#isOver) return []
    this.#isOver = true
    this.#cancelIdle?.()
    const members = [...this.#behind.clear()]
    // What is still under way for them finds nobody.
    for (const joining of [...this.#joins.values(), ...this.#groups.values()]) {
      members.push(...joining.members)
      joining.members.clear()
    }
    for (const group of this.#groups.values()) group.close()
    this.#joins.clear()
    this.#groups.clear()
    this.#groupOf.clear()
    this.#upstream.relays.delete(this)
    this.#socket.close()
    this.#o.over(this, absent)
    for (const resolve of this.#pings.values()) resolve('lost')
    for (const member of members) member.source = undefined
    return members
  }

  #send(message: ToEdge): void {
    if (!this.#isOver) this.#socket.send(printToEdge(message))
  }

  #nextNumber(): number {
    return (this.#numbers = (this.#numbers + 1) >>> 0)
  }
}

interface BehindHooks {
  /** One can be joined again. */
  readonly moved: () => void
  /** One is gone. */
  readonly left: () => void
}

/** Members that lack what their group no longer keeps, and have not joined again yet. */
class Behind implements Source {
  /** Those that have joined no more, in order. */
  readonly #members = new Set<Member>()
  readonly #waiting = new Set<Member>()
  readonly #hooks: BehindHooks

  constructor(hooks: BehindHooks) {
    this.#hooks = hooks
  }

  get size(): number {
    return this.#members.size + this.#waiting.size
  }

  add(member: Member): void {
    member.source = this
    if (member.blocked) this.#waiting.add(member)
    else this.drained(member)
  }

  /** The next that can be joined again. */
  next(): Member | undefined {
    for (const member of this.#members) {
      this.#members.delete(member)
      return member
    }
    return undefined
  }

  drained(member: Member): void {
    this.#waiting.delete(member)
    this.#members.add(member)
    this.#hooks.moved()
  }

  leave(member: Member): void {
    this.#waiting.delete(member)
    this.#members.delete(member)
    this.#hooks.left()
  }

  clear(): Member[] {
    const members = [...this.#members, ...this.#waiting]
    this.#members.clear()
    this.#waiting.clear()
    return members
  }
}

function recentOf({ cursor, recent }: Member): number {
  return cursor === undefined ? recent : 0
}
