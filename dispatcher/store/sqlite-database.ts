import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import type { Comment, Draft, VideoId } from '../../protocol/comment.js'
import { nextId, type Cursor } from '../../protocol/id.js'
import { KEY_KEPT_MS, type Outcome, type Range, type Stored } from './store.js'

/** The schema's version, in SQLite's `user_version`. Each step of `STEPS` brings a file from its index to the next. */
export const SCHEMA_VERSION = 2

const STEPS: readonly string[] = [
  `CREATE TABLE comments (
     video_id   TEXT    NOT NULL,
     id         INTEGER NOT NULL,
     prev       INTEGER NOT NULL,
     author_id  TEXT    NOT NULL,
     content    TEXT    NOT NULL,
     created_at INTEGER NOT NULL,
     PRIMARY KEY (video_id, id)
   ) WITHOUT ROWID;
   -- Idempotency keys; n is the order they came in, so that the oldest are found without an index of their own.
   CREATE TABLE keys (
     n          INTEGER PRIMARY KEY,
     video_id   TEXT    NOT NULL,
     author_id  TEXT    NOT NULL,
     key        TEXT    NOT NULL,
     id         INTEGER NOT NULL,
     created_at INTEGER NOT NULL,
     UNIQUE (video_id, author_id, key)
   );`,
  'ALTER TABLE comments ADD COLUMN author_name TEXT',
]

interface Row {
  readonly id: number
  readonly prev: number
  readonly author_id: string
  readonly author_name: string | null
  readonly content: string
  readonly created_at: number
}

/** The file was written by a later version of this software. */
export class NewerSchemaError extends Error {
  constructor(path: string, version: number) {
    super(`${path} has schema version ${version}; this software knows up to ${SCHEMA_VERSION}: start a newer version of it`)
  }
}

/** An error of COMMIT itself: whether the transaction is on disk is not known. */
export class CommitError extends Error {}

/** Comments in one SQLite file, that several processes may share. Synchronous: it lives in a worker thread. */
export class SqliteDatabase {
  readonly #db: Database.Database
  readonly #statements: ReturnType<typeof prepare>

  /** Opens the file, makes it and its folder where they are missing, and brings its schema up to date.
   * @param busyMs how long a call waits, blocking, for another connection's lock
   * @throws NewerSchemaError; an error of SQLite or of the file system, such as busy */
  constructor(path: string, busyMs: number) {
    mkdirSync(dirname(path), { recursive: true })
    this.#db = new Database(path, { timeout: busyMs })
    try {
      this.#db.pragma('journal_mode = WAL')
      this.#db.pragma('synchronous = FULL') // an fsync before each acknowledgement
      this.#db.pragma('journal_size_limit = 67108864')
      migrate(this.#db, path)
      this.#statements = prepare(this.#db)
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  /** All drafts in one transaction. @throws CommitError, or an error of SQLite after which nothing is stored */
  append(drafts: readonly Draft[], nowMs: number): Outcome[] {
    this.#statements.begin.run()
    let outcomes: Outcome[]
    try {
      outcomes = drafts.map(draft => this.#appendOne(draft, nowMs))
      this.#statements.prune.run({ before: nowMs - KEY_KEPT_MS, limit: 2 * drafts.length })
    } catch (error) {
      this.#rollback()
      throw error
    }
    try {
      this.#statements.commit.run()
    } catch (cause) {
      this.#rollback()
      throw new CommitError('commit failed', { cause })
    }
    return outcomes
  }

  madeBy({ videoId, authorId, content, key }: Draft): Comment | undefined {
    const first = this.#first(videoId, authorId, key)
    return first?.content === content ? first : undefined
  }

  page(videoId: VideoId, { after, until, newestFirst, limit }: Range): Stored[] {
    const { descending, ascending } = this.#statements
    const rows = (newestFirst ? descending : ascending).all(videoId, after, until, limit)
    return rows.map(row => ({ comment: commentOf(videoId, row), prev: row.prev }))
  }

  lastId(videoId: VideoId): Cursor {
    return this.#statements.lastId.get(videoId) ?? 0
  }

  close(): void {
    this.#db.close()
  }

  /** One statement at a time finds the last id anew: the drafts before it are already in. */
  #appendOne({ videoId, authorId, authorName, content, key }: Draft, nowMs: number): Outcome {
    const { insertComment, insertKey } = this.#statements
    const first = this.#first(videoId, authorId, key)
    if (first) return first.content === content ? { kind: 'repeated', comment: first } : { kind: 'reused' }
    const prev = this.lastId(videoId)
    const id = nextId(nowMs, prev)
    insertComment.run(videoId, id, prev, authorId, authorName ?? null, content, nowMs)
    insertKey.run(videoId, authorId, key, id, nowMs)
    return { kind: 'created', comment: { id, videoId, authorId, ...nameOf(authorName), content, createdAt: nowMs }, prev }
  }

  /** What the key has made. */
  #first(videoId: VideoId, authorId: string, key: string): Comment | undefined {
    const { findKey, findComment } = this.#statements
    const id = findKey.get(videoId, authorId, key)
    return id === undefined ? undefined : commentOf(videoId, findComment.get(videoId, id)!)
  }

  #rollback(): void {
    if (this.#db.inTransaction) this.#statements.rollback.run()
  }
}

function prepare(db: Database.Database) {
  const columns = 'SELECT id, prev, author_id, author_name, content, created_at FROM comments WHERE video_id = ?'
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    rollback: db.prepare('ROLLBACK'),
    lastId: db.prepare<[string], number>('SELECT id FROM comments WHERE video_id = ? ORDER BY id DESC LIMIT 1').pluck(),
    findComment: db.prepare<[string, number], Row>(`${columns} AND id = ?`),
    ascending: db.prepare<[string, number, number, number], Row>(`${columns} AND id > ? AND id <= ? ORDER BY id LIMIT ?`),
    descending: db.prepare<[string, number, number, number], Row>(`${columns} AND id > ? AND id <= ? ORDER BY id DESC LIMIT ?`),
    insertComment: db.prepare('INSERT INTO comments (video_id, id, prev, author_id, author_name, content, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)'),
    findKey: db.prepare<[string, string, string], number>('SELECT id FROM keys WHERE video_id = ? AND author_id = ? AND key = ?').pluck(),
    insertKey: db.prepare('INSERT INTO keys (video_id, author_id, key, id, created_at) VALUES (?, ?, ?, ?, ?)'),
    // Twice as many as came in, at most: a backlog shrinks, and no commit is long for it.
    prune: db.prepare('DELETE FROM keys WHERE n IN (SELECT n FROM keys ORDER BY n LIMIT @limit) AND created_at < @before'),
  }
}

/** In one transaction, so that of several processes that open a new file at once only one makes the tables. */
function migrate(db: Database.Database, path: string): void {
  const version = () => db.pragma('user_version', { simple: true }) as number
  if (version() === SCHEMA_VERSION) return
  db.transaction(() => {
    const from = version()
    if (from > SCHEMA_VERSION) throw new NewerSchemaError(path, from)
    for (const step of STEPS.slice(from)) db.exec(step)
    db.pragma(`user_version = ${SCHEMA_VERSION}`)
  }).immediate()
}

function commentOf(videoId: VideoId, row: Row): Comment {
  return { id: row.id, videoId, authorId: row.author_id, ...nameOf(row.author_name), content: row.content, createdAt: row.created_at }
}

function nameOf(authorName: string | null | undefined): Pick<Comment, 'authorName'> {
  return authorName === null || authorName === undefined ? {} : { authorName }
}
