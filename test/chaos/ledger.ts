import type { Act } from '../../protocol/entry.js'

/** One comment that a poster means to post, and what became of it. Times are of this process: `performance.now()`. */
export interface Post {
  /** Idempotency key, and the beginning of its content. */
  readonly key: string
  readonly videoId: string
  readonly content: string
  readonly begunAt: number
  /** Every try, in order. */
  readonly tries: Try[]
  /** When its 201 came. */
  acknowledgedAt: number | undefined
  /** As the 201 told it. */
  id: number | undefined
  /** Given up, or refused for good. */
  failed: boolean
  /** Not tried again after the answer that its video's home cannot be reached. */
  left: boolean
}

export interface Try {
  readonly at: number
  readonly gateway: string
  /** The status answered, or why there was no answer; undefined while under way. */
  outcome: string | undefined
}

/** What a moderator means to do, and what became of it. */
export interface ActNote {
  readonly key: string
  readonly videoId: string
  readonly act: Act
  readonly begunAt: number
  /** Of every try, in order: a code, or why there was no answer. */
  readonly outcomes: string[]
  doneAt: number | undefined
  /** Of the act, as it was answered. */
  id: number | undefined
  /** Given up. */
  failed: boolean
}

/** All that was ever posted and done in a run. */
export class Ledger {
  readonly #byKey = new Map<string, Post>()
  readonly #acts: ActNote[] = []
  readonly #deletions = new Map<string, ActNote>()
  #acknowledged = 0

  add(videoId: string, key: string, content: string): Post {
    const post: Post = { key, videoId, content, begunAt: performance.now(), tries: [], acknowledgedAt: undefined, id: undefined, failed: false, left: false }
    this.#byKey.set(key, post)
    return post
  }

  acknowledge(post: Post, id: number): void {
    post.acknowledgedAt = performance.now()
    post.id = id
    this.#acknowledged++
  }

  /** The post a comment of that content came of; undefined: nobody here posted that. */
  ofContent(videoId: string, content: string): Post | undefined {
    const post = this.#byKey.get(content.split(' ', 1)[0]!)
    return post?.videoId === videoId && post.content === content ? post : undefined
  }

  addAct(videoId: string, key: string, act: Act): ActNote {
    const note: ActNote = { key, videoId, act, begunAt: performance.now(), outcomes: [], doneAt: undefined, id: undefined, failed: false }
    this.#acts.push(note)
    if (act.type === 'deleted') this.#deletions.set(`${videoId} ${act.target}`, note)
    return note
  }

  done(note: ActNote, id: number): void {
    note.doneAt = performance.now()
    note.id = id
  }

  acts(): readonly ActNote[] {
    return this.#acts
  }

  /** Who has begun to delete the comment. */
  deletionOf(videoId: string, id: number): ActNote | undefined {
    return this.#deletions.get(`${videoId} ${id}`)
  }

  posts(): IterableIterator<Post> {
    return this.#byKey.values()
  }

  get size(): number {
    return this.#byKey.size
  }

  get acknowledged(): number {
    return this.#acknowledged
  }
}
