import { toEventJson, type Comment, type Draft, type VideoId } from '../../protocol/comment.js'
import { toActJson, toTombstoneJson, type Act, type VideoState } from '../../protocol/entry.js'
import { LiveError } from '../../protocol/errors.js'
import type { HeldComment, HeldId } from '../../protocol/held.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import type { WireComment } from '../../protocol/wire.js'

/** An entry as stored: with its place in the chain. It is a comment, unless `act` or `deletedBy` says otherwise. */
export interface Stored {
  /** Author and content are empty in an act and in a deleted comment. */
  readonly comment: Comment
  /** The id stored just before it in its video, 0 for the first. */
  readonly prev: Cursor
  /** What it does, where it is an act. */
  readonly act?: Act | undefined
  /** The comment that a `pinned` shows, unless that was deleted since. */
  readonly pinned?: Comment | undefined
  /** The act that deleted it, where it is a deleted comment. */
  readonly deletedBy?: CommentId | undefined
}

/** A draft of a comment, or of an act, on its way into the store. */
export interface Timed extends Draft {
  /** Monotonic ms of this process: once it has passed, nobody waits for the comment any more, and it must not be made. */
  readonly deadline?: number | undefined
  /** As the comment will have it. */
  readonly by?: Comment['by']
  /** Of an act: the author is the actor, the content is empty, and the key is the actor's. */
  readonly act?: Act | undefined
  /** What a review came to. `publish` makes a comment, unless the key's comment is held or was refused before; `hold` keeps it for a
   * moderator, unless the key has made a comment. `approve` makes a comment of one that is held. Undefined where posts are not
   * reviewed: held comments are not looked at. */
  readonly review?: 'publish' | 'hold' | 'approve' | undefined
}

/** What became of one draft: a new entry, the entry that its key had made before, a key that had been used with
 * other content, an act upon a comment that is not there, a comment that is held or that a moderator has refused, or nothing, as its deadline had passed when the transaction
 * began, or as this draft could not be stored; or nobody can say. A comment that is deleted twice is `repeated`, with the
 * first act. A post whose comment was deleted is `repeated` with what it has said itself. */
export type Outcome =
  | ({ readonly kind: 'created' } & Stored)
  | { readonly kind: 'repeated'; readonly comment: Comment }
  | { readonly kind: 'reused' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'held' }
  /** @property reason the moderator's, for the poster */
  | { readonly kind: 'refused'; readonly reason?: string | undefined }
  | { readonly kind: 'expired' }
  /** @property reason a code, such as SQLite's of a damaged page or `IDS_EXHAUSTED` */
  | { readonly kind: 'failed'; readonly reason: string }
  /** It may have been stored, or may be later: a retry with the same key reveals the outcome.
   * @property reason in words, for an operator */
  | { readonly kind: 'unknown'; readonly reason: string }

/** What a video's acts have come to. */
export interface StoredState extends VideoState {
  /** The video's newest id then. */
  readonly head: Cursor
  /** Until when an author may not post, Unix ms, for those whose ban has not ended. */
  readonly bans: ReadonlyMap<string, number>
  /** Comments that were deleted, and whose content has not been erased yet. */
  readonly unerased: readonly CommentId[]
}

/** A comment that is held, or was until a moderator decided. It is kept for a day after that, without its content. */
export interface Held extends HeldComment {
  readonly key: string
  /** A hash of what was said, in hexadecimal: `saidOf`. */
  readonly said: string
  /** Undefined while it waits. */
  readonly decided?: { readonly approved: CommentId } | { readonly refused: true; readonly reason?: string | undefined } | undefined
}

/** What a video has that its web hook has not been sent. */
export interface Unsent {
  /** All entries above it; undefined where none has been stored for a hook. */
  readonly after: Cursor | undefined
  /** Held comments as they are now, where that is news to the hook. */
  readonly held: readonly Held[]
}

/** What the web hook has been sent and has taken. */
export interface Taken {
  /** The newest entry of each video: all below it are taken, too. */
  readonly entries: ReadonlyMap<VideoId, CommentId>
  /** As they were sent. */
  readonly held: readonly Held[]
}

/** Videos with something for the web hook, as far as a search has come. */
export interface UnsentVideos {
  readonly videoIds: readonly VideoId[]
  /** Opaque: where the search goes on; undefined when it is over. */
  readonly after: string | undefined
}

/** Where a comment is. */
export interface Place {
  readonly videoId: VideoId
  readonly id: CommentId
}

/** An author's comments, as far as a search has come. */
export interface Found {
  readonly places: readonly Place[]
  /** Opaque: where the search goes on; undefined when it is over. */
  readonly after: string | undefined
}

/** Entries with after < id ≤ until. */
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

/** Where comments, and acts upon them, are kept, and the referee of their order: whoever stores, and however many at once, an id is
 * given in the same atomic step that checks the key, so id order is commit order and nothing is ever stored
 * below an id that anyone has read. test/dispatcher/store-contract.ts holds every store to what is said here. */
export interface Store {
  /** Opaque. It changes when a backup takes the store's place: what was read of another generation may be missing in
   * this one. Undefined where the store has none, or cannot be used. */
  readonly generation: string | undefined
  /** Undefined: one of each. */
  readonly atOnce?: AtOnce | undefined

