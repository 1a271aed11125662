import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Database from 'better-sqlite3'
import type { Comment, Draft, VideoId } from '../../protocol/comment.js'
import { MAX_CURSOR, nextId, type Cursor } from '../../protocol/id.js'
import { closeStoreFiles } from './closed-files.js'
import { KEY_AGES, KeyExpiry } from './key-expiry.js'
import { FileMovedError, OpenFiles, placeOf } from './open-files.js'
import type { StoreFile } from './store-file.js'
import type { Outcome, Range, Stored } from './store.js'

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

/** Tables beside the schema: software that knows nothing of them opens the file as before. */
const TABLES: Readonly<Record<string, string>> = {
  key_ages: KEY_AGES,
  // One row: who the store is, where it was accepted, and a place to write to where only that is to be tried.
  store: 'CREATE TABLE store (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, generation TEXT NOT NULL, accepted TEXT, probe BLOB)',
}
/** As much as a post or two: a disk that is nearly full takes less. */
const PROBE_BYTES = 32 * 1024
/** SQLite checks about 1 GB a second of a file that is in memory, and less from a disk. */
const MAX_CHECKED_BYTES = 2 * 1024 ** 3

interface StoreRow {
  readonly id: string
  readonly generation: string
  /** The generation and the place that were accepted last. */
  readonly accepted: string | null
}

/** As the file has it: of a damaged one, any value of SQLite's may come for any column. */
interface Row {
  readonly id: unknown
  readonly prev: unknown
  readonly author_id: unknown
  readonly author_name: unknown
  readonly content: unknown
  readonly created_at: unknown
}

/** A page or a row cannot be read, or holds what it should not: other videos may be well. */
const DAMAGE = /^(SQLITE_(CORRUPT|CONSTRAINT|MISMATCH|TOOBIG|IOERR_READ|IOERR_SHORT_READ|IOERR_CORRUPTFS)|ROW_DAMAGED$)/
/** A group is begun anew so often without the videos that have met damage. */
const MAX_TRIES = 8

/** The file was written by a later version of this software. */
export class NewerSchemaError extends Error {
  constructor(path: string, version: number) {
    super(`${path} has schema version ${version}; this software knows up to ${SCHEMA_VERSION}: start a newer version of it`)
  }
}

/** An error of COMMIT itself: whether the transaction is on disk is not known. */
export class CommitError extends Error {}

/** There is no file, and none is to be made. */
export class FileMissingError extends Error {
  readonly code = 'FILE_MISSING'
}

/** The file is of another generation than when it was opened. */
class GenerationError extends Error {
  readonly code = 'GENERATION_CHANGED'
}

/** A row holds what no version of this software writes. */
class RowDamagedError extends Error {
  readonly code = 'ROW_DAMAGED'
}

/** A transaction has met damage: that of a video, or of none. */
class DamageError extends Error {
  constructor(
    override readonly cause: unknown,
    readonly videoId?: VideoId,
  ) {
    super('a transaction has met damage', { cause })
  }
}

/** Comments in one SQLite file, that several processes may share. Synchronous: it lives in a worker thread. */
export class SqliteDatabase {
  readonly #db: Database.Database
  readonly #statements: ReturnType<typeof prepare>
  readonly #files: OpenFiles
  readonly #generation: string
  /** The number of the key that the last transaction made last, 0 where it made none. */
  #newestKey = 0
  /** Undefined once it met damage: keys are then kept for as long as the file is open. */
  #keyExpiry: KeyExpiry | undefined

