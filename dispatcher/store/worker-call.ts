import type { Draft, VideoId } from '../../protocol/comment.js'
import type { Cursor } from '../../protocol/id.js'
import type { Range, Timed } from './store.js'

/** What SqliteStore and its threads say to each other. Deadlines are in `threadsNow`. */

export interface WorkerSettings {
  readonly path: string
  /** How long a call tries to get past another connection's lock. */
  readonly deadlineMs: number
}

export type Operation =
  | { readonly kind: 'open' }
  | { readonly kind: 'append'; readonly drafts: readonly Timed[]; readonly nowMs: number }
  | { readonly kind: 'madeBy'; readonly draft: Draft }
  | { readonly kind: 'page'; readonly videoId: VideoId; readonly range: Range }
  | { readonly kind: 'lastIds'; readonly videoIds: readonly VideoId[] }
  | { readonly kind: 'close' }

export type WorkerRequest = { readonly n: number; readonly operation: Operation }

/** What a `lastIds` answers with. */
export interface LastIds {
  readonly ids: ReadonlyMap<VideoId, Cursor>
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