  /** One outcome a draft. Makes each an entry, in order: id = nextId(nowMs, last id of its video), createdAt = nowMs. Several
   * drafts of one video and one key several times are fine. One whose deadline has passed by the time the transaction
   * begins makes none, and one that cannot be stored for a reason of its own leaves the others as they are. What has an
   * outcome is on disk when it resolves, whatever is unknown of the rest. It answers within 2 s. From the act that deletes a
   * comment on, nobody reads its author, name or content; `erase` takes them from the disk. A key remembers a hash of
   * what was said, never the content.
   * @param nowMs wall clock of the accepting dispatcher, Unix ms
   * @throws StoreUnavailableError when none of it was committed, or when nobody can say of any whether it was */
  append(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]>

  /** The comment, or the act, that the draft's key has made, undefined where it has made none or one of other content; sees what
   * `page` sees. @throws StoreUnavailableError */
  madeBy(draft: Timed): Promise<Comment | undefined>

  /** Sees every append that had resolved, to anyone, when it was called.
   * @throws StoreUnavailableError, with the video where the others can be read */
  page(videoId: VideoId, range: Range): Promise<Stored[]>

  /** The newest id of each, 0 for an empty video; cheap for many at once. Sees what `page` sees. A video that
   * cannot be read, or not in time, is absent. @throws StoreUnavailableError where none can */
  lastIds(videoIds: readonly VideoId[]): Promise<ReadonlyMap<VideoId, Cursor>>

  /** What each video's acts have come to; sees what `page` sees. A video that cannot be read, or not in time, is absent.
   * @param nowMs wall clock, Unix ms: bans that ended before do not count
   * @throws StoreUnavailableError where none can */
  state(videoIds: readonly VideoId[], nowMs: number): Promise<ReadonlyMap<VideoId, StoredState>>

  /** Takes the content, author and name of a comment that an act has deleted from the disk, as far as the store can; may be
   * repeated. @throws StoreUnavailableError: it is to be repeated */
  erase(videoId: VideoId, target: CommentId): Promise<void>

  /** When the author last posted in the video, Unix ms; undefined where that is longer ago than a slow mode lasts. A comment that
   * was deleted need not count. @throws StoreUnavailableError */
  lastPostedAt(videoId: VideoId, authorId: string): Promise<number | undefined>

  /** Some of an author's comments in all videos, those that are deleted left out. One call looks at a bounded part of the store,
   * and may find none. @param after of the call before; undefined: from the start @throws StoreUnavailableError */
  commentsBy(authorId: string, after: string | undefined): Promise<Found>

  /** The oldest comments of the video that wait for a moderator, at most `limit`. @throws StoreUnavailableError */
  heldIn(videoId: VideoId, limit: number): Promise<HeldComment[]>

  /** Undefined where nothing of that id is held, or was within the last day. @throws StoreUnavailableError */
  held(videoId: VideoId, id: HeldId): Promise<Held | undefined>

  /** Ends a comment's wait without a comment, and takes its content from what anyone can read.
   * @returns what is there afterwards: it may have been decided before. Undefined as for `held`
   * @throws StoreUnavailableError: it may be repeated */
  refuseHeld(videoId: VideoId, id: HeldId, reason: string | undefined, nowMs: number): Promise<Held | undefined>

  /** Deletes all that is held of an author in all videos, decided or not. @returns how many comments waited
   * @throws StoreUnavailableError: it is to be repeated */
  eraseHeld(authorId: string): Promise<number>

  /** What the web hook has not been sent of a video, at most `limit` held comments. A handle that was opened for a hook notes in the
   * step that stores an entry, holds a comment or decides about one that this is to be sent: nothing that was acknowledged gets
   * lost, and what was stored before that is not sent. @throws StoreUnavailableError */
  unsent(videoId: VideoId, limit: number): Promise<Unsent>

  /** Some of the videos that have something for the hook. One call looks at a bounded part of the store, and may find none.
   * @param after of the call before; undefined: from the start
   * @param isOurs others may be left out @throws StoreUnavailableError */
  unsentVideos(after: string | undefined, isOurs: (videoId: VideoId) => boolean): Promise<UnsentVideos>

  /** From now on this is not sent any more, by anyone. What was taken before stays so, and an id above its video's newest counts for
   * nothing. A held comment that was decided since is still to be sent. @throws StoreUnavailableError: it may be repeated */
  noteTaken(taken: Taken): Promise<void>

  close(): Promise<void>
}

/** The store could not do it: locked, full, read-only, away. Tried again later it may. */
export class StoreUnavailableError extends LiveError {
  /** For an operator: SQLite's code, the file system's, or some words, Cassandra's among them. */
  readonly reason: string
  /** It may have committed all the same: a retry with the same key reveals the outcome. */
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

/** For what can do without the store's answer. @throws what is not a StoreUnavailableError */
export function unlessUnavailable(error: unknown): undefined {
  if (!(error instanceof StoreUnavailableError)) throw error
}

/** A stored entry as the parts say it to each other: its JSON is made here, once. */
export function toWire(stored: Stored): WireComment {
  const { comment, prev } = stored
  return { videoId: comment.videoId, prev, id: comment.id, json: toJson(stored) }
}

function toJson({ comment, act, pinned, deletedBy }: Stored): string {
  if (act) return toActJson(comment.id, act, pinned)
  return deletedBy === undefined ? toEventJson(comment) : toTombstoneJson(comment.id, comment.createdAt)
}

/** What is shown of an act, and left of a deleted comment, where a comment is expected. */
export function blank({ videoId, id, createdAt }: Pick<Comment, 'videoId' | 'id' | 'createdAt'>): Comment {
  return { id, videoId, authorId: '', content: '', createdAt }
}
