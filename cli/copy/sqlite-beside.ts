import type Database from 'better-sqlite3'
import type { VideoId } from '../../protocol/comment.js'
import type { HeldId } from '../../protocol/held.js'
import type { Cursor } from '../../protocol/id.js'
import { heldOf, type HeldRow } from '../../dispatcher/store/sqlite-held.js'
import type { Held } from '../../dispatcher/store/store.js'
import { UnknownColumnError, type HookPlace } from './copied-store.js'

/** What a file keeps beside the comments, as it is copied: those that are held, and where a web hook is. */
export class SqliteBeside {
  readonly #db: Database.Database
  /** Former files have neither. */
  readonly #keepsHeld: boolean
  readonly #keepsHooks: boolean

  constructor(db: Database.Database) {
    this.#db = db
    const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
    this.#keepsHeld = tables.includes('held')
    this.#keepsHooks = tables.includes('hook_videos') && tables.includes('hook_held')
  }

  /** Videos of which something is held. */
  heldVideos(): VideoId[] {
    return this.#keepsHeld ? this.#db.prepare<[], string>('SELECT DISTINCT video_id FROM held').pluck().all() : []
  }

  /** @throws RowDamagedError */
  held(videoId: VideoId): Held[] {
    if (!this.#keepsHeld) return []
    return this.#db.prepare<[string], HeldRow>('SELECT * FROM held WHERE video_id = ? ORDER BY n').all(videoId).map(row => heldOf(videoId, row))
  }

  /** @throws UnknownColumnError */
  setHeld(videoId: VideoId, changed: readonly Held[], gone: readonly HeldId[]): void {
    if (!this.#keepsHeld) throw new UnknownColumnError(this.#db.name, 'held comments')
    const remove = this.#db.prepare('DELETE FROM held WHERE video_id = ? AND id = ?')
    const put = this.#db.prepare('INSERT OR REPLACE INTO held (video_id, id, author_id, author_name, content, key, said, held_at, decided_at, made, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    const now = Date.now()
    this.#db
      .transaction(() => {
        for (const id of gone) remove.run(videoId, id)
        for (const { id, authorId, authorName, content, key, said, heldAt, decided } of changed) {
          const [made, reason] = decided && 'refused' in decided ? [null, decided.reason ?? null] : [decided?.approved ?? null, null]
          put.run(videoId, id, authorId, authorName ?? null, content, key, said, heldAt, decided ? now : null, made, reason)
        }
      })
      .immediate()
  }

  hookedVideos(): VideoId[] {
    return this.#keepsHooks ? this.#db.prepare<[], string>('SELECT video_id FROM hook_videos UNION SELECT video_id FROM hook_held').pluck().all() : []
  }

  hookPlace(videoId: VideoId): HookPlace {
    if (!this.#keepsHooks) return { after: undefined, isDue: false, held: [] }
    const row = this.#db.prepare<[string], { taken: number; head: number }>('SELECT taken, head FROM hook_videos WHERE video_id = ?').get(videoId)
    const held = this.#db.prepare<[string], string>('SELECT id FROM hook_held JOIN held USING (video_id, id) WHERE video_id = ? ORDER BY id').pluck().all(videoId)
    return { after: row?.taken, isDue: row !== undefined && row.head > row.taken, held }
  }

  /** @param lastId the video's newest @throws UnknownColumnError */
  setHookPlace(videoId: VideoId, { after, isDue, held }: HookPlace, lastId: Cursor): void {
    if (!this.#keepsHooks) throw new UnknownColumnError(this.#db.name, 'the place of a web hook')
    const setPlace = this.#db.prepare('INSERT OR REPLACE INTO hook_videos (video_id, taken, head) VALUES (?, ?, ?)')
    const forget = this.#db.prepare('DELETE FROM hook_held WHERE video_id = ?')
    const mark = this.#db.prepare('INSERT INTO hook_held (video_id, id) VALUES (?, ?)')
    this.#db
      .transaction(() => {
        if (after !== undefined) setPlace.run(videoId, after, isDue ? lastId : after)
        forget.run(videoId)
        for (const id of held) mark.run(videoId, id)
      })
      .immediate()
  }
}
