import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Database from 'better-sqlite3'
import type { Comment, VideoId } from '../../protocol/comment.js'
import { actFields } from '../../protocol/entry.js'
import type { HeldComment, HeldId } from '../../protocol/held.js'
import { MAX_CURSOR, nextId, type Cursor } from '../../protocol/id.js'
import { closeStoreFiles } from './closed-files.js'
import { codeOf, isDamage, RowDamagedError } from './damage.js'
import { KeyExpiry } from './key-expiry.js'
import { keyHash } from './key-hash.js'
import { newName } from './name.js'
import { FileMovedError, OpenFiles, placeOf } from './open-files.js'
import { SqliteActs } from './sqlite-acts.js'
import { SqliteHeld } from './sqlite-held.js'
import { SqliteHooks } from './sqlite-hooks.js'
import { cursorOf, nameOf, SELECT_ROWS, storedOf, type Row } from './sqlite-row.js'
import { migrate } from './sqlite-schema.js'
import type { StoreFile } from './store-file.js'
import { blank, type Found, type Held, type Outcome, type Place, type Range, type Stored, type StoredState, type Taken, type Timed, type Unsent, type UnsentVideos } from './store.js'

/** Rows that one call looks at in search of an author's comments. */
const SEARCHED_ROWS = 5_000
/** As much as a post or two: a disk that is nearly full takes less. */
const PROBE_BYTES = 32 * 1024
/** SQLite checks about 1 GB a second of a file that is in memory, and less from a disk. */
const MAX_CHECKED_BYTES = 2 * 1024 ** 3
/** A group is begun anew so often without the videos that have met damage. */
const MAX_TRIES = 8

interface StoreRow {
  readonly id: string
  readonly generation: string
  /** The generation and the place that were accepted last. */
  readonly accepted: string | null
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
  readonly #acts: SqliteActs
  readonly #held: SqliteHeld
  readonly #hooks: SqliteHooks
  /** Whether what is stored is to be sent to a web hook. */
  readonly #isHooked: boolean
  readonly #files: OpenFiles
  readonly #generation: string
  /** The number of the key that the last transaction made last, 0 where it made none. */
  #newestKey = 0
  /** Undefined once it met damage: keys are then kept for as long as the file is open. */
  #keyExpiry: KeyExpiry | undefined

  /** Opens the file, makes it and its folder where they are missing, takes it from other users, and brings its schema up to date.
   * @param busyMs how long a call waits, blocking, for another connection's lock
   * @param mayCreate false: a file that is missing is not made
   * @param isHooked what is stored is to be sent to a web hook
   * @throws NewerSchemaError, FileMissingError, FileMovedError; an error of SQLite or of the file system, such as busy */
  constructor(path: string, busyMs: number, mayCreate = true, isHooked = false) {
    this.#isHooked = isHooked
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
      this.#acts = new SqliteActs(this.#db)
      this.#hooks = new SqliteHooks(this.#db)
      this.#held = new SqliteHeld(this.#db, isHooked ? this.#hooks : undefined)
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
    const page = rows.map(row => this.#acts.withPinned(storedOf(videoId, row)))
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
    return { ...this.#acts.state(videoId, nowMs), head: this.lastId(videoId) }
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

  heldIn(videoId: VideoId, limit: number): HeldComment[] {
    return this.#held.waiting(videoId, limit)
  }

  held(videoId: VideoId, id: HeldId): Held | undefined {
    return this.#held.find(videoId, id)
  }

  refuseHeld(videoId: VideoId, id: HeldId, reason: string | undefined, nowMs: number): Held | undefined {
    this.#write(() => this.#held.refuse(videoId, id, reason, nowMs))
    return this.#held.find(videoId, id)
  }

  eraseHeld(authorId: string): number {
    return this.#write(() => this.#held.erase(authorId))
  }

  unsent(videoId: VideoId, limit: number): Unsent {
    const held = this.#hooks.heldIds(videoId, limit).flatMap(id => this.#held.find(videoId, id) ?? [])
    return { after: this.#hooks.after(videoId), held }
  }

  unsentVideos(after: string | undefined): UnsentVideos {
    return this.#hooks.videos(after)
  }

  noteTaken(taken: Taken): void {
    this.#write(() => this.#hooks.noteTaken(taken))
  }

  close(): void {
    this.#db.close()
  }

  /** In one transaction. @throws FileMovedError, or an error of SQLite */
  #write<T>(work: () => T): T {
    this.#files.check()
    const result = this.#db.transaction(work).immediate()
    this.#files.check()
    return result
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
    const { videoId, authorId, authorName, by, content, key, act } = draft
    const done = this.#first(draft) ?? (act && this.#acts.refused(videoId, act)) ?? (draft.review && this.#held.hold(draft, nowMs))
    if (done) return done
    const last = newestId.get(videoId) ?? 0
    if (typeof last === 'number' && last >= MAX_CURSOR) return { kind: 'failed', reason: 'IDS_EXHAUSTED' }
    const prev = cursorOf(last)
    const id = nextId(nowMs, prev)
    const comment: Comment = act ? blank({ videoId, id, createdAt: nowMs }) : { id, videoId, authorId, ...nameOf(authorName), ...(by && { by }), content, createdAt: nowMs }
    insertComment.run(videoId, id, prev, comment.authorId, comment.authorName ?? null, comment.content, nowMs, act ? JSON.stringify(actFields(act)) : null, comment.by ?? null)
    this.#newestKey = Number(insertKey.run(videoId, authorId, key, id, nowMs, keyHash(draft)).lastInsertRowid)
    if (this.#isHooked) this.#hooks.stored(videoId, prev, id)
    if (draft.review === 'approve') this.#held.approve(draft, id, nowMs)
    if (!act) return { kind: 'created', comment, prev }
    this.#acts.carryOut(videoId, id, act, nowMs)
    return { kind: 'created', ...this.#acts.withPinned({ comment, prev, act }) }
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
    findComment: db.prepare<[string, unknown], Row>(`${SELECT_ROWS} AND id = ?`),
    ascending: db.prepare<[string, number, number, number], Row>(`${SELECT_ROWS} AND id > ? AND id <= ? ORDER BY id LIMIT ?`),
    descending: db.prepare<[string, number, number, number], Row>(`${SELECT_ROWS} AND id > ? AND id <= ? ORDER BY id DESC LIMIT ?`),
    insertComment: db.prepare('INSERT INTO comments (video_id, id, prev, author_id, author_name, content, created_at, entry, author_role) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    findKey: db.prepare<[string, string, string], { id: unknown; said: unknown }>('SELECT id, said FROM keys WHERE video_id = ? AND author_id = ? AND key = ?'),
    insertKey: db.prepare('INSERT INTO keys (video_id, author_id, key, id, created_at, said) VALUES (?, ?, ?, ?, ?, ?)'),
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
