import type { EndReason } from '../protocol/frame.js'
import type { CommentId, Cursor } from '../protocol/id.js'
import type { Encoding } from './encoding.js'
import type { Room } from './room.js'

/** A viewer's socket, as the room sees it. */
export interface Outlet {
  readonly encoding: Encoding
  /** One write. @returns false when the socket took the last it can for now: nothing more until `Edge.drained` */
  write(bytes: Uint8Array): boolean
  /** Tells the peer why and closes; the room has forgotten the viewer. */
  end(reason: EndReason): void
}

/** Where a viewer wants its stream to begin: after a comment it has, or with the newest few. */
export interface Start {
  readonly after?: CommentId | undefined
  readonly recent?: number | undefined
  /** When its stream must end, Unix ms. */
  readonly endsAt?: number | undefined
}

/** One viewer of a room. It waits until it holds all up to the room's last flush, or only its socket is between,
 * then it is `live`. */
export class Viewer {
  readonly outlet: Outlet
  readonly recent: number
  /** Where it is held; undefined before it is, and once it is no longer. */
  room: Room | undefined
  /** The last comment it was sent, or holds; undefined for a newcomer whose place is still to be found. */
  cursor: Cursor | undefined
  live = false
  /** Has had its `ready`. */
  ready = false
  gone = false
  /** Since when its socket takes nothing, monotonic ms; undefined while it can be written to. */
  blockedSince: number | undefined
  /** Since when its replay cannot be had, monotonic ms. */
  replayingSince: number | undefined
  /** When it was last sent anything, monotonic ms; kept only while it waits. */
  heardAt: number

  constructor(outlet: Outlet, start: Start, now: number) {
    this.outlet = outlet
    this.cursor = start.after
    this.recent = start.recent ?? 0
    this.heardAt = now
  }
}