  /** Opens the file, makes it and its folder where they are missing, takes it from other users, and brings its schema up to date.
   * @param busyMs how long a call waits, blocking, for another connection's lock
   * @param mayCreate false: a file that is missing is not made
   * @throws NewerSchemaError, FileMissingError, FileMovedError; an error of SQLite or of the file system, such as busy */
  constructor(path: string, busyMs: number, mayCreate = true) {
    const placeBefore = placeOf(path)
    if (placeBefore === undefined && !mayCreate) throw new FileMissingError(`${path} is missing`)
    makeFolder(resolve(dirname(path)))
    closeStoreFiles(path)
    this.#db = new Database(path, { timeout: busyMs })
    try {
      this.#db.pragma('journal_mode = WAL')
      this.#db.pragma('synchronous = FULL') // an fsync before each acknowledgement
      this.#db.pragma('journal_size_limit = 67108864')
      this.#db.pragma('cell_size_check = ON') // a damaged page is found before it is used
      migrate(this.#db, path)
      this.#statements = prepare(this.#db)
      this.#keyExpiry = new KeyExpiry(this.#db)
      this.#generation = this.#store().generation
      this.#files = new OpenFiles(path)
      if (placeBefore !== undefined && placeBefore !== this.#files.place) throw new FileMovedError('FILE_MOVED', path)
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  /** What the file says of itself. @throws FileMovedError, GenerationError */
  file(): StoreFile {
    this.check()
    const { id, generation, accepted } = this.#store()
    const { place } = this.#files
    return { id, generation, place, stored: this.#statements.newestKey.get() ?? 0, acceptedHere: accepted === `${generation} ${place}` }
  }

  /** To be called after reading, before what was read is believed.
   * @throws FileMovedError, GenerationError, or an error of the file system when this may not be the store any more */
  check(): void {
    this.#files.check()
    if (this.#store().generation !== this.#generation) throw new GenerationError('a backup has taken its place')
  }

  /** Notes that the file was accepted as the cluster's store where it is now. */
  accept(): void {
    this.#statements.accept.run(`${this.#generation} ${this.#files.place}`)
  }

  /** Gives the file a new generation: it has to be opened anew. */
  renew(): void {
    this.#statements.renew.run(newName())
  }

  /** Writes something, on disk when it returns. @throws an error of SQLite or of the file system when nothing can be written */
  probe(): void {
    this.#files.check()
    this.#statements.probe.run(PROBE_BYTES)
    this.#files.check()
  }

  /** 'ok', or the first damage that SQLite finds. A process cannot end while it looks: a large file is not looked at. */
  quickCheck(): string {
    const bytes = (this.#db.pragma('page_count', { simple: true }) as number) * (this.#db.pragma('page_size', { simple: true }) as number)
    if (bytes > MAX_CHECKED_BYTES) return 'too large to be checked by a dispatcher: run PRAGMA quick_check by sqlite3'
    return String(this.#db.pragma('quick_check(1)', { simple: true }))
  }

  /** Where somebody removed the log: moves what was committed from the log that we have open into the database.
   * @returns whether all of it is there now */
  rescueLog(): boolean {
    if (!this.#files.logRemoved) return true // nothing to do, or another log has begun
    const [{ busy, log, checkpointed } = { busy: 1, log: 0, checkpointed: 0 }] = this.#db.pragma('wal_checkpoint(FULL)') as { busy: number; log: number; checkpointed: number }[]
    return busy === 0 && log === checkpointed
  }

  /** All drafts in one transaction. What hits damage fails with its video, and the others are stored.
   * @throws CommitError, or an error of SQLite or FileMovedError after which nothing is stored */
  append(drafts: readonly Draft[], nowMs: number): Outcome[] {
    this.#files.check()
    this.#keyExpiry?.commitsAt(nowMs)
    const damaged = new Map<VideoId, string>()
    for (let tries = 0; ; tries++) {
      try {
        return this.#transact(drafts, draft => {
          const reason = damaged.get(draft.videoId)
          return reason === undefined ? this.#appendOne(draft, nowMs) : { kind: 'failed', reason }
        })
      } catch (error) {
        if (!(error instanceof DamageError)) throw error
        if (tries === MAX_TRIES) throw error.cause
        // A savepoint would not do: SQLite commits no transaction that has met damage.
        if (error.videoId !== undefined) damaged.set(error.videoId, codeOf(error.cause))
        this.#findDamage(drafts, damaged)
      }
    }
  }

  /** How many keys have been made, as far as the last append knows that; 0 where it does not. */
  get storedByLast(): number {
    return this.#newestKey
  }

  madeBy({ videoId, authorId, content, key }: Draft): Comment | undefined {
    const first = this.#first(videoId, authorId, key)
    return first?.content === content ? first : undefined
  }

  page(videoId: VideoId, { after, until, newestFirst, limit }: Range): Stored[] {
    const { descending, ascending } = this.#statements
    const rows = (newestFirst ? descending : ascending).all(videoId, after, until, limit)
    const page = rows.map(row => storedOf(videoId, row))
    for (let i = 1; i < page.length; i++) {
      const [before, after] = newestFirst ? [page[i]!, page[i - 1]!] : [page[i - 1]!, page[i]!]
      if (before.comment.id >= after.comment.id) throw new RowDamagedError('the ids of a page do not ascend')
    }
    return page
  }

  /** An id that no reader could take, which a clock beyond the 41 bits once made, does not count: no page shows it either. */
  lastId(videoId: VideoId): Cursor {
    return cursorOf(this.#statements.lastId.get(videoId, MAX_CURSOR) ?? 0)
  }

  close(): void {
    this.#db.close()
  }

  /** @throws DamageError; CommitError; another error of SQLite */
  #transact(drafts: readonly Draft[], append: (draft: Draft) => Outcome): Outcome[] {
    this.#newestKey = 0
    this.#statements.begin.run()
    let outcomes: Outcome[]
    try {
      if (this.#store().generation !== this.#generation) throw new GenerationError('a backup has taken its place')
      outcomes = drafts.map(draft => {
        try {
          return append(draft)
        } catch (cause) {
          throw isDamage(cause) ? new DamageError(cause, draft.videoId) : cause
        }
      })
      this.#expireKeys(2 * drafts.length) // twice as many as came in, at most
    } catch (error) {
      this.#rollback()
      throw error
    }
    try {
      this.#statements.commit.run()
      this.#files.check() // what went into a file that is gone is not to be acknowledged, though the file may come back
    } catch (cause) {
      this.#rollback()
      throw new CommitError('commit failed', { cause })
    }
    return outcomes
  }

  /** Looks where each draft would go, so that damage to many videos is known at once. */
  #findDamage(drafts: readonly Draft[], damaged: Map<VideoId, string>): void {
    for (const { videoId, authorId, key } of drafts) {
      if (damaged.has(videoId)) continue
      try {
        this.#first(videoId, authorId, key)
        this.#statements.newestId.get(videoId)
      } catch (error) {
        if (!isDamage(error)) throw error
        damaged.set(videoId, codeOf(error))
      }
    }
  }

  /** One statement at a time finds the last id anew: the drafts before it are already in. */
  #appendOne({ videoId, authorId, authorName, content, key }: Draft, nowMs: number): Outcome {
    const { newestId, insertComment, insertKey } = this.#statements
    const first = this.#first(videoId, authorId, key)
    if (first) return first.content === content ? { kind: 'repeated', comment: first } : { kind: 'reused' }
    const last = newestId.get(videoId) ?? 0
    if (typeof last === 'number' && last >= MAX_CURSOR) return { kind: 'failed', reason: 'IDS_EXHAUSTED' }
    const prev = cursorOf(last)
    const id = nextId(nowMs, prev)
    insertComment.run(videoId, id, prev, authorId, authorName ?? null, content, nowMs)
    this.#newestKey = Number(insertKey.run(videoId, authorId, key, id, nowMs).lastInsertRowid)
    return { kind: 'created', comment: { id, videoId, authorId, ...nameOf(authorName), content, createdAt: nowMs }, prev }
  }

  /** What the key has made. */
  #first(videoId: VideoId, authorId: string, key: string): Comment | undefined {
    const { findKey, findComment } = this.#statements
    const id = findKey.get(videoId, authorId, key)
    if (id === undefined) return undefined
    const row = findComment.get(videoId, id)
    if (!row) throw new RowDamagedError('a key names a comment that is not there')
    return storedOf(videoId, row).comment
  }

  /** Damage among the old keys is no reason to refuse a post, but this transaction cannot be committed any more. */
  #expireKeys(limit: number): void {
    try {
      this.#keyExpiry?.expire(limit)
    } catch (error) {
      this.#keyExpiry = undefined
      throw isDamage(error) ? new DamageError(error) : error
    }
  }

  #store(): StoreRow {
    const row = this.#statements.store.get()
    if (!row || typeof row.id !== 'string' || typeof row.generation !== 'string') throw new RowDamagedError('the store does not say which one it is')
    return row
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
    store: db.prepare<[], StoreRow>('SELECT id, generation, accepted FROM store WHERE one = 1'),
    newestKey: db.prepare<[], number | null>('SELECT max(n) FROM keys').pluck(),
    accept: db.prepare<[string]>('UPDATE store SET accepted = ?'),
    renew: db.prepare<[string]>('UPDATE store SET generation = ?'),
    probe: db.prepare<[number]>('UPDATE store SET probe = zeroblob(?)'),
    newestId: db.prepare<[string], unknown>('SELECT id FROM comments WHERE video_id = ? ORDER BY id DESC LIMIT 1').pluck(),
    lastId: db.prepare<[string, number], unknown>('SELECT id FROM comments WHERE video_id = ? AND id <= ? ORDER BY id DESC LIMIT 1').pluck(),
    findComment: db.prepare<[string, unknown], Row>(`${columns} AND id = ?`),
    ascending: db.prepare<[string, number, number, number], Row>(`${columns} AND id > ? AND id <= ? ORDER BY id LIMIT ?`),
    descending: db.prepare<[string, number, number, number], Row>(`${columns} AND id > ? AND id <= ? ORDER BY id DESC LIMIT ?`),
    insertComment: db.prepare('INSERT INTO comments (video_id, id, prev, author_id, author_name, content, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)'),
    findKey: db.prepare<[string, string, string], unknown>('SELECT id FROM keys WHERE video_id = ? AND author_id = ? AND key = ?').pluck(),
    insertKey: db.prepare('INSERT INTO keys (video_id, author_id, key, id, created_at) VALUES (?, ?, ?, ?, ?)'),
  }
}

/** Makes the folder, and those above it, where they are missing. SQLite puts the names of its own files on the disk before a
 * commit is done, but a power cut would still take a new folder with all that is in it. */
function makeFolder(folder: string): void {
  const first = mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) {
    try {
      const above = openSync(dirname(made), 'r')
      try {
        fsyncSync(above)
      } finally {
        closeSync(above)
      }
    } catch {
      // Some network disks sync no folders. SQLite goes on then, and so do we.
    }
  }
}

/** In one transaction, so that of several processes that open a new file at once only one makes the tables. */
function migrate(db: Database.Database, path: string): void {
  const version = () => db.pragma('user_version', { simple: true }) as number
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck()
  const missing = () => Object.keys(TABLES).filter(name => !tables.all().includes(name))
  if (version() === SCHEMA_VERSION && missing().length === 0) return
  db.transaction(() => {
    const from = version()
    if (from > SCHEMA_VERSION) throw new NewerSchemaError(path, from)
    for (const step of STEPS.slice(from)) db.exec(step)
    for (const name of missing()) db.exec(TABLES[name]!)
    db.prepare('INSERT OR IGNORE INTO store (one, id, generation) VALUES (1, ?, ?)').run(newName(), newName())
    db.pragma(`user_version = ${SCHEMA_VERSION}`)
  }).immediate()
}

/** Random: no other file has it. */
function newName(): string {
  return randomBytes(8).toString('hex')
}

/** @throws RowDamagedError */
function storedOf(videoId: VideoId, { id, prev, author_id, author_name, content, created_at }: Row): Stored {
  if (typeof author_id !== 'string' || typeof content !== 'string' || typeof created_at !== 'number' || !Number.isFinite(created_at) || (author_name !== null && typeof author_name !== 'string')) throw new RowDamagedError('a comment is not one')
  const stored = { comment: { id: cursorOf(id), videoId, authorId: author_id, ...nameOf(author_name), content, createdAt: created_at }, prev: cursorOf(prev) }
  if (stored.prev >= stored.comment.id) throw new RowDamagedError('a chain leads back')
  return stored
}

/** @throws RowDamagedError */
function cursorOf(value: unknown): Cursor {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new RowDamagedError('an id is not one')
  return value
}

function nameOf(authorName: string | null | undefined): Pick<Comment, 'authorName'> {
  return authorName === null || authorName === undefined ? {} : { authorName }
}

/** Whether the error may be of one video alone. */
export function isDamage(error: unknown): boolean {
  return DAMAGE.test(codeOf(error))
}

/** SQLite's, the file system's or our own; '' where it has none. */
export function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}
