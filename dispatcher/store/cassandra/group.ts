import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import type { Comment } from '../../../protocol/comment.js'
import { MAX_CURSOR, nextId } from '../../../protocol/id.js'
import { keyHash } from '../key-hash.js'
import { blank, type Outcome, type Stored, type Timed } from '../store.js'
import { newestId, type Bucket } from './bucket.js'
import { actsOf, type Chain } from './chain.js'
import type { Statement } from './cql.js'
import { placeOf, type Statements } from './statements.js'
import { actsAfter } from './video-state.js'

/** What a key's row says: the entry that it has made, by which attempt, and a hash of what was said; none where a former version
 * wrote it. */
export interface Made {
  readonly stored: Stored
  readonly attempt: string
  readonly said: string | undefined
}

/** One conditional write of a group, and what the bucket is when it was done. */
export interface Attempt {
  readonly statements: readonly Statement[]
  readonly made: ReadonlyMap<string, Stored>
  readonly bucket: Bucket
}

/** Why a video takes no comment any more. */
export const IDS_EXHAUSTED = 'IDS_EXHAUSTED'
const COMMENT_OVERHEAD_BYTES = 120
const KEY_OVERHEAD_BYTES = 100
const ACT_BYTES = 200

/** About what a draft's comment and key take. */
export function bytesOf({ content, authorId, authorName = '', key, act }: Timed): number {
  return (act ? ACT_BYTES : 0) + COMMENT_OVERHEAD_BYTES + KEY_OVERHEAD_BYTES + Buffer.byteLength(content) + 2 * Buffer.byteLength(authorId) + Buffer.byteLength(authorName) + key.length
}

/** Drafts of one video that go into one conditional write, until each has its outcome; an act goes alone. Pure but for its
 * attempts' names. */
export class Group {
  readonly #drafts: readonly Timed[]
  readonly #nowMs: number
  readonly #outcomes: Outcome[]
  /** The drafts without an outcome, by the place of their key. The first of each makes the comment. */
  readonly #open = new Map<string, number[]>()
  /** The names of our attempts, by which a comment is known to be ours. */
  readonly #attempts = new Set<string>()
  /** An attempt may have succeeded, or may still. */
  inDoubt = false

  constructor(drafts: readonly Timed[], nowMs: number) {
    this.#drafts = drafts
    this.#nowMs = nowMs
    this.#outcomes = new Array<Outcome>(drafts.length)
    drafts.forEach((draft, i) => {
      const place = placeOf(draft)
      const same = this.#open.get(place)
      if (same) same.push(i)
      else this.#open.set(place, [i])
    })
  }

  /** The places of the keys without an outcome. */
  get places(): string[] {
    return [...this.#open.keys()]
  }

  /** The only draft, where that is an act. */
  get act(): Timed['act'] {
    return this.#drafts[0]?.act
  }

  get isDone(): boolean {
    return this.#open.size === 0
  }

  /** In the order of the drafts, once it is done. */
  get outcomes(): Outcome[] {
    return this.#outcomes
  }

  /** Those whose deadline has passed make no comment, unless that is in doubt already. */
  expire(now: number): void {
    for (const [place, indexes] of this.#open) {
      const isLate = (i: number) => (this.#drafts[i]!.deadline ?? Infinity) <= now
      if (this.inDoubt || !indexes.some(isLate)) continue
      for (const i of indexes.filter(isLate)) this.#outcomes[i] = { kind: 'expired' }
      const left = indexes.filter(i => !isLate(i))
      if (left.length > 0) this.#open.set(place, left)
      else this.#open.delete(place)
    }
  }

  /** How to make an entry of each after the chain's newest. Undefined where no id is left.
   * @param pinned the comment that the act pins */
  attempt(statements: Statements, videoId: string, chain: Chain, pinned?: Comment): Attempt | undefined {
    const name = randomUUID()
    this.#attempts.add(name)
    const made = new Map<string, Stored>()
    const rows: Statement[] = []
    const { last: bucket } = chain
    let [prev, bytes] = [newestId(bucket), bucket.bytes]
    let acts = actsOf(chain)
    for (const [place, [index = 0]] of this.#open) {
      if (prev >= MAX_CURSOR) return undefined
      const draft = this.#drafts[index]!
      const { act } = draft
      const comment = this.#comment(draft, nextId(this.#nowMs, prev))
      const stored: Stored = { comment, prev, ...(act ? { act } : {}), ...(pinned ? { pinned } : {}) }
      made.set(place, stored)
      rows.push(statements.insertEntry(bucket.after, stored), statements.insertKey(bucket.after, comment, place, name, hashOf(draft)))
      if (act) {
        const isHere = act.type === 'deleted' && act.target > bucket.after
        if (isHere) rows.push(statements.blank(videoId, bucket.after, act.target, comment.id))
        acts = actsAfter(acts, act, comment.id, this.#nowMs, isHere)
      }
      prev = comment.id
      bytes += bytesOf(draft)
    }
    const first = bucket.first ?? made.values().next().value!.comment.id
    // Each bucket has them from its first entry on.
    const change = acts === bucket.acts ? undefined : acts
    return { statements: [statements.moveHead({ videoId, bucket }, prev, first, bytes, change), ...rows], made, bucket: { ...bucket, head: prev, first, bytes, acts } }
  }

  /** What the act is about forbids it. */
  refuse(outcome: Outcome): void {
    for (const index of [...this.#open.values()].flat()) this.#outcomes[index] = outcome
    this.#open.clear()
  }

  /** The attempt succeeded. */
  created(made: ReadonlyMap<string, Stored>): void {
    for (const [place, stored] of made) this.#settle(place, { stored, attempt: '', said: hashOf(this.#drafts[this.#open.get(place)![0]!]!) }, true)
    this.inDoubt = false
  }

  /** Keys that were found in the store. */
  found(keys: ReadonlyMap<string, Made>): void {
    for (const [place, made] of keys) this.#settle(place, made, this.#attempts.has(made.attempt))
  }

  /** None of the rest gets a comment by us, as far as is known. */
  end(reason: string): void {
    const kind = this.inDoubt ? 'unknown' : 'failed'
    for (const index of [...this.#open.values()].flat()) this.#outcomes[index] = { kind, reason }
    this.#open.clear()
  }

  #settle(place: string, made: Made, isOurs: boolean): void {
    this.#open.get(place)?.forEach((index, nth) => {
      const draft = this.#drafts[index]!
      this.#outcomes[index] = isOurs && nth === 0 ? { kind: 'created', ...made.stored } : outcomeOf(draft, made)
    })
    this.#open.delete(place)
  }

  #comment({ videoId, authorId, authorName, by, content, act }: Timed, id: number): Comment {
    if (act) return blank({ videoId, id, createdAt: this.#nowMs })
    return { id, videoId, authorId, ...(authorName === undefined ? {} : { authorName }), ...(by && { by }), content, createdAt: this.#nowMs }
  }
}

/** What a draft whose key has made something comes to. */
export function outcomeOf(draft: Timed, { stored: { comment, deletedBy }, said }: Made): Extract<Outcome, { kind: 'repeated' | 'reused' }> {
  const { authorId, authorName, content, act } = draft
  const isDeleted = deletedBy !== undefined
  const isSame = said === undefined ? isDeleted || (!act && content === comment.content) : said === hashOf(draft)
  if (!isSame) return { kind: 'reused' }
  return { kind: 'repeated', comment: isDeleted ? { ...comment, authorId, ...(authorName === undefined ? {} : { authorName }), content } : comment }
}

function hashOf(draft: Timed): string {
  return keyHash(draft).toString('base64')
}
