import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Database from 'better-sqlite3'
import type { Comment, VideoId } from '../../protocol/comment.js'
import { actFields, readAct, DEFAULT_SETTINGS, type Act, type Settings } from '../../protocol/entry.js'
import { MAX_CURSOR, nextId, type CommentId, type Cursor } from '../../protocol/id.js'
import { closeStoreFiles } from './closed-files.js'
import { KEY_AGES, KeyExpiry } from './key-expiry.js'
import { keyHash } from './key-hash.js'
import { FileMovedError, OpenFiles, placeOf } from './open-files.js'
import type { StoreFile } from './store-file.js'
import { blank, type Found, type Outcome, type Place, type Range, type Stored, type StoredState, type Timed } from './store.js'

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
  // What the acts of a video have come to.
  video_states: 'CREATE TABLE video_states (video_id TEXT PRIMARY KEY, settings TEXT, pinned INTEGER) WITHOUT ROWID',
  bans: 'CREATE TABLE bans (video_id TEXT NOT NULL, author_id TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (video_id, author_id)) WITHOUT ROWID',
}

/** Columns beside the schema. Software that knows nothing of them leaves them NULL, and reads an act or a deleted comment as
 * a comment without author and content.
 * `entry`: NULL for a comment, else JSON: an act, or `deletedBy` with the id of the act that deleted it.
 * `said`: a hash of what was said under the key. */
const COLUMNS: readonly (readonly [table: string, column: string, type: string])[] = [
  ['comments', 'entry', 'TEXT'],
  ['keys', 'said', 'BLOB'],
]
/** Rows that one call looks at in search of an author's comments. */
const SEARCHED_ROWS = 5_000
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
  readonly entry: unknown
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

/** Another connection reads, or writes, what is to be moved out of the log. */
class LogBusyError extends Error {
  readonly code = 'SQLITE_BUSY'
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
      this.#db.pragma('secure_delete = ON') // what was deleted is overwritten
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
  append(drafts: readonly Timed[], nowMs: number): Outcome[] {
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

  madeBy(draft: Timed): Comment | undefined {
    const first = this.#first(draft)
    return first?.kind === 'repeated' ? first.comment : undefined
  }

  page(videoId: VideoId, { after, until, newestFirst, limit }: Range): Stored[] {
    const { descending, ascending } = this.#statements
    const rows = (newestFirst ? descending : ascending).all(videoId, after, until, limit)
    const page = rows.map(row => this.#pinnedIn(storedOf(videoId, row)))
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

  /** @param nowMs bans that ended before do not count */
  state(videoId: VideoId, nowMs: number): StoredState {
    const { videoState, bans } = this.#statements
    const row = videoState.get(videoId)
    const pinned = typeof row?.pinned === 'number' ? this.#commentAt(videoId, row.pinned) : undefined
    return {
      settings: typeof row?.settings === 'string' ? settingsOf(row.settings) : DEFAULT_SETTINGS,
      pinned,
      head: this.lastId(videoId),
      bans: new Map(bans.all(videoId, nowMs).map(({ author_id, until }) => [author_id, until])),
      unerased: [], // the act and the erasure are one transaction
    }
  }

  /** Moves what was committed out of the log, in which the former pages are. @throws LogBusyError while another connection is in
   * the way */
  truncateLog(): void {
    this.#files.check()
    const [{ busy } = { busy: 1 }] = this.#db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[]
    if (busy !== 0) throw new LogBusyError('the log is in use')
  }

  lastPostedAt(videoId: VideoId, authorId: string): number | undefined {
    return this.#statements.lastPostedAt.get(videoId, authorId) ?? undefined
  }

  commentsBy(authorId: string, after: string | undefined): Found {
    const [videoId = '', id = '0'] = after?.split(' ') ?? []
    const rows = this.#statements.places.all(videoId, Number(id), SEARCHED_ROWS)
    const last = rows.at(-1)
    const places = rows.filter(row => row.author_id === authorId && row.entry === null).map((row): Place => ({ videoId: row.video_id, id: cursorOf(row.id) }))
    return { places, after: last && rows.length === SEARCHED_ROWS ? `${last.video_id} ${cursorOf(last.id)}` : undefined }
  }

  close(): void {
    this.#db.close()
  }

  /** @throws DamageError; CommitError; another error of SQLite */
  #transact(drafts: readonly Timed[], append: (draft: Timed) => Outcome): Outcome[] {
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
  #findDamage(drafts: readonly Timed[], damaged: Map<VideoId, string>): void {
    for (const draft of drafts) {
      const { videoId } = draft
      if (damaged.has(videoId)) continue
      try {
        this.#first(draft)
        this.#statements.newestId.get(videoId)
      } catch (error) {
        if (!isDamage(error)) throw error
        damaged.set(videoId, codeOf(error))
      }
    }
  }

  /** One statement at a time finds the last id anew: the drafts before it are already in. */
  #appendOne(draft: Timed, nowMs: number): Outcome {
    const { newestId, insertComment, insertKey } = this.#statements
    const { videoId, authorId, authorName, content, key, act } = draft
    const done = this.#first(draft) ?? (act && this.#refused(videoId, act))
    if (done) return done
    const last = newestId.get(videoId) ?? 0
    if (typeof last === 'number' && last >= MAX_CURSOR) return { kind: 'failed', reason: 'IDS_EXHAUSTED' }
    const prev = cursorOf(last)
    const id = nextId(nowMs, prev)
    const comment: Comment = act ? blank({ videoId, id, createdAt: nowMs }) : { id, videoId, authorId, ...nameOf(authorName), content, createdAt: nowMs }
    insertComment.run(videoId, id, prev, comment.authorId, comment.authorName ?? null, comment.content, nowMs, act ? JSON.stringify(actFields(act)) : null)
    this.#newestKey = Number(insertKey.run(videoId, authorId, key, id, nowMs, keyHash(draft)).lastInsertRowid)
    if (!act) return { kind: 'created', comment, prev }
    this.#carryOut(videoId, id, act, nowMs)
    return { kind: 'created', ...this.#pinnedIn({ comment, prev, act }) }
  }

  /** Why there is nothing to do. */
  #refused(videoId: VideoId, act: Act): Outcome | undefined {
    if ((act.type !== 'deleted' && act.type !== 'pinned') || act.target === undefined) return undefined
    const row = this.#statements.findComment.get(videoId, act.target)
    const target = row && storedOf(videoId, row)
    if (!target || target.act) return { kind: 'missing' }
    if (target.deletedBy === undefined) return undefined
    if (act.type === 'pinned') return { kind: 'missing' }
    return { kind: 'repeated', comment: blank({ videoId, id: target.deletedBy, createdAt: target.comment.createdAt }) }
  }

  #carryOut(videoId: VideoId, id: CommentId, act: Act, nowMs: number): void {
    const { blankComment, unpin, setPinned, setSettings, setBan, endBans } = this.#statements
    switch (act.type) {
      case 'deleted':
        blankComment.run(JSON.stringify({ deletedBy: String(id) }), videoId, act.target)
        unpin.run(videoId, act.target)
        return
      case 'pinned':
        setPinned.run(videoId, act.target ?? null)
        return
      case 'settings':
        setSettings.run(videoId, JSON.stringify(act.settings))
        return
      case 'author-banned':
        setBan.run(videoId, act.authorId, act.until)
        endBans.run(videoId, nowMs)
    }
  }

