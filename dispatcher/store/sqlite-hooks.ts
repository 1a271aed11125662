import type Database from 'better-sqlite3'
import type { VideoId } from '../../protocol/comment.js'
import type { HeldId } from '../../protocol/held.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import { cursorOf } from './sqlite-row.js'
import type { Taken, UnsentVideos } from './store.js'

/** Videos of one call. */
const VIDEOS = 1_000

/** What the file has for a web hook, and what the hook has taken. It works in its caller's transactions. */
export class SqliteHooks {
  readonly #statements: ReturnType<typeof prepare>

  constructor(db: Database.Database) {
    this.#statements = prepare(db)
  }

  /** An entry is to be sent. The first one of a video says that none before it is. */
  stored(videoId: VideoId, prev: Cursor, id: CommentId): void {
    this.#statements.mark.run(videoId, prev, id)
  }

  /** A held comment, or what was decided about it, is to be sent. */
  held(videoId: VideoId, id: HeldId): void {
    this.#statements.markHeld.run(videoId, id)
  }

  /** All entries above it are to be sent; undefined where none has been stored for a hook. @throws RowDamagedError */
  after(videoId: VideoId): Cursor | undefined {
    const taken = this.#statements.taken.get(videoId)
    return taken === undefined ? undefined : cursorOf(taken)
  }

  heldIds(videoId: VideoId, limit: number): HeldId[] {
    return this.#statements.heldIds.all(videoId, limit)
  }

  videos(after: string | undefined): UnsentVideos {
    const videoIds = this.#statements.videos.all({ after: after ?? '', limit: VIDEOS })
    return { videoIds, after: videoIds.length < VIDEOS ? undefined : videoIds.at(-1) }
  }

  noteTaken({ entries, held }: Taken): void {
    for (const [videoId, id] of entries) this.#statements.take.run({ videoId, id })
    for (const { videoId, id, decided } of held) this.#statements.takeHeld.run({ videoId, id, decided: decided ? 1 : 0 })
  }
}

function prepare(db: Database.Database) {
  return {
    mark: db.prepare<[string, number, number]>('INSERT INTO hook_videos (video_id, taken, head) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET head = excluded.head'),
    markHeld: db.prepare<[string, string]>('INSERT OR IGNORE INTO hook_held (video_id, id) VALUES (?, ?)'),
    taken: db.prepare<[string], unknown>('SELECT taken FROM hook_videos WHERE video_id = ?').pluck(),
    heldIds: db.prepare<[string, number], string>('SELECT id FROM hook_held WHERE video_id = ? LIMIT ?').pluck(),
    videos: db
      .prepare<[{ after: string; limit: number }], string>(
        `SELECT video_id FROM hook_videos WHERE head > taken AND video_id > @after
         UNION SELECT video_id FROM hook_held WHERE video_id > @after ORDER BY video_id LIMIT @limit`,
      )
      .pluck(),
    take: db.prepare<[{ videoId: string; id: number }]>('UPDATE hook_videos SET taken = @id WHERE video_id = @videoId AND taken < @id AND EXISTS (SELECT 1 FROM comments WHERE comments.video_id = @videoId AND comments.id = @id)'),
    // One that is gone, erased with its author, is not sent either.
    takeHeld: db.prepare<[{ videoId: string; id: string; decided: number }]>(
      `DELETE FROM hook_held WHERE video_id = @videoId AND id = @id
       AND NOT EXISTS (SELECT 1 FROM held WHERE held.video_id = @videoId AND held.id = @id AND (held.decided_at IS NOT NULL) <> @decided)`,
    ),
  }
}
