import type { VideoId } from '../protocol/comment.js'
import type { EndReason } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import type { MaxRate } from '../protocol/limits.js'
import type { Encoded, ViewerEncoding } from '../runtime/fan-out/encoded.js'
import type { PeerFailure } from '../runtime/peers/peer-error.js'

/** A viewer, as what brings it its events sees it. */
export interface Member {
  readonly videoId: VideoId
  readonly encoding: ViewerEncoding
  /** The most comments a second that it is shown once it is up to date; undefined: all. */
  readonly maxRate: MaxRate | undefined
  /** Without a cursor it wants this many of the newest comments. */
  readonly recent: number
  /** Its place: all up to it has been passed on. Whoever passes events on moves it. */
  cursor: Cursor | undefined
  /** Of its room, the epoch that the cursor is of. */
  epoch: number
  /** The first of its group's flushes that it has not been looked at for. */
  next: number
  /** It has been given its `ready`, which comes once. */
  readonly isReady: boolean
  /** It is brought its events by links alone, never by a stream of its own. */
  readonly linksOnly: boolean
  /** Its connection takes nothing now: what it is given would be lost. */
  readonly blocked: boolean
  /** What brings it its events now. */
  source: Source | undefined
  /** The edge has answered: its announcements may count this viewer. */
  answered(): void
  /** @returns whether it takes more now */
  pass(events: Encoded): boolean
  /** It has all up to now. */
  ready(): void
  /** It has fallen behind, and is sent nothing for a while. */
  fellBehind(): void
  /** What brought it its events is gone. */
  lost(failure: PeerFailure): void
  /** The edge does not want it, or no longer. */
  handedBack(reason: EndReason): void
  /** It is better off on another edge. */
  leave(why: 'silent' | 'stale'): void
  /** Its edge may be dead: another one is tried out, and the member stays until that has brought it up to date. */
  tryElsewhere(): void
}

/** What brings a member its events. */
export interface Source {
  /** The member's connection takes nothing more. */
  blocked?(member: Member): void
  /** The member's connection takes bytes again. */
  drained(member: Member): void
  /** The member is gone. */
  leave(member: Member): void
  /** Another takes the member's place. */
  replace?(member: Member, by: Member): void
}
