import type { VideoId } from '../protocol/comment.js'
import { erased } from '../protocol/entry.js'
import type { CommentId, Cursor } from '../protocol/id.js'
import type { RoomAnswer, SyncRequest, WireComment } from '../protocol/wire.js'

/** Comments that came before the ones they follow, kept while the hole is filled. */
const MAX_ASIDE = 100

export interface ChainListener {
  /** It stands at this id now, and goes on from there. */
  readonly opened: (at: Cursor) => void
  readonly appended: (comment: WireComment) => void
  /** The store no longer has what lies above `to`, where it stands now; it stood at `from`. */
  readonly restarted: (from: Cursor, to: Cursor) => void
}

/** A room's comments in the order of commit, without a hole, whatever order and however often they come (rule 6).
 * It says what it appends; it keeps only its place. */
export class Chain {
  readonly videoId: VideoId
  /** False until a sync has said where the video stands: before that nothing can be appended. */
  open = false
  last: Cursor = 0
  /** The highest id heard of. */
  want: Cursor = 0
  /** The store has, or had, a comment `last`. False where a viewer's cursor opened the chain: any number may come as one. */
  #isComment = true
  /** By the id that they follow. */
  readonly #aside = new Map<Cursor, WireComment>()
  /** The newest request, until it is answered: only its answer opens the chain or lowers `want`. */
  #asked: SyncRequest | undefined
  /** The highest id heard of since that request was made. */
  #heard: Cursor = 0
  readonly #listener: ChainListener

  constructor(videoId: VideoId, listener: ChainListener) {
    this.videoId = videoId
    this.#listener = listener
  }

  /** Nobody kept it up to date for a while: it opens again where a new sync says. */
  reopen(): void {
    this.open = false
    this.#asked = undefined
  }

  /** There are comments above `last` that did not come: sync. */
  get behind(): boolean {
    return this.want > this.last
  }

  /** @returns whether it was appended, kept aside, or known already */
  deliver(comment: WireComment): 'appended' | 'aside' | 'known' {
    if (this.open && comment.id <= this.last) return 'known'
    this.hint(comment.id)
    if (this.open && comment.prev === this.last) {
      this.#take(comment)
      this.#takeAside()
      return 'appended'
    }
    if (this.#aside.size >= MAX_ASIDE) this.#aside.delete(this.#aside.keys().next().value!)
    this.#aside.set(comment.prev, comment)
    return 'aside'
  }

  /** A comment is deleted: what is kept aside does not hold it any longer. */
  erase(target: CommentId): void {
    for (const [prev, entry] of this.#aside) {
      const json = erased(this.videoId, entry.id, entry.json, target)
      if (json !== undefined) this.#aside.set(prev, { ...entry, json })
    }
  }

  hint(id: CommentId): void {
    this.want = Math.max(this.want, id)
    this.#heard = Math.max(this.#heard, id)
  }

  /** What to ask a dispatcher. @param from where to open; undefined asks for the head alone */
  request(from?: Cursor): SyncRequest {
    const last = this.open ? this.last : from
    const request = { videoId: this.videoId, last, want: this.want > (last ?? 0) ? this.want : undefined }
    this.#asked = request
    this.#heard = 0
    return request
  }

  /** Takes the answer to `asked`: every comment in (asked.last, the answer's last]. An answer to what was asked
   * before the chain was reopened opens nothing. @returns how many were appended */
  answer(asked: SyncRequest, answer: RoomAnswer): number {
    const isNewest = asked === this.#asked
    if (isNewest) this.#asked = undefined // a question has one answer
    if (!this.open) {
      if (!isNewest) return 0
      this.#openAt(asked, answer)
    }
    // Only the store, read to the end, can say that nothing is there; and not of what was heard of since.
    const isFinal = isNewest && answer.from === 'store' && !answer.more
    // All that is delivered was on disk first: a store without it is another one, such as a backup that was put back.
    if (isFinal && asked.last === this.last && answer.head < this.last) {
      this.#restart(answer.head)
      return 0
    }
    let appended = 0
    if (asked.last !== undefined && asked.last <= this.last) {
      for (const comment of answer.comments) {
        if (comment.id <= this.last) continue
        if (comment.prev < this.last && this.#isComment) this.#restart(comment.prev) // the store's chain passes by where we stand
        this.#take(comment)
        appended++
      }
    }
    this.#takeAside()
    this.want = Math.max(this.want, answer.head)
    if (isFinal) this.want = Math.max(answer.head, this.last, this.#heard)
    return appended
  }

  /** Begins anew where the store's chain has us: what it stores from now on may have lower ids than ours. */
  #restart(at: Cursor): void {
    const from = this.last
    this.last = at
    this.#isComment = true
    this.want = at
    this.#heard = 0
    this.#aside.clear()
    this.#listener.restarted(from, at)
  }

  /** Opens where it was asked to if the answer reaches from there to the head, else at the head. */
  #openAt(asked: SyncRequest, answer: RoomAnswer): void {
    this.open = true
    const at = asked.last !== undefined && !answer.more && answer.head >= asked.last ? asked.last : answer.head
    this.#isComment = at === answer.head || (at === this.last && this.#isComment)
    this.last = at
    this.#listener.opened(this.last)
  }

  #take(comment: WireComment): void {
    this.last = comment.id
    this.#isComment = true
    this.want = Math.max(this.want, comment.id)
    this.#listener.appended(comment)
  }

  #takeAside(): void {
    for (let next = this.#aside.get(this.last); next; next = this.#aside.get(this.last)) this.#take(next)
    for (const [prev, comment] of this.#aside) if (comment.id <= this.last) this.#aside.delete(prev)
  }
}
