import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import type { Comment } from '../../../protocol/comment.js'
import { MAX_CURSOR, nextId } from '../../../protocol/id.js'
import type { Outcome, Stored, Timed } from '../store.js'
import { newestId, type Bucket } from './bucket.js'
import type { Statement } from './cql.js'
import { placeOf, type Statements } from './statements.js'

/** What a key's row says: the comment that it has made, and by which attempt. */
export interface Made {
  readonly stored: Stored
  readonly attempt: string
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

/** About what a draft's comment and key take. */
export function bytesOf({ content, authorId, authorName = '', key }: Timed): number {
  return COMMENT_OVERHEAD_BYTES + KEY_OVERHEAD_BYTES + Buffer.byteLength(content) + 2 * Buffer.byteLength(authorId) + Buffer.byteLength(authorName) + key.length
}

/** Drafts of one video that go into one conditional write, until each has its outcome. Pure but for its attempts' names. */
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

  /** How to make a comment of each after the bucket's newest. Undefined where no id is left. */
  attempt(statements: Statements, videoId: string, bucket: Bucket): Attempt | undefined {
    const name = randomUUID()
    this.#attempts.add(name)
    const made = new Map<string, Stored>()
    const rows: Statement[] = []
    let [prev, bytes] = [newestId(bucket), bucket.bytes]
    for (const [place, [index = 0]] of this.#open) {
      if (prev >= MAX_CURSOR) return undefined
      const draft = this.#drafts[index]!
      const stored = { comment: this.#comment(draft, nextId(this.#nowMs, prev)), prev }
      made.set(place, stored)
      rows.push(statements.insertComment(bucket.after, stored), statements.insertKey(bucket.after, stored.comment, place, name))
      prev = stored.comment.id
      bytes += bytesOf(draft)
    }
    const first = bucket.first ?? made.values().next().value!.comment.id
    return { statements: [statements.moveHead({ videoId, bucket }, prev, first, bytes), ...rows], made, bucket: { ...bucket, head: prev, first, bytes } }
  }

  /** The attempt succeeded. */
  created(made: ReadonlyMap<string, Stored>): void {
    for (const [place, stored] of made) this.#settle(place, stored, true)
    this.inDoubt = false
  }

  /** Keys that were found in the store. */
  found(keys: ReadonlyMap<string, Made>): void {
    for (const [place, { stored, attempt }] of keys) this.#settle(place, stored, this.#attempts.has(attempt))
  }

  /** None of the rest gets a comment by us, as far as is known. */
  end(reason: string): void {
    const kind = this.inDoubt ? 'unknown' : 'failed'
    for (const index of [...this.#open.values()].flat()) this.#outcomes[index] = { kind, reason }
    this.#open.clear()
  }

  #settle(place: string, stored: Stored, isOurs: boolean): void {
    const { comment } = stored
    this.#open.get(place)?.forEach((index, nth) => {
      const isSame = this.#drafts[index]!.content === comment.content
      this.#outcomes[index] = !isSame ? { kind: 'reused' } : isOurs && nth === 0 ? { kind: 'created', ...stored } : { kind: 'repeated', comment }
    })
    this.#open.delete(place)
  }

  #comment({ videoId, authorId, authorName, content }: Timed, id: number): Comment {
    return { id, videoId, authorId, ...(authorName === undefined ? {} : { authorName }), content, createdAt: this.#nowMs }
  }
}
