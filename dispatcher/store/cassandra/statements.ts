import type { Comment, Draft } from '../../../protocol/comment.js'
import type { CommentId, Cursor } from '../../../protocol/id.js'
import type { Stored } from '../store.js'
import type { Bucket } from './bucket.js'
import type { Row, Statement } from './cql.js'
import { KEY_TTL_S } from './schema.js'

/** What one attempt writes of a bucket. */
export interface Change {
  readonly videoId: string
  /** As it is known: the change is made only if nothing has changed since. */
  readonly bucket: Bucket
}

const COMMENT_COLUMNS = 'id, prev, author_id, author_name, content, created_at'
const BUCKET_COLUMNS = 'head, first, bytes, next, fence'
/** An id of a row that is a key. */
const KEYS = 0

/** All statements, for the tables of one keyspace. */
export class Statements {
  readonly #comments: string
  readonly #buckets: string
  readonly #store: string

  constructor(keyspace: string) {
    this.#comments = `${keyspace}.comments`
    this.#buckets = `${keyspace}.buckets`
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

  /** Columns `key`, `made`, `attempt`. */
  keys(videoId: string, bucket: Cursor, places: readonly string[]): Statement {
    return { cql: `SELECT key, made, attempt FROM ${this.#comments} WHERE video_id = ? AND bucket = ? AND id = ${KEYS} AND key IN ?`, params: [videoId, bucket, places] }
  }

  /** To be written together with the comments and keys that it counts. */
  moveHead({ videoId, bucket }: Change, head: CommentId, first: CommentId, bytes: number): Statement {
    return this.#change({ videoId, bucket }, 'head = ?, first = ?, bytes = ?', [head, first, bytes])
  }

  /** @returns the first also names the successor */
  seal({ videoId, bucket }: Change): Statement {
    return this.#change({ videoId, bucket }, 'next = ?', [bucket.head])
  }

  /** From now on no earlier attempt comes true. @param fence a fresh UUID */
  fence({ videoId, bucket }: Change, fence: string): Statement {
    return this.#change({ videoId, bucket }, 'fence = ?', [fence])
  }

  insertComment(bucket: Cursor, { comment, prev }: Stored): Statement {
    const { videoId, id, authorId, authorName, content, createdAt } = comment
    return {
      cql: `INSERT INTO ${this.#comments} (video_id, bucket, id, key, prev, author_id, author_name, content, created_at) VALUES (?, ?, ?, '', ?, ?, ?, ?, ?)`,
      params: [videoId, bucket, id, prev, authorId, authorName, content, createdAt],
    }
  }

  insertKey(bucket: Cursor, { videoId, id }: Comment, key: string, attempt: string): Statement {
    return {
      cql: `INSERT INTO ${this.#comments} (video_id, bucket, id, key, made, attempt) VALUES (?, ?, ${KEYS}, ?, ?, ?) IF NOT EXISTS USING TTL ${KEY_TTL_S}`,
      params: [videoId, bucket, key, id, attempt],
    }
  }

  store(): Statement {
    return { cql: `SELECT id, generation, version, data_centre, accepted FROM ${this.#store} WHERE one = 1`, params: [] }
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
  const { id, prev, author_id, author_name, content, created_at } = row as { id: number; prev: number; author_id: string; author_name: string | null; content: string; created_at: number }
  return { comment: { id, videoId, authorId: author_id, ...(author_name === null ? {} : { authorName: author_name }), content, createdAt: created_at }, prev }
}
