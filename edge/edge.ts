import type { VideoId } from '../protocol/comment.js'
import type { Cursor } from '../protocol/id.js'
import { SLOW_MS } from '../protocol/limits.js'
import { MAX_HELD_VIDEOS, MAX_ZNODE_BYTES } from '../protocol/nodes.js'
import type { Batch, WireComment } from '../protocol/wire.js'
import { candidates, ownerOf, ownersOf } from '../registry/ownership.js'
import { peersIn, type View } from '../registry/view.js'
import { Expiries } from '../runtime/auth/expiries.js'
import type { Keys } from '../runtime/auth/keys.js'
import type { Clock } from '../runtime/clock.js'
import type { GzipPolicy } from '../runtime/fan-out/encoded.js'
import { Pacer } from '../runtime/fan-out/pacer.js'
import { Failover, type Ping } from '../runtime/peers/failover.js'
import type { Traces } from '../runtime/traces/traces.js'
import { Freshness } from './freshness.js'
import { HoldingsAnnouncements } from './holdings.js'
import type { EdgeMetrics } from './metrics.js'
import { PIECE_BYTES } from './pieces.js'
import { ReplayBudget } from './replay-buffer.js'
import { Room, type RoomDeps } from './room.js'
import { Syncs, type SyncDeps } from './sync.js'
import type { Outlet, Start, Viewer } from './viewer.js'

/** Every room is visited once in a turn of the wheel, so that their syncs spread over the 2 s of rule 7. */
const WHEEL_SLOTS = 20
const SLOT_MS = 100
/** The wheel's turn while there is no room. */
const IDLE_TURN_MS = 500
/** A room keeps its last id and buffer this long after its last viewer left: a quick reconnect needs no history. */
const KEEP_MS = 60_000
const OWNERS_MS = 50
const REPLAY_BUDGET_BYTES = 128 * 1024 * 1024

export interface EdgeDeps extends Pick<SyncDeps, 'clock' | 'send' | 'metrics' | 'onPeerError'> {
  readonly view: View
  readonly ping: Ping
  /** Viewers it takes. */
  readonly capacity: number
  readonly random: () => number
  readonly gzip: GzipPolicy
  readonly traces?: Traces | undefined
  /** What is written at a time of what a viewer missed; 64 KB without. */
  readonly pieceBytes?: number | undefined
  /** Optional hook: called for each pushed comment. */
  readonly received?: ((comment: WireComment) => void) | undefined
  /** Announces the videos that are watched here, with their viewers. @returns the size of what was written, bytes */
  readonly announce: (videos: ReadonlyMap<VideoId, number>) => number
  /** How many edges there are: the more, the longer it saves up what it announces. */
  readonly edges?: (() => number) | undefined
  /** Optional hook: a room was ahead of the store, and has begun anew at `to`. */
  readonly onRestart?: ((videoId: VideoId, from: Cursor, to: Cursor) => void) | undefined
  /** Optional hook: no dispatcher has answered for a while, or one answers again. */
  readonly onStale?: ((stale: boolean) => void) | undefined
}

/** The edge without its sockets: rooms and viewers, fed by dispatchers' batches and its own syncs. */
export class Edge {
  readonly #clock: Clock
  readonly #metrics: EdgeMetrics
  readonly #view: View
  readonly #capacity: number
  readonly #random: () => number
  readonly #rooms = new Map<VideoId, Room>()
  /** When the wheel is to move on. */
  readonly #slots: Set<Room>[] = Array.from({ length: WHEEL_SLOTS }, () => new Set())
  /** Viewers whose sockets take nothing. */
  readonly #blocked = new Set<Viewer>()
  readonly #expiries = new Expiries<Viewer>()
  readonly #failover: Failover
  readonly freshness: Freshness
  readonly #syncs: Syncs
  readonly #received: EdgeDeps['received']
  readonly #holdings: HoldingsAnnouncements
  readonly #roomDeps: RoomDeps
  #viewers = 0
  #slot = 0
  #cancelTurn = () => {}
  #ownersDue = false
  #draining = false

