import type { VideoId } from '../protocol/comment.js'
import type { EndReason } from '../protocol/frame.js'
import type { CommentId, Cursor } from '../protocol/id.js'
import { HEARTBEAT_MS } from '../protocol/limits.js'
import type { SyncRequest } from '../protocol/wire.js'
import type { Key } from '../runtime/auth/keys.js'
import type { Clock } from '../runtime/clock.js'
import type { Encoded } from '../runtime/fan-out/encoded.js'
import type { Encoding } from './encoding.js'

/** Why a viewer's stream ends. `expired`: it had a time to end. */
export type Ending = EndReason | 'expired'

/** What a room writes to: a viewer's socket, or a gateway's link for many viewers. */
export interface Outlet {
  readonly encoding: Encoding
  /** Optional: it may take nothing for as long as it likes. */
  readonly patient?: boolean
  /** One write, which moves the viewer from one place to another. @param ready is added once, and bytes may be none then
   * @returns false when the socket took the last it can for now: nothing more until `Edge.drained` */
  write(encoded: Encoded, from: Cursor | undefined, to: Cursor | undefined, ready?: Encoded): boolean
  /** Nothing has been written for a while. @returns as `write` */
  heartbeat(): boolean
  /** Tells the peer why and closes; the room has forgotten the viewer. */
  end(reason: Ending): void
}

/** Where a viewer wants its stream to begin: after a comment it has, or with the newest few. */
export interface Start {
  readonly after?: CommentId | undefined
  readonly recent?: number | undefined
  /** It has been here all the time, in a group: it needs no room. */
  readonly isCounted?: boolean
  /** When its stream must end, Unix ms. */
  readonly endsAt?: number | undefined
  /** Without which its stream must end sooner. */
  readonly key?: Key | undefined
}

/** What a viewer is doing. L is the last flush of its room (rule 8). */
export type ViewerState = Opening | Ahead | Replaying | Live | Gone

/** Until it is live, a viewer is sent heartbeats alone. */
interface Waiting {
  /** When it was last sent anything, monotonic ms. */
  readonly heardAt: number
  /** Since when its socket takes nothing, monotonic ms. */
  readonly blockedSince: number | undefined
}

/** It waits for its room to open (rule 7). */
export interface Opening extends Waiting {
  readonly kind: 'opening'
}

/** Its cursor is above L: it waits for the flush that reaches it (rule 9). */
export interface Ahead extends Waiting {
  readonly kind: 'ahead'
  /** The room's newest sync when it came: the answer may be older than the cursor, and does not judge it. */
  readonly asked: SyncRequest | undefined
}

/** It waits for history (rule 8). */
export interface Replaying extends Waiting {
  readonly kind: 'replaying'
  /** Monotonic ms. */
  readonly since: number
}

/** It has all up to L, or will catch up when its socket takes bytes again (rule 10). */
export interface Live {
  readonly kind: 'live'
  /** Since when its socket takes nothing, monotonic ms. */
  readonly blockedSince: number | undefined
}

/** Its room has forgotten it. */
export interface Gone {
  readonly kind: 'gone'
}

/** Live, with a socket that takes bytes: the one state in which a viewer is written comments. Most viewers are in it, and
 * share it. */
export const LIVE: Live = Object.freeze({ kind: 'live', blockedSince: undefined })
const GONE: Gone = Object.freeze({ kind: 'gone' })

/** What the viewers of one room share: each enters and leaves the sets as its state changes. */
export interface ViewerHost {
  readonly videoId: VideoId
  readonly clock: Clock
  /** Viewers of the room that are not live. */
  readonly waiting: Set<Viewer>
  /** Viewers of all rooms whose sockets take nothing. */
  readonly blocked: Set<Viewer>
}

/** One viewer of a room. */
export class Viewer {
  readonly outlet: Outlet
  readonly recent: number
  /** The last comment it was sent, or has; undefined for a newcomer whose place is still to be found. */
  cursor: Cursor | undefined
  /** The room's epoch that the cursor is of. */
  epoch: number
  /** Whether it has had its `ready`, which comes once: one that was live may have to wait for history again. */
  ready = false
  /** How many people watch by it: more than one behind a gateway. */
  weight = 1
  #state: ViewerState = GONE
  readonly #host: ViewerHost

