import { ANONYMOUS, type VideoId } from '../../protocol/comment.js'
import { DEFAULT_SETTINGS, type Act, type Settings } from '../../protocol/entry.js'
import type { ErrorCode } from '../../protocol/errors.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import type { Landed } from './disk.js'

/** What `ready` shows of a video beside its comments. */
export interface Shown {
  readonly settings: Settings
  readonly pinned: CommentId | undefined
}

/** Posts that acts forbid for a while. Times are virtual ms. */
export interface Prohibition {
  readonly code: ErrorCode
  /** Undefined: everybody. */
  readonly authorId: string | undefined
  /** The least time between two comments of an author, where that is what it demands. */
  readonly slowMs: number
  readonly by: CommentId
  readonly from: number
  to: number
}

/** One video in the order of commit, as the judge knows it: what each entry said, what was deleted since, and what the acts
 * had come to after each of them. */
export class Chronicle {
  readonly videoId: VideoId
  readonly prohibitions: Prohibition[] = []
  readonly #entries = new Map<CommentId, Landed>()
  /** Ids of all acts, ascending. */
  readonly #acts: CommentId[] = []
  /** After each act; the first is from before any. */
  readonly #states: { readonly from: Cursor; readonly shown: Shown }[] = [{ from: 0, shown: { settings: DEFAULT_SETTINGS, pinned: undefined } }]
  /** The first act that deleted each. */
  readonly #deletedBy = new Map<CommentId, CommentId>()
  /** When an answer first said that the entry is stored. */
  readonly #answeredAt = new Map<CommentId, number>()
  readonly #lastBy = new Map<string, Landed>()

  constructor(videoId: VideoId) {
    this.videoId = videoId
  }

  at(id: CommentId): Landed | undefined {
    return this.#entries.get(id)
  }

  actAt(id: CommentId): Act | undefined {
    return this.#entries.get(id)?.draft.act
  }

  isComment(id: CommentId): boolean {
    return this.#entries.has(id) && !this.actAt(id)
  }

  /** Whether viewers see it. A ban is kept from them. */
  isShown(id: CommentId): boolean {
    return this.actAt(id)?.type !== 'author-banned'
  }

  isDeleted(id: CommentId): boolean {
    return this.#deletedBy.has(id)
  }

  /** When its deletion was stored; Infinity: it was not. */
  deletedAt(id: CommentId): number {
    return this.#entries.get(this.#deletedBy.get(id) ?? -1)?.at ?? Infinity
  }

  /** How many acts that viewers do not see lie in (after, until]. */
  hidden(after: Cursor, until: Cursor): number {
    return this.#acts.filter(id => id > after && id <= until && !this.isShown(id)).length
  }

  /** How many acts and deleted comments. */
  notComments(after: Cursor, until: Cursor): number {
    const within = (id: CommentId) => id > after && id <= until
    return this.#acts.filter(within).length + [...this.#deletedBy.keys()].filter(within).length
  }

  answered(id: CommentId, now: number): void {
    if (!this.#answeredAt.has(id)) this.#answeredAt.set(id, now)
  }

  answeredAt(id: CommentId): number {
    return this.#answeredAt.get(id) ?? Infinity
  }

  /** When the comment's deletion was answered; Infinity: it was not. */
  erasedAt(id: CommentId): number {
    return this.answeredAt(this.#deletedBy.get(id) ?? -1)
  }

  /** The author's comment before the next. */
  lastBy(authorId: string): Landed | undefined {
    return this.#lastBy.get(authorId)
  }

  /** What the acts have come to by `at`, and then by each act since. */
  *statesFrom(at: Cursor): Iterable<Shown> {
    const first = this.#states.findLastIndex(({ from }) => from <= at)
    for (const { shown } of this.#states.slice(first)) yield shown
  }

  /** @param wallAt0 what the wall clocks say at 0, Unix ms */
  add(landed: Landed, wallAt0: number): void {
    const { id, draft } = landed
    this.#entries.set(id, landed)
    if (draft.act) this.#act(landed, draft.act, wallAt0)
    else if (draft.authorId !== ANONYMOUS) this.#lastBy.set(draft.authorId, landed)
  }

  #act({ id, at }: Landed, act: Act, wallAt0: number): void {
    this.#acts.push(id)
    const { shown } = this.#states.at(-1)!
    const forbid = (prohibition: Pick<Prohibition, 'code'> & Partial<Prohibition>) => this.prohibitions.push({ authorId: undefined, slowMs: 0, by: id, from: at, to: Infinity, ...prohibition })
    const end = (over: (prohibition: Prohibition) => boolean) => {
      for (const prohibition of this.prohibitions) if (prohibition.to > at && over(prohibition)) prohibition.to = at
    }
    switch (act.type) {
      case 'deleted':
        if (!this.#deletedBy.has(act.target)) this.#deletedBy.set(act.target, id)
        if (shown.pinned === act.target) this.#states.push({ from: id, shown: { ...shown, pinned: undefined } })
        return
      case 'pinned':
        return void this.#states.push({ from: id, shown: { ...shown, pinned: act.target } })
      case 'settings': {
        const { closed, slowModeSeconds } = act.settings
        this.#states.push({ from: id, shown: { ...shown, settings: act.settings } })
        end(({ authorId }) => authorId === undefined)
        if (closed) forbid({ code: 'COMMENTS_CLOSED' })
        if (slowModeSeconds > 0) forbid({ code: 'SLOW_MODE', slowMs: 1_000 * slowModeSeconds })
        return
      }
      case 'author-banned':
        end(({ authorId }) => authorId === act.authorId)
        if (act.until > 0) forbid({ code: 'BANNED', authorId: act.authorId, to: act.until - wallAt0 })
        return
    }
  }
}
