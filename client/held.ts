/** The answer to a post about which a moderator is to decide. The comment comes with the stream once it is approved. */
export interface Held {
  readonly held: true
}

/** A comment that waits for a moderator. */
export interface HeldComment {
  /** Of `decide`. The comment gets another one. */
  readonly id: string
  readonly authorId: string
  /** The author's display name, if the poster's token had one. */
  readonly authorName?: string
  readonly content: string
  /** Unix ms. */
  readonly heldAt: number
}
