import type Database from 'better-sqlite3'
import type { Comment, VideoId } from '../../protocol/comment.js'
import { DEFAULT_SETTINGS, type Act } from '../../protocol/entry.js'
import type { CommentId } from '../../protocol/id.js'
import { SELECT_ROWS, settingsOf, storedOf, type Row } from './sqlite-row.js'
import { blank, type Outcome, type Stored, type StoredState } from './store.js'

/** What acts do to the comments of the file, and what they have come to. It works in its caller's transactions. */
export class SqliteActs {
  readonly #statements: ReturnType<typeof prepare>

  constructor(db: Database.Database) {
    this.#statements = prepare(db)
  }

  /** Why there is nothing to do; undefined where there is. @throws RowDamagedError */
  refused(videoId: VideoId, act: Act): Outcome | undefined {
    if ((act.type !== 'deleted' && act.type !== 'pinned') || act.target === undefined) return undefined
    const row = this.#statements.findComment.get(videoId, act.target)
    const target = row && storedOf(videoId, row)
    if (!target || target.act) return { kind: 'missing' }
    if (target.deletedBy === undefined) return undefined
    if (act.type === 'pinned') return { kind: 'missing' }
    return { kind: 'repeated', comment: blank({ videoId, id: target.deletedBy, createdAt: target.comment.createdAt }) }
  }

  /** Does what the act says, once it has its place in the chain. @param id the act's own @param nowMs bans that ended before go */
  carryOut(videoId: VideoId, id: CommentId, act: Act, nowMs: number): void {
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

  /** The entry with the comment that it pins, as far as that is still there. @throws RowDamagedError */
  withPinned(stored: Stored): Stored {
    if (stored.act?.type !== 'pinned' || stored.act.target === undefined) return stored
    const pinned = this.#commentAt(stored.comment.videoId, stored.act.target)
    return pinned ? { ...stored, pinned } : stored
  }

  /** @param nowMs bans that ended before do not count @throws RowDamagedError */
  state(videoId: VideoId, nowMs: number): Omit<StoredState, 'head'> {
    const { videoState, bans } = this.#statements
    const row = videoState.get(videoId)
    return {
      settings: typeof row?.settings === 'string' ? settingsOf(row.settings) : DEFAULT_SETTINGS,
      pinned: typeof row?.pinned === 'number' ? this.#commentAt(videoId, row.pinned) : undefined,
      bans: new Map(bans.all(videoId, nowMs).map(({ author_id, until }) => [author_id, until])),
      unerased: [], // the act and the erasure are one transaction
    }
  }

  #commentAt(videoId: VideoId, id: CommentId): Comment | undefined {
    const row = this.#statements.findComment.get(videoId, id)
    const stored = row && storedOf(videoId, row)
    return stored && !stored.act && stored.deletedBy === undefined ? stored.comment : undefined
  }
}

function prepare(db: Database.Database) {
  return {
    findComment: db.prepare<[string, number], Row>(`${SELECT_ROWS} AND id = ?`),
    blankComment: db.prepare("UPDATE comments SET author_id = '', author_name = NULL, content = '', author_role = NULL, entry = ? WHERE video_id = ? AND id = ?"),
    unpin: db.prepare('UPDATE video_states SET pinned = NULL WHERE video_id = ? AND pinned = ?'),
    setPinned: db.prepare('INSERT INTO video_states (video_id, pinned) VALUES (?, ?) ON CONFLICT DO UPDATE SET pinned = excluded.pinned'),
    setSettings: db.prepare('INSERT INTO video_states (video_id, settings) VALUES (?, ?) ON CONFLICT DO UPDATE SET settings = excluded.settings'),
    setBan: db.prepare('INSERT INTO bans (video_id, author_id, until) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until'),
    endBans: db.prepare('DELETE FROM bans WHERE video_id = ? AND until <= ?'),
    videoState: db.prepare<[string], { settings: unknown; pinned: unknown }>('SELECT settings, pinned FROM video_states WHERE video_id = ?'),
    bans: db.prepare<[string, number], { author_id: string; until: number }>('SELECT author_id, until FROM bans WHERE video_id = ? AND until > ?'),
  }
}
