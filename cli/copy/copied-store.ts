import type { VideoId } from '../../protocol/comment.js'
import type { HeldId } from '../../protocol/held.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import type { Held } from '../../dispatcher/store/store.js'

/** What a column holds. */
export type Value = string | number | Buffer

/** One row of a video's order, as a store has it. */
export interface Row {
  readonly id: CommentId
  /** The id before it, 0 for the first. */
  readonly prev: Cursor
  /** All else that is stored of it, by column; an empty column is absent. */
  readonly columns: Readonly<Record<string, Value>>
}

/** The idempotency key that made a comment. */
export interface Key {
  readonly authorId: string
  readonly key: string
  /** A hash of what was said under it, in base64; absent where the store keeps none. */
  readonly said?: string
}

/** What the acts upon a video have come to, in JSON's terms. */
export interface VideoState {
  readonly settings?: object
  /** The pinned comment's id. */
  readonly pinned?: number
  /** Until when an author may not post, Unix ms. */
  readonly bans: Readonly<Record<string, number>>
}

/** How far a web hook has been sent a video. */
export interface HookPlace {
  /** All entries above it are to be sent; undefined where none has been stored for a hook. */
  readonly after: Cursor | undefined
  /** Whether there is one, and the hook finds it by itself. */
  readonly isDue: boolean
  /** Held comments of which it is still to be sent that they wait, or what was decided; in ascending order. */
  readonly held: readonly HeldId[]
}

/** A store as it is copied: rows as they are, whatever they mean. */
export interface CopiedStore {
  /** Random, made with the store. */
  readonly id: string
  /** For people. */
  readonly name: string
  /** The columns that a row may have. */
  readonly columns: ReadonlySet<string>

  /** All videos that have rows, or of which something is held. @throws Error of the store's */
  videos(): Promise<readonly VideoId[]>
  /** How many rows there are; undefined where nobody counts them. */
  count(): Promise<number | undefined>
  /** The newest id of the video, 0 where it has none. */
  lastId(videoId: VideoId): Promise<Cursor>
  /** Pages of the rows with after < id ≤ until, in ascending order. */
  rows(videoId: VideoId, after: Cursor, until: Cursor): AsyncIterable<readonly Row[]>
  /** The keys that it still has, by the id that each has made. */
  keys(videoId: VideoId): Promise<ReadonlyMap<CommentId, Key>>
  /** Undefined where nothing has been done to the video, or the store knows no acts. */
  state(videoId: VideoId): Promise<VideoState | undefined>
  /** @throws UnknownColumnError where the store knows no acts */
  setState(videoId: VideoId, state: VideoState): Promise<void>
  /** Replaces rows, of which nothing but what is in them has changed. */
  amend(videoId: VideoId, rows: readonly Row[]): Promise<void>
  /** Writes rows, and their keys, after the newest one: all of a page or its beginning, if it fails.
   * @param after the newest id there, as the caller knows it
   * @throws OtherRowsError where the video has another newest id */
  append(videoId: VideoId, after: Cursor, rows: readonly Row[], keys: ReadonlyMap<CommentId, Key>): Promise<void>
  /** What is held of the video, and what was decided within a day or so, in the order in which it was held. */
  held(videoId: VideoId): Promise<readonly Held[]>
  /** Puts or replaces held comments, in order, and deletes others. What was decided is kept for a day or so from now on.
   * @param isHooked a web hook may still have to be sent what was decided
   * @throws UnknownColumnError where the store knows none */
  setHeld(videoId: VideoId, changed: readonly Held[], gone: readonly HeldId[], isHooked: boolean): Promise<void>
  /** All videos of which a web hook has been sent something, or is to be. */
  hookedVideos(): Promise<readonly VideoId[]>
  hookPlace(videoId: VideoId): Promise<HookPlace>
  /** @param place not below the one that is there
   * @param lastId the newest id of the video
   * @throws UnknownColumnError where the store knows no hooks */
  setHookPlace(videoId: VideoId, place: HookPlace, lastId: Cursor): Promise<void>
  close(): Promise<void>
}

/** What is at the target is no beginning of what is at the source. */
export class OtherRowsError extends Error {
  override readonly name = 'OtherRowsError'

  constructor(readonly videoId: VideoId) {
    super(`video ${videoId} has other comments`)
  }
}

/** Something of the source that the target has no place for. */
export class UnknownColumnError extends Error {
  override readonly name = 'UnknownColumnError'

  constructor(store: string, what: string) {
    super(`${store} has no place for ${what}: its tables are of an older version`)
  }
}

/** What has been written is not what was read. */
export class UnlikeError extends Error {
  override readonly name = 'UnlikeError'
}

/** A page of rows. */
export const PAGE = 500
