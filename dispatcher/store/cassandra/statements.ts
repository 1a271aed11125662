import type { Comment, Draft } from '../../../protocol/comment.js'
import { actFields, readAct, type Act } from '../../../protocol/entry.js'
import type { HeldId } from '../../../protocol/held.js'
import type { CommentId, Cursor } from '../../../protocol/id.js'
import type { Held, Stored } from '../store.js'
import type { Bucket } from './bucket.js'
import type { Row, Statement } from './cql.js'
import { KEY_TTL_S } from './schema.js'
import { printActs, type VideoActs } from './video-state.js'

/** What one attempt writes of a bucket. */
export interface Change {
  readonly videoId: string
  /** As it is known: the change is made only if nothing has changed since. */
  readonly bucket: Bucket
}

const COMMENT_COLUMNS = 'id, prev, author_id, author_name, content, created_at, entry, author_role'
export const HELD_COLUMNS = 'id, author_id, author_name, content, key, said, held_at, decided'
const BUCKET_COLUMNS = 'head, first, bytes, next, fence, acts'
/** What `decided` says between a moderator's word and the comment. */
export const APPROVING = '{"approving":true}'
/** An id of a row that is a key. */
const KEYS = 0

/** All statements, for the tables of one keyspace. */
export class Statements {
  readonly #comments: string
  readonly #buckets: string
  readonly #held: string
  readonly #store: string

  constructor(keyspace: string) {
    this.#comments = `${keyspace}.comments`
    this.#buckets = `${keyspace}.buckets`
    this.#held = `${keyspace}.held`
    this.#store = `${keyspace}.store`
  }

  /** Columns of Bucket; and the times in Unix ms at which it was sealed and at which that was read, by a node's clock. */
  bucket(videoId: string, after: Cursor): Statement {
    return { cql: `SELECT ${BUCKET_COLUMNS}, writetime(next) AS sealed_at_us, toUnixTimestamp(now()) AS now FROM ${this.#comments} WHERE video_id = ? AND bucket = ? LIMIT 1`, params: [videoId, after] }
  }

  /** The buckets of a video but the first, the newest first. */
  buckets(videoId: string): Statement {
    return { cql: `SELECT bucket FROM ${this.#buckets} WHERE video_id = ?`, params: [videoId] }
  }

  noteBucket(videoId: string, after: Cursor): Statement {
    return { cql: `INSERT INTO ${this.#buckets} (video_id, bucket) VALUES (?, ?)`, params: [videoId, after] }
  }

  page(videoId: string, bucket: Cursor, after: Cursor, until: Cursor, newestFirst: boolean, limit: number): Statement {
    return {
      cql: `SELECT ${COMMENT_COLUMNS} FROM ${this.#comments} WHERE video_id = ? AND bucket = ? AND id > ? AND id <= ? ORDER BY id ${newestFirst ? 'DESC' : 'ASC'} LIMIT ?`,
      params: [videoId, bucket, after, until, limit],
    }
  }

  comment(videoId: string, bucket: Cursor, id: CommentId): Statement {
    return { cql: `SELECT ${COMMENT_COLUMNS} FROM ${this.#comments} WHERE video_id = ? AND bucket = ? AND id = ? AND key = ''`, params: [videoId, bucket, id] }
  }

  /** Columns `key`, `made`, `attempt`, `said`. */
  keys(videoId: string, bucket: Cursor, places: readonly string[]): Statement {
    return { cql: `SELECT key, made, attempt, said FROM ${this.#comments} WHERE video_id = ? AND bucket = ? AND id = ${KEYS} AND key IN ?`, params: [videoId, bucket, places] }
  }

  /** To be written together with the entries and keys that it counts. @param acts undefined: as they are */
  moveHead({ videoId, bucket }: Change, head: CommentId, first: CommentId, bytes: number, acts: VideoActs | undefined): Statement {
    return this.#change({ videoId, bucket }, 'head = ?, first = ?, bytes = ?, acts = ?', [head, first, bytes, acts && printActs(acts)])
  }

