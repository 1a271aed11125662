import type { VideoId } from '../protocol/comment.js'
import type { EndReason } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import { LinkError, parseToEdge, printToGateway, type Sent, type ToEdge, type ToGateway } from '../protocol/link.js'
import type { Encoded } from '../runtime/fan-out/encoded.js'
import type { Socket, SocketEvents } from '../runtime/http/socket.js'
import type { Edge } from './edge.js'
import type { Encoding } from './encoding.js'
import type { Outlet, Viewer } from './viewer.js'

export interface LinkLimits {
  /** A newcomer's next piece waits while more than this is unsent, so that no flush and no pong stands behind more than a few. */
  readonly piecesWaitBytes: number
  /** Groups catch up later where more than this is unsent. */
  readonly groupsWaitBytes: number
}

export const LINK_LIMITS: LinkLimits = { piecesWaitBytes: 64 * 1024, groupsWaitBytes: 1024 * 1024 }

type Join = Extract<ToEdge, { kind: 'join' }>

/** A gateway's viewers on this edge. All of a video are a group, which is one viewer of the room and is sent each flush once, as
 * text, or compressed where the gateway is of the former version. Newcomers are viewers of their own until they are ready, and then part of their group (rule 11). */
export class GatewayLink implements SocketEvents {
  readonly #edge: Edge
  readonly #socket: Socket
  readonly #limits: LinkLimits
  readonly #joins = new Map<number, Newcomer>()
  readonly #groups = new Map<number, Group>()
  /** Groups that the link took nothing more for. */
  readonly #blocked = new Set<Group>()
  /** What newcomers wait for: to join, or to send their next piece, each in its turn and only while little is unsent. */
  readonly #turns = new Map<Newcomer, () => void>()
  #takesTurns = false
  #closed = false

  constructor(edge: Edge, socket: Socket, limits = LINK_LIMITS) {
    this.#edge = edge
    this.#limits = limits
    this.#socket = socket
  }

  message(bytes: Buffer): void {
    try {
      this.#take(parseToEdge(bytes))
    } catch (error) {
      if (!(error instanceof LinkError)) throw error
      this.#socket.close()
    }
  }

