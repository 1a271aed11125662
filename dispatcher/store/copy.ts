import { chmodSync, chownSync, closeSync, constants, copyFileSync, existsSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { SqliteDatabase } from './sqlite-database.js'
import { NewerSchemaError } from './sqlite-schema.js'

/** Which store a file holds, and how much of it. */
export interface StoreMark {
  /** As the store says of itself; null in a file of before stores had an identity. */
  readonly id: string | null
  readonly generation: string | null
  /** How many idempotency keys it has made. */
  readonly stored: number
}

/** What a file of comments holds. */
export interface StoreContent extends StoreMark {
  readonly comments: number
  readonly videos: number
}

/** A file is not what it should be. */
export class CopyError extends Error {
  override readonly name = 'CopyError'
}

/** How long a call waits for another process's lock, ms. */
const BUSY_MS = 5_000
/** The database, its log, and the index of the log. */
const SUFFIXES = ['', '-wal', '-shm']

/** Which store the file at the path holds. It is neither changed nor brought up to date: an older dispatcher may be using it.
 * @throws CopyError for what is no store; an error of SQLite */
export function markOf(path: string): StoreMark {
  return reading(path, markIn)
}

/** What a copy holds. @throws CopyError for damage; an error of SQLite */
function checkedContentOf(path: string): StoreContent {
  return reading(path, db => {
    const found = db.pragma('integrity_check(1)', { simple: true })
    if (found !== 'ok') throw new CopyError(`${path} is damaged: ${String(found)}`)
    return contentIn(db)
  })
}

/** Copies a store into a new file, as it is at one moment, while dispatchers use it. Nothing is at `to` until the whole copy
 * is on the disk and has been checked.
 * @throws CopyError; an error of SQLite or of the file system */
export function copyStore(path: string, to: string): StoreContent {
  if (existsSync(to)) throw new CopyError(`${to} is there already`)
  const partial = `${to}.partial`
  rmSync(partial, { force: true })
  try {
    closeSync(openSync(partial, 'wx', 0o600)) // comments are for those who may read the store
    const before = reading(path, db => {
      const before = contentIn(db)
      db.prepare('VACUUM INTO ?').run(partial)
      return before
    })
    const copy = checkedContentOf(partial)
    // Comments are never deleted, and more may have come while it was copied.
    if (copy.id !== before.id || copy.generation !== before.generation || copy.comments < before.comments || copy.stored < before.stored) throw new CopyError(`${partial} is not what ${path} was`)
    sync(partial)
    renameSync(partial, to)
    sync(dirname(to))
    return copy
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
}

/** A backup that is ready to take the store's place. */
export interface Replacement {
  /** What it holds, under its new generation. */
  readonly content: StoreContent & { readonly id: string; readonly generation: string }
  /** Takes the place. Dispatchers that have the former file open notice before their next answer.
   * @returns where the former file is now; undefined where there was none */
  put(): string | undefined
  /** Removes what is left of the copy beside the store, where it has been put there or not. */
  discard(): void
}

/** Copies a backup to beside the store's path, checks the copy, brings it up to date and gives it a new generation.
 * @param path where the store is, or should be
 * @throws CopyError; an error of SQLite or of the file system */
export function replacementOf(backup: string, path: string): Replacement {
  const place = existsSync(path) ? realpathSync(path) : path // what a link leads to is the store
  if (realpathSync(backup) === place) throw new CopyError(`${backup} is the store itself`)
  const next = `${place}.next`
  const discard = () => removeAll(next)
  discard()
  try {
    for (const suffix of ['', '-wal']) if (existsSync(backup + suffix)) copyFileSync(backup + suffix, next + suffix, constants.COPYFILE_FICLONE)
    give(next, place)
    markOf(next) // a file of something else would be made a store
    const database = new SqliteDatabase(next, BUSY_MS, false)
    try {
      database.renew()
    } finally {
      database.close()
    }
    if ((statSync(`${next}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) throw new CopyError(`what is in ${next}-wal could not be moved into ${next}`)
    const content = checkedContentOf(next)
    sync(next)
    return { content: { ...content, id: content.id!, generation: content.generation! }, put: () => replace(place, next), discard }
  } catch (error) {
    discard()
    throw error instanceof NewerSchemaError ? new CopyError(error.message, { cause: error }) : error
  }
}

/** The database goes first: without it nobody opens the log and the index that are left, and they are gone before the next
 * database is there, which would take them for its own. */
function replace(place: string, next: string): string | undefined {
  const former = `${place}.replaced-${new Date().toISOString().replace(/[-:.]/g, '')}`
  const isThere = existsSync(place)
  for (const suffix of SUFFIXES) if (existsSync(place + suffix)) renameSync(place + suffix, former + suffix)
  renameSync(next, place)
  sync(dirname(place))
  return isThere ? former : undefined
}

/** Lets the dispatchers' user, whom the former file or its folder belongs to, use the file. */
function give(file: string, place: string): void {
  const isThere = existsSync(place)
  const { uid, gid, mode } = statSync(isThere ? place : dirname(place))
  const own = process.geteuid?.()
  if (own !== 0 && own !== uid) throw new CopyError(`${place} belongs to another user: only that one, or root, can replace it`)
  for (const suffix of SUFFIXES) {
    if (!existsSync(file + suffix)) continue
    chmodSync(file + suffix, isThere ? mode & 0o777 : 0o600)
    if (own === 0) chownSync(file + suffix, uid, gid)
  }
}

function reading<T>(path: string, read: (db: Database.Database) => T): T {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS })
  try {
    db.pragma('cell_size_check = ON')
    return read(db)
  } finally {
    db.close()
  }
}

function contentIn(db: Database.Database): StoreContent {
  const mark = markIn(db)
  return { ...mark, ...db.prepare<[], { comments: number; videos: number }>('SELECT count(*) AS comments, count(DISTINCT video_id) AS videos FROM comments').get()! }
}

/** @throws CopyError where there are no comments */
function markIn(db: Database.Database): StoreMark {
  const tables = new Set(db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all())
  if (!tables.has('comments') || !tables.has('keys')) throw new CopyError(`${db.name} is no store of comments`)
  const store = tables.has('store') ? db.prepare<[], { id: string; generation: string }>('SELECT id, generation FROM store').get() : undefined
  return { id: store?.id ?? null, generation: store?.generation ?? null, stored: db.prepare<[], number | null>('SELECT max(n) FROM keys').pluck().get() ?? 0 }
}

/** Puts a file, or a folder's names, on the disk. */
function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function removeAll(file: string): void {
  for (const suffix of SUFFIXES) rmSync(file + suffix, { force: true })
}