  /** Also a fence: an attempt that knew other acts does not come true. @param fence a fresh UUID */
  setActs({ videoId, bucket }: Change, acts: VideoActs, fence: string): Statement {
    return this.#change({ videoId, bucket }, 'acts = ?, fence = ?', [printActs(acts), fence])
  }

  /** In a batch with `moveHead` of the same bucket. @param by the act that deletes it */
  blank(videoId: string, bucket: Cursor, id: CommentId, by: CommentId): Statement {
    return {
      cql: `UPDATE ${this.#comments} SET author_id = '', author_name = null, content = '', author_role = null, entry = ? WHERE video_id = ? AND bucket = ? AND id = ? AND key = ''`,
      params: [JSON.stringify({ deletedBy: String(by) }), videoId, bucket, id],
    }
  }

  /** By itself: its bucket is sealed. */
  blankIfThere(videoId: string, bucket: Cursor, id: CommentId, by: CommentId): Statement {
    const { cql, params } = this.blank(videoId, bucket, id, by)
    return { cql: `${cql} IF EXISTS`, params }
  }

  /** @returns the first also names the successor */
  seal({ videoId, bucket }: Change): Statement {
    return this.#change({ videoId, bucket }, 'next = ?', [bucket.head])
  }

  /** From now on no earlier attempt comes true. @param fence a fresh UUID */
  fence({ videoId, bucket }: Change, fence: string): Statement {
    return this.#change({ videoId, bucket }, 'fence = ?', [fence])
  }

  insertEntry(bucket: Cursor, { comment, prev, act }: Stored): Statement {
    const { videoId, id, authorId, authorName, by, content, createdAt } = comment
    return {
      cql: `INSERT INTO ${this.#comments} (video_id, bucket, id, key, prev, author_id, author_name, content, created_at, entry, author_role) VALUES (?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?)`,
      params: [videoId, bucket, id, prev, authorId, authorName, content, createdAt, act && JSON.stringify(actFields(act)), by],
    }
  }

  insertKey(bucket: Cursor, { videoId, id }: Comment, key: string, attempt: string, said: string): Statement {
    return {
      cql: `INSERT INTO ${this.#comments} (video_id, bucket, id, key, made, said, attempt) VALUES (?, ?, ${KEYS}, ?, ?, ?, ?) IF NOT EXISTS USING TTL ${KEY_TTL_S}`,
      params: [videoId, bucket, key, id, said, attempt],
    }
  }

  /** The first partition beyond a place in the order of the tokens: columns `video_id`, `bucket`, and `place` as text. */
  nextPartition(place: string): Statement {
    return { cql: `SELECT DISTINCT video_id, bucket, CAST(token(video_id, bucket) AS text) AS place FROM ${this.#comments} WHERE token(video_id, bucket) > ? LIMIT 1`, params: [place] }
  }

  /** Up to `limit`, in no order of time. */
  allHeld(videoId: string, limit: number): Statement {
    return { cql: `SELECT ${HELD_COLUMNS} FROM ${this.#held} WHERE video_id = ? LIMIT ?`, params: [videoId, limit] }
  }

  held(videoId: string, id: HeldId): Statement {
    return { cql: `SELECT ${HELD_COLUMNS} FROM ${this.#held} WHERE video_id = ? AND id = ?`, params: [videoId, id] }
  }

  /** Unless something is held under that id. An UPDATE makes no row by itself: it is gone once all its columns have expired. */
  hold({ videoId, id, authorId, authorName, content, key, said, heldAt }: Held): Statement {
    return {
      cql: `UPDATE ${this.#held} SET author_id = ?, author_name = ?, content = ?, key = ?, said = ?, held_at = ? WHERE video_id = ? AND id = ? IF held_at = null`,
      params: [authorId, authorName ?? null, content, key, said, heldAt, videoId, id],
    }
  }