  /** The socket has sent some of what was unsent. */
  drained(): void {
    for (const group of [...this.#blocked]) {
      if (this.#socket.unsentBytes > this.#limits.groupsWaitBytes / 2) break
      this.#blocked.delete(group)
      this.#edge.drained(group.viewer)
    }
    this.#takeTurns()
  }

  closed(): void {
    this.#closed = true
    this.#turns.clear()
    this.#blocked.clear()
    for (const { viewer } of [...this.#joins.values(), ...this.#groups.values()]) if (viewer) this.#edge.leave(viewer)
    this.#joins.clear()
    this.#groups.clear()
  }

  /** @returns whether little enough is unsent for groups to go on */
  send(message: ToGateway<Sent>): boolean {
    if (this.#closed) return true
    // What the socket refused is lost, and the gateway's viewers with it: they join again, each at its own place.
    if (!this.#socket.send(printToGateway(message))) this.#socket.close()
    return this.#closed || this.#socket.unsentBytes <= this.#limits.groupsWaitBytes
  }

  /** A group's write was the last for now. */
  blocked(group: Group): void {
    this.#blocked.add(group)
  }

  groupEnded(group: Group, reason: EndReason): void {
    this.#groups.delete(group.number)
    this.#blocked.delete(group)
    this.send({ kind: 'groupEnded', group: group.number, reason })
  }

  joinEnded(newcomer: Newcomer, reason: EndReason): void {
    this.#forget(newcomer)
    this.send({ kind: 'joinEnded', join: newcomer.number, reason })
  }

  epochOf(videoId: VideoId): number {
    return this.#edge.epochOf(videoId)
  }

  /** Sends a newcomer's piece, in its turn. */
  piece(newcomer: Newcomer, to: Cursor, events: Encoded): void {
    this.#inTurn(newcomer, () => this.send({ kind: 'piece', join: newcomer.number, to, events }))
  }

  /** A newcomer has been sent its `ready`: from here on it is part of its group. */
  ready(newcomer: Newcomer): void {
    const { viewer, group: number, encoding } = newcomer
    this.#forget(newcomer)
    if (this.#closed) return
    if (!this.#groups.has(number)) {
      const group = new Group(this, number, encoding)
      this.#groups.set(number, group)
      group.viewer = this.#edge.follow(newcomer.videoId, group)
    }
    if (viewer) this.#edge.leave(viewer)
  }

  #take(message: ToEdge): void {
    switch (message.kind) {
      case 'join':
        return this.#join(message)
      case 'more': {
        const newcomer = this.#joins.get(message.join)
        if (newcomer?.viewer?.blocked && !this.#turns.has(newcomer)) this.#inTurn(newcomer, () => this.#edge.drained(newcomer.viewer!))
        return
      }
      case 'leave': {
        const newcomer = this.#joins.get(message.join)
        if (!newcomer) return
        this.#forget(newcomer)
        if (newcomer.viewer) this.#edge.leave(newcomer.viewer)
        return
      }
      case 'weight':
        return this.#weigh(message.group, message.weight)
      case 'ping':
        return void this.send({ kind: 'pong', nonce: message.nonce, syncAgeMs: Math.round(this.#edge.freshness.ageMs) })
    }
  }

  #join(join: Join): void {
    if (this.#joins.has(join.join)) throw new LinkError('a join by a number that is taken')
    const group = this.#groups.get(join.group)
    if (group && (group.viewer.videoId !== join.videoId || group.encoding !== encodingOf(join))) throw new LinkError('a join into the group of another video or encoding')
    const newcomer = new Newcomer(this, join)
    this.#joins.set(join.join, newcomer)
    this.#inTurn(newcomer, () => {
      const { after, recent } = join.begin
      newcomer.viewer = this.#edge.join(join.videoId, { after, recent, isCounted: join.again }, newcomer)
      // It may have been brought to its `ready` at once, before its viewer was known here.
      if (newcomer.isReady && newcomer.viewer) this.#edge.leave(newcomer.viewer)
    })
  }

  #weigh(number: number, weight: number): void {
    const group = this.#groups.get(number)
    if (!group) return // it has been ended, and its viewers are on their way to another edge
    if (weight > 0) return this.#edge.weigh(group.viewer, weight)
    this.#groups.delete(number)
    this.#blocked.delete(group)
    this.#edge.leave(group.viewer)
  }

  #forget(newcomer: Newcomer): void {
    this.#joins.delete(newcomer.number)
    this.#turns.delete(newcomer)
  }

  /** Does what a newcomer waits for once little is unsent. */
  #inTurn(newcomer: Newcomer, turn: () => void): void {
    this.#turns.set(newcomer, turn)
    this.#takeTurns()
  }

  #takeTurns(): void {
    if (this.#takesTurns) return // a turn that ends with a piece to send
    this.#takesTurns = true
    for (const [newcomer, turn] of this.#turns) {
      if (this.#closed || this.#socket.unsentBytes > this.#limits.piecesWaitBytes) break
      this.#turns.delete(newcomer)
      turn()
    }
    this.#takesTurns = false
  }
}

/** All viewers of a gateway that watch one video and are up to date. */
class Group implements Outlet {
  readonly number: number
  readonly encoding: Encoding
  /** A slow gateway's viewers stay: they would all come back to it at once. The link ends when no more pings come by it. */
  readonly patient = true
  viewer!: Viewer
  readonly #link: GatewayLink

  constructor(link: GatewayLink, number: number, encoding: Encoding) {
    this.#link = link
    this.number = number
    this.encoding = encoding
  }

  write(events: Encoded, from: Cursor | undefined, to: Cursor | undefined): boolean {
    const goesOn = this.#link.send({ kind: 'flush', group: this.number, epoch: this.viewer.epoch, from: from!, to: to!, events })
    if (!goesOn) this.#link.blocked(this)
    return goesOn
  }

  /** The gateway sends its own. */
  heartbeat(): boolean {
    return true
  }

  end(reason: EndReason): void {
    this.#link.groupEnded(this, reason)
  }
}

/** Viewers of a gateway that are to join a group, and all lack the same. */
class Newcomer implements Outlet {
  readonly number: number
  readonly group: number
  readonly videoId: VideoId
  readonly encoding: Encoding
  /** How fast its viewers take what they are sent is the gateway's affair. */
  readonly patient = true
  viewer: Viewer | undefined
  isReady = false
  readonly #link: GatewayLink

  constructor(link: GatewayLink, join: Join) {
    this.#link = link
    this.number = join.join
    this.group = join.group
    this.videoId = join.videoId
    this.encoding = encodingOf(join)
  }

  /** One piece at a time, each in its turn: the next when the gateway asks for it. */
  write(events: Encoded, _from: Cursor | undefined, to: Cursor | undefined, ready?: Encoded): boolean {
    if (!ready) {
      this.#link.piece(this, to!, events)
      return false
    }
    this.#link.send({ kind: 'ready', join: this.number, group: this.group, epoch: this.#link.epochOf(this.videoId), at: to!, events, ready })
    this.isReady = true
    this.#link.ready(this)
    return true
  }

  heartbeat(): boolean {
    return true
  }

  end(reason: EndReason): void {
    this.#link.joinEnded(this, reason)
  }
}

function encodingOf({ gzip }: Join): Encoding {
  return gzip ? 'gzip' : 'plain'
}
