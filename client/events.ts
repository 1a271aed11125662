import type { Comment } from './history.js'
import type { Refusal } from './requests.js'

/** Comments that were not delivered: those in (from, to]. */
export interface Gap {
  readonly from: string
  readonly to: string
}

/** Comments that were left out, since fewer were asked for: all in (from, to]. */
export interface Skipped extends Gap {
  readonly count: number
}

/** What a video's moderators have set. */
export interface Settings {
  /** The least time between two comments of one author, s; 0: none. */
  readonly slowModeSeconds: number
  /** Nobody but moderators may write. */
  readonly closed: boolean
  /** Only those whom a token names may write. */
  readonly signedInOnly: boolean
}

/** A comment on its way. */
export interface Post {
  /** The idempotency key of each try. */
  readonly key: string
  readonly content: string
  /** Where no token names the author. */
  readonly authorId?: string
  /** When it was written, Unix ms. */
  readonly at: number
  /** Why the last try failed; it is tried again. */
  readonly error?: Error
}

/** How the stream is. */
export type State =
  | { readonly is: 'connecting' }
  /** What was missed is on its way. */
  | { readonly is: 'catching up' }
  | { readonly is: 'live' }
  /** It is tried again after `againMs`. */
  | { readonly is: 'lost'; readonly error: Error; readonly againMs: number }
  /** As `lost`, and the machine says that it has no network. */
  | { readonly is: 'offline'; readonly error: Error; readonly againMs: number }
  /** Nobody sees the page: it has no stream until somebody does. */
  | { readonly is: 'hidden' }
  /** The server will not have it: nothing is tried before `retry()`. */
  | { readonly is: 'refused'; readonly error: Refusal }
  | { readonly is: 'closed' }

export interface CommentsEvents {
  /** Each comment once, in ascending order. `live`: it was written just now, and is not a replay. */
  comment: [comment: Comment, live: boolean]
  /** The comments in (from, to] are missing here: too many, or history could not be read. `page` may have them. */
  gap: [gap: Gap]
  /** So many comments are not shown, as `maxRate` asks. `page` has them. */
  skipped: [skipped: Skipped]
  /** The server's store went back to an older state: comments above `to` no longer exist, and new ones follow it. */
  rewind: [gap: Gap]
  /** The comment of this id is no more: take it away. */
  deleted: [id: string]
  /** The comment that stands above the others, if there is one. */
  pinned: [comment: Comment | undefined]
  settings: [settings: Settings]
  /** How many watch the video. */
  viewers: [count: number]
  state: [state: State]
  /** What is being sent, in this order. */
  posts: [posts: readonly Post[]]
  /** The server has refused a post, also one of last time. It is dropped. */
  refused: [post: Post, refusal: Refusal]
}

/** Tells the listeners. */
export type Tell = <Name extends keyof CommentsEvents>(name: Name, ...told: CommentsEvents[Name]) => void
