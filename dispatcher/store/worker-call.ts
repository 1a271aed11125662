import type { Draft, VideoId } from '../../protocol/comment.js'
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

/** `unavailable`: the store's trouble, it may pass. `fatal`: trying again is of no use. */
export type WorkerFailure = { readonly kind: 'unavailable' | 'fatal'; readonly reason: string; readonly unknown: boolean }
export type WorkerReply = { readonly n: number } & ({ readonly result: unknown } | { readonly failure: WorkerFailure })

/** Monotonic ms, the same in every thread of this process; `performance.now()` begins with its thread. */
export function threadsNow(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