  constructor({ clock, send, ping, metrics, onPeerError, view, capacity, random, gzip, traces, pieceBytes = PIECE_BYTES, received, announce, edges, onStale = () => {}, onRestart = () => {} }: EdgeDeps) {
    this.#clock = clock
    this.#metrics = metrics
    this.#view = view
    this.#capacity = capacity
    this.#random = random
    this.#received = received
    this.#failover = new Failover({
      clock,
      random,
      ping,
      ...peersIn(view, id => view.dispatcher(id)),
    })
    this.freshness = new Freshness({ clock, dispatchers: () => candidates(view), ping, changed: onStale })
    this.#syncs = new Syncs({ clock, owners: videoId => ownersOf(view, videoId), failover: this.#failover, answered: () => this.freshness.answered(), send, metrics, onPeerError })
    this.#holdings = new HoldingsAnnouncements({ clock, edges, read: () => this.subscriptions(), write: announce })
    this.#roomDeps = {
      clock,
      metrics,
      budget: new ReplayBudget(REPLAY_BUDGET_BYTES),
      pacer: new Pacer(clock),
      gzip,
      traces,
      pieceBytes,
      replay: request => this.#syncs.replay(request),
      restarted: (videoId, from, to) => {
        metrics.restarts.inc()
        onRestart(videoId, from, to)
      },
      needsSync: room => this.#syncs.needs(room),
      blocked: this.#blocked,
    }
    this.#turn(0)
  }

  get viewers(): number {
    return this.#viewers
  }

  get rooms(): number {
    return this.#rooms.size
  }

  get draining(): boolean {
    return this.#draining
  }

  /** Viewers of each video that anyone here watches. */
  subscriptions(): Map<VideoId, number> {
    const subscriptions = new Map<VideoId, number>()
    for (const { videoId, weight } of this.#rooms.values()) {
      if (weight > 0) subscriptions.set(videoId, weight)
    }
    return subscriptions
  }

  /** @returns undefined where the viewer cannot be taken: its outlet was ended with the reason */
  join(videoId: VideoId, start: Start, outlet: Outlet): Viewer | undefined {
    const known = this.#rooms.get(videoId)
    const noRoomInRegistry = (known?.viewers.size ?? 0) === 0 && (this.#holdings.bytes > 0.95 * MAX_ZNODE_BYTES || this.#rooms.size >= MAX_HELD_VIDEOS)
    const full = !start.isCounted && (this.#viewers >= this.#capacity || noRoomInRegistry)
    if (this.#draining || full) {
      if (noRoomInRegistry) this.#metrics.holdingsFull.inc()
      outlet.end(this.#draining ? 'drain' : 'full')
      return undefined
    }
    const room = known ?? this.#open(videoId)
    this.#viewers++
    this.#metrics.joins.inc()
    const viewer = room.join(start, outlet)
    if (start.endsAt !== undefined) this.#expiries.add(viewer, start.endsAt, start.key)
    this.#holdings.changed(videoId, room.weight)
    return viewer
  }

  /** A viewer for those of a gateway who have all up to the room's last flush, as one that has just become ready there has. */
  follow(videoId: VideoId, outlet: Outlet): Viewer {
    const room = this.#rooms.get(videoId)!
    const viewer = room.follow(outlet)
    this.#viewers += viewer.weight
    this.#holdings.changed(videoId, room.weight)
    return viewer
  }

  /** Counts how often the video's room has begun anew below where it stood. */
  epochOf(videoId: VideoId): number {
    return this.#rooms.get(videoId)?.epoch ?? 0
  }

  /** How many people watch by this viewer, at least one. */
  weigh(viewer: Viewer, weight: number): void {
    if (viewer.gone) return
    const room = this.#rooms.get(viewer.videoId)!
    this.#viewers += weight - viewer.weight
    room.weigh(viewer, weight)
    this.#holdings.changed(room.videoId, room.weight)
  }

  /** Ends the streams whose key is none of these, within seconds. */
  keysChanged(keys: Keys): void {
    this.#expiries.keep(keys, this.#clock.wall(), this.#random)
  }

  /** The viewer's socket is gone. */
  leave(viewer: Viewer): void {
    if (viewer.gone) return
    const room = this.#rooms.get(viewer.videoId)!
    this.#viewers -= viewer.weight
    this.#expiries.delete(viewer)
    room.leave(viewer)
    this.#holdings.changed(room.videoId, room.weight)
  }

  /** The viewer's socket takes bytes again. */
  drained(viewer: Viewer): void {
    if (!viewer.gone) this.#rooms.get(viewer.videoId)!.drained(viewer)
  }

  /** What a dispatcher pushed. Rooms that are not here have no use for it. */
  batch({ comments, hints }: Batch): void {
    this.#metrics.received.inc(comments.length)
    this.#metrics.batchSize.observe(comments.length)
    for (const comment of comments) this.#deliver(comment)
    for (const { videoId, id } of hints) {
      const room = this.#rooms.get(videoId)
      if (room && room.viewers.size > 0) room.hint(id)
    }
  }

  /** Rooms whose video has another owner now sync with it (rule 7). Changes come in bursts, and each look costs a
   * hash of every room against every dispatcher: one look serves all of a burst. */
  viewChanged(): void {
    if (this.#ownersDue) return
    this.#ownersDue = true
    this.#clock.after(OWNERS_MS, () => {
      this.#ownersDue = false
      this.#followOwners()
    })
  }

  #followOwners(): void {
    for (const room of this.#rooms.values()) {
      const owner = ownerOf(this.#view, room.videoId)
      if (owner === undefined || owner.instance === room.ownerInstance) continue
      room.ownerInstance = owner.instance
      this.#syncs.needs(room)
    }
  }

  /** Hands every viewer back over `windowMs` and takes no more. Resolves when none is left. */
  drain(windowMs: number): Promise<void> {
    this.#draining = true
    const stepMs = 50
    const perStep = Math.max(1, Math.ceil(this.#viewers / (windowMs / stepMs)))
    return new Promise(resolve => {
      const step = () => {
        if (!this.#draining) return resolve()
        this.#handBack(perStep)
        if (this.#viewers === 0) resolve()
        else this.#clock.after(stepMs, step)
      }
      step()
    })
  }

  #handBack(most: number): void {
    let count = 0
    for (const room of this.#rooms.values()) {
      for (const viewer of room.viewers) {
        if (count >= most) return
        count += viewer.weight
        this.#end(viewer, 'drain')
      }
    }
  }

  /** Takes viewers again, after a drain that was called off. */
  resume(): void {
    this.#draining = false
  }

  /** The wheel stands still, and nothing more is announced. */
  stop(): void {
    this.#cancelTurn()
    this.#holdings.stop()
    this.#failover.close()
  }

  #deliver(comment: WireComment): void {
    this.#received?.(comment)
    const room = this.#rooms.get(comment.videoId)
    if (!room) return this.#metrics.unheld.inc()
    room.deliver(comment)
  }

  #open(videoId: VideoId): Room {
    const room = new Room(videoId, this.#roomDeps)
    room.ownerInstance = ownerOf(this.#view, videoId)?.instance
    this.#rooms.set(videoId, room)
    if (this.#rooms.size === 1) this.#turnIn(SLOT_MS)
    this.#slots[Math.floor(this.#random() * WHEEL_SLOTS)]!.add(room)
    return room
  }

  #drop(room: Room, slot: Set<Room>): void {
    slot.delete(room)
    this.#rooms.delete(room.videoId)
    this.#syncs.forget(room)
    room.drop()
  }

  #end(viewer: Viewer, reason: 'drain' | 'slow' | 'expired'): void {
    this.leave(viewer)
    viewer.outlet.end(reason)
  }

  /** The wheel moves on by one slot. */
  #turn(lateMs: number): void {
    const now = this.#clock.now()
    this.#metrics.loopDelay.record(lateMs)
    this.#closeSlow(now)
    this.#endExpired()
    this.#slot = (this.#slot + 1) % WHEEL_SLOTS
    this.#syncSlot()
    this.#dropEmpty(now)
    this.#tickRooms()
    this.freshness.tick()
    this.#turnIn(this.#rooms.size > 0 ? SLOT_MS : IDLE_TURN_MS)
  }

  #turnIn(ms: number): void {
    this.#cancelTurn()
    this.#cancelTurn = this.#clock.tick(ms, late => this.#turn(late))
  }

  #closeSlow(now: number): void {
    for (const viewer of this.#blocked) {
      if (viewer.outlet.patient || viewer.blockedForMs(now) < SLOW_MS) continue
      this.#metrics.slow.inc()
      this.#end(viewer, 'slow')
    }
  }

  #endExpired(): void {
    for (const viewer of this.#expiries.due(this.#clock.wall())) this.#end(viewer, 'expired')
  }

  #syncSlot(): void {
    for (const room of this.#slots[this.#slot]!) {
      if (room.viewers.size > 0) this.#syncs.needs(room)
    }
  }

  #dropEmpty(now: number): void {
    const slot = this.#slots[this.#slot]!
    for (const room of slot) {
      if (room.emptySince !== undefined && now - room.emptySince >= KEEP_MS) this.#drop(room, slot)
    }
  }

  /** Each room twice in a turn of the wheel: once a second. */
  #tickRooms(): void {
    for (const half of [0, WHEEL_SLOTS / 2]) {
      for (const room of this.#slots[(this.#slot + half) % WHEEL_SLOTS]!) room.tick()
    }
  }
}
