import type { VideoId } from '../../protocol/comment.js'
import type { HeldId } from '../../protocol/held.js'
import type { Outcome, Range, Taken, Timed } from './store.js'

/** What SqliteStore and its threads say to each other. Deadlines are in `threadsNow`. */

export interface WorkerSettings {
  readonly path: string
  /** How long a call tries to get past another connection's lock. */
  readonly deadlineMs: number
  /** A file that is missing is made by any call. */
  readonly mayCreate: boolean
  /** What is stored is to be sent to a web hook. */
  readonly isHooked: boolean
}

/** Reads or writes comments. */
export type CommentOperation =
  | { readonly kind: 'append'; readonly drafts: readonly Timed[]; readonly nowMs: number }
  | { readonly kind: 'madeBy'; readonly draft: Timed }
  | { readonly kind: 'page'; readonly videoId: VideoId; readonly range: Range }
  | { readonly kind: 'lastIds'; readonly videoIds: readonly VideoId[] }
  | { readonly kind: 'state'; readonly videoIds: readonly VideoId[]; readonly nowMs: number }
  | { readonly kind: 'truncateLog' }
  | { readonly kind: 'lastPostedAt'; readonly videoId: VideoId; readonly authorId: string }
  | { readonly kind: 'commentsBy'; readonly authorId: string; readonly after: string | undefined }
  | { readonly kind: 'heldIn'; readonly videoId: VideoId; readonly limit: number }
  | { readonly kind: 'held'; readonly videoId: VideoId; readonly id: HeldId }
  | { readonly kind: 'refuseHeld'; readonly videoId: VideoId; readonly id: HeldId; readonly reason: string | undefined; readonly nowMs: number }
  | { readonly kind: 'eraseHeld'; readonly authorId: string }
  | { readonly kind: 'unsent'; readonly videoId: VideoId; readonly limit: number }
  | { readonly kind: 'unsentVideos'; readonly after: string | undefined }
  | { readonly kind: 'noteTaken'; readonly taken: Taken }

/** `open`: can the file be used? `create`: the same, made where it is missing. `look`: what it says of itself. `accept`:
 * note that it was accepted where it is. `renew`: a new generation. `probe`: can it be written? `check`: is it damaged? */
export type FileOperation = { readonly kind: 'open' | 'create' | 'look' | 'accept' | 'renew' | 'probe' | 'check' | 'close' }

export type Operation = CommentOperation | FileOperation

/** @property file its token: a call of comments is for this file alone; undefined: for any */
export type WorkerRequest = { readonly n: number; readonly operation: Operation; readonly file?: string | undefined }

/** What an `append` answers with. */
export interface Appended {
  readonly outcomes: Outcome[]
  /** How many keys have been made, as far as this append knows; 0 where it does not. */
  readonly stored: number
}

/** What a `lastIds`, or a `state`, answers with. */
export interface OfEach<T> {
  readonly found: ReadonlyMap<VideoId, T>
  /** The videos that cannot be read, and why. */
  readonly damaged: ReadonlyMap<VideoId, string>
}

/** `unavailable`: the store's trouble, it may pass. `damaged`: the same of one video, while others can be used. `fatal`:
 * trying again is of no use. */
export type WorkerFailure = { readonly kind: 'unavailable' | 'damaged' | 'fatal'; readonly reason: string; readonly unknown: boolean }
export type WorkerReply = { readonly n: number } & ({ readonly result: unknown } | { readonly failure: WorkerFailure })

/** Monotonic ms, the same in every thread of this process; `performance.now()` begins with its thread. */
export function threadsNow(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