  /** With the comment that it pins, as far as that is still there. */
  #pinnedIn(stored: Stored): Stored {
    if (stored.act?.type !== 'pinned' || stored.act.target === undefined) return stored
    const pinned = this.#commentAt(stored.comment.videoId, stored.act.target)
    return pinned ? { ...stored, pinned } : stored
  }

  #commentAt(videoId: VideoId, id: CommentId): Comment | undefined {
    const row = this.#statements.findComment.get(videoId, id)
    const stored = row && storedOf(videoId, row)
    return stored && !stored.act && stored.deletedBy === undefined ? stored.comment : undefined
  }

  /** What the key has made, where it has made something. */
  #first(draft: Timed): Extract<Outcome, { kind: 'repeated' | 'reused' }> | undefined {
    const { findKey, findComment } = this.#statements
    const { videoId, authorId, authorName, key, content, act } = draft
    const made = findKey.get(videoId, authorId, key)
    if (made === undefined) return undefined
    const row = findComment.get(videoId, made.id)
    if (!row) throw new RowDamagedError('a key names a comment that is not there')
    const { comment, deletedBy } = storedOf(videoId, row)
    const isDeleted = deletedBy !== undefined
    // A key of a former version remembers nothing of its own.
    const isSame = made.said instanceof Uint8Array ? keyHash(draft).equals(made.said) : isDeleted || (!act && comment.content === content)
    if (!isSame) return { kind: 'reused' }
    return { kind: 'repeated', comment: isDeleted ? { ...comment, authorId, ...nameOf(authorName), content } : comment }
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
  const columns = 'SELECT id, prev, author_id, author_name, content, created_at, entry FROM comments WHERE video_id = ?'
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
    insertComment: db.prepare('INSERT INTO comments (video_id, id, prev, author_id, author_name, content, created_at, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    findKey: db.prepare<[string, string, string], { id: unknown; said: unknown }>('SELECT id, said FROM keys WHERE video_id = ? AND author_id = ? AND key = ?'),
    insertKey: db.prepare('INSERT INTO keys (video_id, author_id, key, id, created_at, said) VALUES (?, ?, ?, ?, ?, ?)'),
    blankComment: db.prepare("UPDATE comments SET author_id = '', author_name = NULL, content = '', entry = ? WHERE video_id = ? AND id = ?"),
    unpin: db.prepare('UPDATE video_states SET pinned = NULL WHERE video_id = ? AND pinned = ?'),
    setPinned: db.prepare('INSERT INTO video_states (video_id, pinned) VALUES (?, ?) ON CONFLICT DO UPDATE SET pinned = excluded.pinned'),
    setSettings: db.prepare('INSERT INTO video_states (video_id, settings) VALUES (?, ?) ON CONFLICT DO UPDATE SET settings = excluded.settings'),
    setBan: db.prepare('INSERT INTO bans (video_id, author_id, until) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until'),
    endBans: db.prepare('DELETE FROM bans WHERE video_id = ? AND until <= ?'),
    videoState: db.prepare<[string], { settings: unknown; pinned: unknown }>('SELECT settings, pinned FROM video_states WHERE video_id = ?'),
    bans: db.prepare<[string, number], { author_id: string; until: number }>('SELECT author_id, until FROM bans WHERE video_id = ? AND until > ?'),
    // Keys are kept for longer than a slow mode lasts, and an author's are found by their index.
    lastPostedAt: db
      .prepare<[string, string], number | null>(
        `SELECT max(keys.created_at) FROM keys JOIN comments ON comments.video_id = keys.video_id AND comments.id = keys.id
         WHERE keys.video_id = ? AND keys.author_id = ? AND (comments.entry IS NULL OR comments.entry LIKE '{"deletedBy"%')`,
      )
      .pluck(),
    places: db.prepare<[string, number, number], { video_id: string; id: unknown; author_id: unknown; entry: unknown }>('SELECT video_id, id, author_id, entry FROM comments WHERE (video_id, id) > (?, ?) ORDER BY video_id, id LIMIT ?'),
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
  const columns = db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck()
  const missingColumns = () => COLUMNS.filter(([table, column]) => !columns.all(table).includes(column))
  if (version() === SCHEMA_VERSION && missing().length === 0 && missingColumns().length === 0) return
  db.transaction(() => {
    const from = version()
    if (from > SCHEMA_VERSION) throw new NewerSchemaError(path, from)
    for (const step of STEPS.slice(from)) db.exec(step)
    for (const name of missing()) db.exec(TABLES[name]!)
    for (const [table, column, type] of missingColumns()) db.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`)
    db.prepare('INSERT OR IGNORE INTO store (one, id, generation) VALUES (1, ?, ?)').run(newName(), newName())
    db.pragma(`user_version = ${SCHEMA_VERSION}`)
  }).immediate()
}

/** Random: no other file has it. */
function newName(): string {
  return randomBytes(8).toString('hex')
}

/** @throws RowDamagedError */
function storedOf(videoId: VideoId, { id, prev, author_id, author_name, content, created_at, entry }: Row): Stored {
  if (typeof author_id !== 'string' || typeof content !== 'string' || typeof created_at !== 'number' || !Number.isFinite(created_at) || (author_name !== null && typeof author_name !== 'string')) throw new RowDamagedError('a comment is not one')
  const stored: Stored = { comment: { id: cursorOf(id), videoId, authorId: author_id, ...nameOf(author_name), content, createdAt: created_at }, prev: cursorOf(prev), ...entryOf(entry) }
  if (stored.prev >= stored.comment.id) throw new RowDamagedError('a chain leads back')
  return stored
}

/** What is not a comment. An act of a later version stays one. @throws RowDamagedError */
function entryOf(entry: unknown): Pick<Stored, 'act' | 'deletedBy'> {
  if (entry === null) return {}
  const { deletedBy, ...act } = objectIn(entry)
  if (deletedBy !== undefined) return { deletedBy: cursorOf(Number(deletedBy)) }
  return { act: readAct(act) ?? (act as unknown as Act) }
}

/** @throws RowDamagedError */
function settingsOf(settings: unknown): Settings {
  const act = readAct({ type: 'settings', settings: objectIn(settings) })
  if (act?.type !== 'settings') throw new RowDamagedError('settings are not some')
  return act.settings
}

/** @throws RowDamagedError */
function objectIn(text: unknown): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text as string)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new RowDamagedError('an entry is not JSON')
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
