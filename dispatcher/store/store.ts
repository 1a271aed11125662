import { toEventJson, type Comment, type Draft, type VideoId } from '../../protocol/comment.js'
import { LiveError } from '../../protocol/errors.js'
import type { Cursor } from '../../protocol/id.js'
import type { WireComment } from '../../protocol/wire.js'

/** A comment as stored: with its place in the chain. */
export interface Stored {
  readonly comment: Comment
  /** The id stored just before it in its video, 0 for the first. */
  readonly prev: Cursor
}

/** A draft on its way into the store. */
export interface Timed extends Draft {
  /** Monotonic ms of this process: once it has passed, nobody waits for the comment any more, and it must not be made. */
  readonly deadline?: number | undefined
}

/** What became of one draft: a new comment, the comment that its key had made before, a key that had been used with
 * other content, or nothing, as its deadline had passed when the transaction began, or as this draft could not be stored;
 * or nobody can say. */
export type Outcome =
  | { readonly kind: 'created'; readonly comment: Comment; readonly prev: Cursor }
  | { readonly kind: 'repeated'; readonly comment: Comment }
  | { readonly kind: 'reused' }
  | { readonly kind: 'expired' }
  /** @property reason a code, such as SQLite's of a damaged page or `IDS_EXHAUSTED` */
  | { readonly kind: 'failed'; readonly reason: string }
  /** It may have been stored, or may be later: the same key, sent again, finds out.
   * @property reason in words, for an operator */
  | { readonly kind: 'unknown'; readonly reason: string }

/** Comments with after < id ≤ until. */
export interface Range {
  readonly after: Cursor
  readonly until: Cursor
  readonly newestFirst: boolean
  readonly limit: number
}

/** How long a key is kept at least. */
export const KEY_KEPT_MS = 24 * 60 * 60 * 1000

/** How much a store does at a time. */
export interface AtOnce {
  /** Appends of different videos; 1: there is no use in more than one, and drafts of all videos share it. */
  readonly appends: number
  /** Pages. */
  readonly reads: number
}

/** Where comments are kept, and the referee of their order: whoever stores, and however many at once, an id is
 * given in the same atomic step that checks the key, so id order is commit order and nothing is ever stored
 * below an id that anyone has read. test/dispatcher/store-contract.ts holds every store to what is said here. */
export interface Store {
  /** Opaque. It changes when a backup takes the store's place: what was read of another generation may be missing in
   * this one. Undefined where the store has none, or cannot be used. */
  readonly generation: string | undefined
  /** Undefined: one of each. */
  readonly atOnce?: AtOnce | undefined

  /** One outcome a draft. Makes each a comment, in order: id = nextId(nowMs, last id of its video), createdAt = nowMs. Several
   * drafts of one video and one key several times are fine. One whose deadline has passed by the time the transaction
   * begins makes none, and one that cannot be stored for a reason of its own leaves the others as they are. What has an
   * outcome is on disk when it resolves, whatever is unknown of the rest. It answers within 2 s.
   * @param nowMs wall clock of the accepting dispatcher, Unix ms
   * @throws StoreUnavailableError when none of it was committed, or when nobody can say of any whether it was */
  append(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]>

  /** The comment that the draft's key has made, undefined where it has made none or one of other content; sees what
   * `page` sees. @throws StoreUnavailableError */
  madeBy(draft: Draft): Promise<Comment | undefined>

  /** Sees every append that had resolved, to anyone, when it was called.
   * @throws StoreUnavailableError, with the video where the others can be read */
  page(videoId: VideoId, range: Range): Promise<Stored[]>

  /** The newest id of each, 0 for an empty video; cheap for many at once. Sees what `page` sees. A video that
   * cannot be read, or not in time, is absent. @throws StoreUnavailableError where none can */
  lastIds(videoIds: readonly VideoId[]): Promise<ReadonlyMap<VideoId, Cursor>>

  close(): Promise<void>
}

/** The store could not do it: locked, full, read-only, away. Tried again later it may. */
export class StoreUnavailableError extends LiveError {
  /** For an operator: SQLite's code, the file system's, or some words, Cassandra's among them. */
  readonly reason: string
  /** It may have committed all the same: the same key, sent again, finds out. */
  readonly unknown: boolean
  /** The only video that cannot be read; undefined where it is the whole store. */
  readonly videoId: VideoId | undefined

  constructor(reason: string, options: ErrorOptions & { unknown?: boolean; videoId?: VideoId | undefined } = {}) {
    super('STORE_UNAVAILABLE', `the comment store cannot be used now: ${reason}`, options)
    this.reason = reason
    this.unknown = options.unknown ?? false
    this.videoId = options.videoId
  }
}

/** A stored comment as the parts say it to each other: its JSON is made here, once. */
export function toWire({ comment, prev }: Stored): WireComment {
  return { videoId: comment.videoId, prev, id: comment.id, json: toEventJson(comment) }
}