  constructor(host: ViewerHost, start: Start, outlet: Outlet, epoch: number) {
    this.#host = host
    this.epoch = epoch
    this.outlet = outlet
    this.recent = start.recent ?? 0
    this.cursor = start.after
    this.#become({ kind: 'opening', heardAt: host.clock.now(), blockedSince: undefined })
  }

  /** One that needs nothing that came before: it is live, and has had its `ready`. @param at the room's last flush */
  static following(host: ViewerHost, outlet: Outlet, at: Cursor, epoch: number): Viewer {
    const viewer = new Viewer(host, { after: at }, outlet, epoch)
    viewer.ready = true
    viewer.goLive()
    return viewer
  }

  get videoId(): VideoId {
    return this.#host.videoId
  }

  get state(): ViewerState {
    return this.#state
  }

  get gone(): boolean {
    return this.#state.kind === 'gone'
  }

  get blocked(): boolean {
    return blockedSince(this.#state) !== undefined
  }

  /** For how long its socket has taken nothing, ms; 0 where it takes bytes. */
  blockedForMs(now: number): number {
    return now - (blockedSince(this.#state) ?? now)
  }

  /** Its cursor is above L (rule 9). @param asked the room's newest sync */
  waitForFlush(asked: SyncRequest | undefined): void {
    this.#become({ kind: 'ahead', asked, ...this.#line() })
  }

  /** What it missed is not in memory (rule 8). */
  waitForHistory(): void {
    this.#become({ kind: 'replaying', since: this.#host.clock.now(), ...this.#line() })
  }

  /** Nothing is waited for any longer: it is sent what it missed, now or when its socket takes bytes again. */
  goLive(): void {
    const since = blockedSince(this.#state)
    this.#become(since === undefined ? LIVE : { kind: 'live', blockedSince: since })
  }

  leave(): void {
    this.#become(GONE)
  }

  /** One write, after which it stands at `to`. Only for a viewer whose socket takes bytes. */
  write(encoded: Encoded, to: Cursor, ready?: Encoded): void {
    const from = this.cursor
    this.cursor = to
    if (!this.outlet.write(encoded, from, to, ready)) this.#block()
  }

  /** Sends a viewer that waits a heartbeat, where one is due. */
  heartbeat(now: number): void {
    const state = this.#state
    if (!waits(state) || state.blockedSince !== undefined || now - state.heardAt < HEARTBEAT_MS) return
    this.#become({ ...state, heardAt: now })
    if (!this.outlet.heartbeat()) this.#block()
  }

  /** Its socket took some of what it was given, but does not take more yet. */
  progressed(): void {
    if (this.blocked) this.#block()
  }

  /** Its socket takes bytes again. */
  drained(): void {
    const state = this.#state
    if (state.kind === 'live') this.#become(LIVE)
    else if (state.kind !== 'gone') this.#become({ ...state, blockedSince: undefined })
  }

  #block(): void {
    const state = this.#state
    if (state.kind !== 'gone') this.#become({ ...state, blockedSince: this.#host.clock.now() })
  }

  /** What a waiting state begins with. */
  #line(): Waiting {
    const state = this.#state
    return { heardAt: waits(state) ? state.heardAt : this.#host.clock.now(), blockedSince: blockedSince(state) }
  }

  /** The one place where the state changes. */
  #become(state: ViewerState): void {
    this.#state = state
    const { waiting, blocked } = this.#host
    if (waits(state)) waiting.add(this)
    else waiting.delete(this)
    if (blockedSince(state) === undefined) blocked.delete(this)
    else blocked.add(this)
  }
}

function waits(state: ViewerState): state is Opening | Ahead | Replaying {
  return 'heardAt' in state
}

function blockedSince(state: ViewerState): number | undefined {
  return state.kind === 'gone' ? undefined : state.blockedSince
}