  /** From now on nobody refuses it. */
  beginApproval(videoId: string, id: HeldId): Statement {
    return { cql: `UPDATE ${this.#held} SET decided = '${APPROVING}' WHERE video_id = ? AND id = ? IF decided = null AND held_at != null`, params: [videoId, id] }
  }

  /** Takes the content, and lets the rest expire after `ttlS`. @param from what `decided` must be; null: nothing */
  decide({ videoId, id, authorId, key, said, heldAt }: Held, decided: string, from: string | null, ttlS = KEY_TTL_S): Statement {
    return {
      cql: `UPDATE ${this.#held} USING TTL ${ttlS} SET author_id = ?, author_name = null, content = '', key = ?, said = ?, held_at = ?, decided = ? WHERE video_id = ? AND id = ? IF decided = ?`,
      params: [authorId, key, said, heldAt, decided, videoId, id, from],
    }
  }

  /** In all videos: columns `video_id`, `id`, `decided`. The table is small: what waits, and a day of decisions. */
  heldBy(authorId: string): Statement {
    return { cql: `SELECT video_id, id, decided FROM ${this.#held} WHERE author_id = ? ALLOW FILTERING`, params: [authorId] }
  }

  deleteHeld(videoId: string, id: HeldId): Statement {
    return { cql: `DELETE FROM ${this.#held} WHERE video_id = ? AND id = ? IF EXISTS`, params: [videoId, id] }
  }

  store(): Statement {
    return { cql: `SELECT id, generation, version, data_centre, accepted, has_acts FROM ${this.#store} WHERE one = 1`, params: [] }
  }

  insertStore(id: string, generation: string, version: number, dataCentre: string): Statement {
    return { cql: `INSERT INTO ${this.#store} (one, id, generation, version, data_centre) VALUES (1, ?, ?, ?, ?) IF NOT EXISTS`, params: [id, generation, version, dataCentre] }
  }

  noteAccepted(generation: string): Statement {
    return { cql: `UPDATE ${this.#store} SET accepted = ? WHERE one = 1 IF generation = ?`, params: [generation, generation] }
  }

  renew(generation: string, before: string): Statement {
    return { cql: `UPDATE ${this.#store} SET generation = ? WHERE one = 1 IF generation = ?`, params: [generation, before] }
  }

  /** As an append does, but of no consequence. @param probe a fresh UUID */
  probe(generation: string, probe: string): Statement {
    return { cql: `UPDATE ${this.#store} SET probe = ? WHERE one = 1 IF generation = ?`, params: [probe, generation] }
  }

  #change({ videoId, bucket }: Change, assignments: string, values: readonly (string | number | undefined)[]): Statement {
    return {
      cql: `UPDATE ${this.#comments} SET ${assignments} WHERE video_id = ? AND bucket = ? IF head = ? AND next = ? AND fence = ?`,
      params: [...values, videoId, bucket.after, bucket.head ?? null, bucket.next ?? null, bucket.fence ?? null],
    }
  }
}

/** A key's place in its bucket: a key has no spaces. */
export function placeOf({ key, authorId }: Pick<Draft, 'key' | 'authorId'>): string {
  return `${key} ${authorId}`
}

export function storedOf(videoId: string, row: Row): Stored {
  const { id, prev, author_id, author_name, content, created_at, entry, author_role } = row as { id: number; prev: number; author_id: string; author_name: string | null; content: string; created_at: number; entry: string | null; author_role: string | null }
  return { comment: { id, videoId, authorId: author_id, ...(author_name === null ? {} : { authorName: author_name }), ...(author_role === 'moderator' && { by: 'moderator' }), content, createdAt: created_at }, prev, ...(entry === null ? {} : entryOf(entry)) }
}

/** What is not a comment. An act of a later version stays one. */
function entryOf(entry: string): Pick<Stored, 'act' | 'deletedBy'> {
  const { deletedBy, ...act } = JSON.parse(entry) as Record<string, unknown>
  return deletedBy === undefined ? { act: readAct(act) ?? (act as unknown as Act) } : { deletedBy: Number(deletedBy) }
}
