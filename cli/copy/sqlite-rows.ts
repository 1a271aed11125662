import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { VideoId } from '../../protocol/comment.js'
import type { HeldId } from '../../protocol/held.js'
import { MAX_CURSOR, type CommentId, type Cursor } from '../../protocol/id.js'
import { markOf } from '../../dispatcher/store/copy.js'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import type { Held } from '../../dispatcher/store/store.js'
import { OtherRowsError, PAGE, UnknownColumnError, type CopiedStore, type HookPlace, type Key, type Row, type Value, type VideoState } from './copied-store.js'
import { SqliteBeside } from './sqlite-beside.js'

/** How long a call waits for a dispatcher's lock, ms. */
const BUSY_MS = 5_000
/** Columns that say where a row is. */
const PLACE = ['video_id', 'id', 'prev']

/** A store in a file, as it is copied; dispatchers may use it meanwhile. */
export class SqliteRows implements CopiedStore {
  readonly id: string
  readonly name: string
  readonly columns: ReadonlySet<string>
  readonly #db: Database.Database
  /** Former files do not remember what was said under a key, nor acts. */
  readonly #keepsSaid: boolean
  readonly #keepsActs: boolean
  readonly #beside: SqliteBeside

  private constructor(path: string, readonly: boolean) {
    this.name = path
    this.id = markOf(path).id ?? ''
    this.#db = new Database(path, { readonly, fileMustExist: true, timeout: BUSY_MS })
    if (!readonly) {
      this.#db.pragma('synchronous = FULL')
      this.#db.pragma('secure_delete = ON') // what was deleted is overwritten
    }
    const columnsOf = this.#db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck()
    this.columns = new Set(columnsOf.all('comments').filter(column => !PLACE.includes(column)))
    this.#keepsSaid = columnsOf.all('keys').includes('said')
    this.#keepsActs = columnsOf.all('video_states').length > 0
    this.#beside = new SqliteBeside(this.#db)
  }

  /** @throws CopyError where it holds no store; an error of SQLite */
  static source(path: string): SqliteRows {
    return new SqliteRows(path, true)
  }

  /** Makes the file where there is none. @throws as {@link source}; NewerSchemaError */
  static target(path: string): SqliteRows {
    if (existsSync(path)) markOf(path) // what is no store is not made one
    new SqliteDatabase(path, BUSY_MS).close()
    return new SqliteRows(path, false)
  }

  videos(): Promise<readonly VideoId[]> {
    const videos = this.#db.prepare<[], string>('SELECT DISTINCT video_id FROM comments').pluck().all()
    return Promise.resolve([...new Set([...videos, ...this.#beside.heldVideos()])])
  }

  count(): Promise<number> {
    return Promise.resolve(this.#db.prepare<[], number>('SELECT count(*) FROM comments').pluck().get()!)
  }

  lastId(videoId: VideoId): Promise<Cursor> {
    return Promise.resolve(this.#lastId(videoId))
  }

  async *rows(videoId: VideoId, after: Cursor, until: Cursor): AsyncIterable<readonly Row[]> {
    const select = this.#db.prepare<[string, number, number, number], Record<string, Value | null>>('SELECT * FROM comments WHERE video_id = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?')
    for (let last = after; last < until; ) {
      const page = select.all(videoId, last, until, PAGE).map(row => this.#rowOf(row))
      if (page.length === 0) return
      yield page
      last = page.at(-1)!.id
      await Promise.resolve()
    }
  }

  keys(videoId: VideoId): Promise<ReadonlyMap<CommentId, Key>> {
    const said = this.#keepsSaid ? 'said' : 'NULL AS said'
    const rows = this.#db.prepare<[string], { id: number; author_id: string; key: string; said: Buffer | null }>(`SELECT id, author_id, key, ${said} FROM keys WHERE video_id = ?`).all(videoId)
    return Promise.resolve(new Map(rows.map(({ id, author_id, key, said }) => [id, { authorId: author_id, key, ...(said ? { said: said.toString('base64') } : {}) }])))
  }

  state(videoId: VideoId): Promise<VideoState | undefined> {
    if (!this.#keepsActs) return Promise.resolve(undefined)
    const row = this.#db.prepare<[string], { settings: string | null; pinned: number | null }>('SELECT settings, pinned FROM video_states WHERE video_id = ?').get(videoId)
    const bans = this.#db.prepare<[string], { author_id: string; until: number }>('SELECT author_id, until FROM bans WHERE video_id = ?').all(videoId)
    if (!row && bans.length === 0) return Promise.resolve(undefined)
    return Promise.resolve({
      ...(row?.settings ? { settings: JSON.parse(row.settings) as object } : {}),
      ...(row?.pinned ? { pinned: row.pinned } : {}),
      bans: Object.fromEntries(bans.map(({ author_id, until }) => [author_id, until])),
    })
  }

  setState(videoId: VideoId, { settings, pinned, bans }: VideoState): Promise<void> {
    if (!this.#keepsActs) throw new UnknownColumnError(this.name, 'acts upon a video')
    this.#db
      .transaction(() => {
        this.#db.prepare('INSERT OR REPLACE INTO video_states (video_id, settings, pinned) VALUES (?, ?, ?)').run(videoId, settings ? JSON.stringify(settings) : null, pinned ?? null)
        this.#db.prepare('DELETE FROM bans WHERE video_id = ?').run(videoId)
        for (const [authorId, until] of Object.entries(bans)) this.#db.prepare('INSERT INTO bans (video_id, author_id, until) VALUES (?, ?, ?)').run(videoId, authorId, until)
      })
      .immediate()
    return Promise.resolve()
  }

  amend(videoId: VideoId, rows: readonly Row[]): Promise<void> {
    const names = [...this.columns]
    const update = this.#db.prepare(`UPDATE comments SET ${names.map(name => `${name} = ?`).join(', ')} WHERE video_id = ? AND id = ?`)
    this.#db.transaction(() => rows.forEach(({ id, columns }) => update.run(...names.map(name => columns[name] ?? null), videoId, id))).immediate()
    return Promise.resolve()
  }

  append(videoId: VideoId, after: Cursor, rows: readonly Row[], keys: ReadonlyMap<CommentId, Key>): Promise<void> {
    const names = [...this.columns]
    const insert = this.#db.prepare(`INSERT INTO comments (video_id, id, prev, ${names.join(', ')}) VALUES (?, ?, ?${', ?'.repeat(names.length)})`)
    const said = this.#keepsSaid ? ['said'] : []
    const insertKey = this.#db.prepare(`INSERT INTO keys (${['video_id', 'author_id', 'key', 'id', 'created_at', ...said].join(', ')}) VALUES (?, ?, ?, ?, ?${', ?'.repeat(said.length)})`)
    this.#db
      .transaction(() => {
        if (this.#lastId(videoId) !== after) throw new OtherRowsError(videoId)
        for (const { id, prev, columns } of rows) {
          insert.run(videoId, id, prev, ...names.map(name => columns[name] ?? null))
          const key = keys.get(id)
          if (key) insertKey.run(videoId, key.authorId, key.key, id, columns['created_at'], ...said.map(() => (key.said === undefined ? null : Buffer.from(key.said, 'base64'))))
        }
      })
      .immediate()
    return Promise.resolve()
  }

  held(videoId: VideoId): Promise<Held[]> {
    return Promise.resolve(this.#beside.held(videoId))
  }

  setHeld(videoId: VideoId, changed: readonly Held[], gone: readonly HeldId[]): Promise<void> {
    this.#beside.setHeld(videoId, changed, gone)
    return Promise.resolve()
  }

  hookedVideos(): Promise<VideoId[]> {
    return Promise.resolve(this.#beside.hookedVideos())
  }

  hookPlace(videoId: VideoId): Promise<HookPlace> {
    return Promise.resolve(this.#beside.hookPlace(videoId))
  }

  setHookPlace(videoId: VideoId, place: HookPlace, lastId: Cursor): Promise<void> {
    this.#beside.setHookPlace(videoId, place, lastId)
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#db.close()
    return Promise.resolve()
  }

  #lastId(videoId: VideoId): Cursor {
    return this.#db.prepare<[string, number], number>('SELECT id FROM comments WHERE video_id = ? AND id <= ? ORDER BY id DESC LIMIT 1').pluck().get(videoId, MAX_CURSOR) ?? 0
  }

  #rowOf(row: Record<string, Value | null>): Row {
    return { id: row['id'] as number, prev: row['prev'] as number, columns: filled(row, this.columns) }
  }
}

/** The columns that hold something. */
export function filled(row: Readonly<Record<string, unknown>>, columns: ReadonlySet<string>): Record<string, Value> {
  return Object.fromEntries([...columns].flatMap(name => (row[name] === null || row[name] === undefined ? [] : [[name, row[name] as Value]])))
}
