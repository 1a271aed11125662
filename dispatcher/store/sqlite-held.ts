import type Database from 'better-sqlite3'
import type { VideoId } from '../../protocol/comment.js'
import type { HeldComment, HeldId } from '../../protocol/held.js'
import type { CommentId } from '../../protocol/id.js'
import { RowDamagedError } from './damage.js'
import { heldIdOf, outcomeOfHeld, saidOf } from './held-draft.js'
import type { SqliteHooks } from './sqlite-hooks.js'
import { cursorOf, nameOf } from './sqlite-row.js'
import { KEY_KEPT_MS, type Held, type Outcome, type Timed } from './store.js'

export interface HeldRow {
  readonly id: unknown
  readonly author_id: unknown
  readonly author_name: unknown
  readonly content: unknown
  readonly key: unknown
  readonly said: unknown
  readonly held_at: unknown
  readonly decided_at: unknown
  readonly made: unknown
  readonly reason: unknown
}

/** The comments of the file that wait for a moderator, and what became of them. It works in its caller's transactions. */
export class SqliteHeld {
  readonly #statements: ReturnType<typeof prepare>
  readonly #hooks: SqliteHooks | undefined

  /** @param hooks which are told of what happens; undefined: none is */
  constructor(db: Database.Database, hooks: SqliteHooks | undefined) {
    this.#statements = prepare(db)
    this.#hooks = hooks
  }

  /** What waits, the oldest first. @throws RowDamagedError */
  waiting(videoId: VideoId, limit: number): HeldComment[] {
    return this.#statements.waiting.all(videoId, limit).map(row => {
      const { id, authorId, authorName, content, heldAt } = heldOf(videoId, row)
      return { id, videoId, authorId, ...nameOf(authorName), content, heldAt }
    })
  }

  /** @throws RowDamagedError */
  find(videoId: VideoId, id: HeldId): Held | undefined {
    const row = this.#statements.find.get(videoId, id)
    return row && heldOf(videoId, row)
  }

  /** What is held under the draft's key, also by this very draft; undefined where the draft is to be stored. @throws RowDamagedError */
  hold(draft: Timed, nowMs: number): Outcome | undefined {
    const { insert, prune } = this.#statements
    const { videoId, authorId, authorName, content, key } = draft
    const id = heldIdOf(draft)
    const outcome = outcomeOfHeld(draft, this.find(videoId, id))
    if (outcome || draft.review !== 'hold') return outcome
    insert.run(videoId, id, authorId, authorName ?? null, content, key, saidOf(draft), nowMs)
    this.#hooks?.held(videoId, id)
    prune.run(nowMs - KEY_KEPT_MS)
    return { kind: 'held' }
  }

  /** The comment that the draft has made takes the place of what was held. */
  approve(draft: Timed, made: CommentId, nowMs: number): void {
    this.#decide(draft.videoId, heldIdOf(draft), nowMs, made, null)
  }

  refuse(videoId: VideoId, id: HeldId, reason: string | undefined, nowMs: number): void {
    this.#decide(videoId, id, nowMs, null, reason ?? null)
  }

  /** @returns how many waited */
  erase(authorId: string): number {
    const { forgetUnsent, eraseWaiting, eraseDecided } = this.#statements
    forgetUnsent.run(authorId)
    const { changes } = eraseWaiting.run(authorId)
    eraseDecided.run(authorId)
    return changes
  }

  #decide(videoId: VideoId, id: HeldId, nowMs: number, made: CommentId | null, reason: string | null): void {
    const { changes } = this.#statements.decide.run(nowMs, made, reason, videoId, id)
    if (changes > 0) this.#hooks?.held(videoId, id)
  }
}

function prepare(db: Database.Database) {
  return {
    waiting: db.prepare<[string, number], HeldRow>('SELECT * FROM held WHERE video_id = ? AND decided_at IS NULL ORDER BY n LIMIT ?'),
    find: db.prepare<[string, string], HeldRow>('SELECT * FROM held WHERE video_id = ? AND id = ?'),
    insert: db.prepare('INSERT OR REPLACE INTO held (video_id, id, author_id, author_name, content, key, said, held_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    decide: db.prepare<[number, number | null, string | null, string, string]>("UPDATE held SET decided_at = ?, made = ?, reason = ?, author_name = NULL, content = '' WHERE video_id = ? AND id = ? AND decided_at IS NULL"),
    // Twice as many as came in. What a hook is still to be sent stays; however much that is, no more than the oldest are looked at.
    prune: db.prepare<[number]>(
      `DELETE FROM held WHERE n IN (
         SELECT n FROM (SELECT n, video_id, id FROM held WHERE decided_at < ? ORDER BY decided_at LIMIT 20) AS oldest
         WHERE NOT EXISTS (SELECT 1 FROM hook_held WHERE hook_held.video_id = oldest.video_id AND hook_held.id = oldest.id) LIMIT 2
       )`,
    ),
    forgetUnsent: db.prepare<[string]>('DELETE FROM hook_held WHERE (video_id, id) IN (SELECT video_id, id FROM held WHERE author_id = ?)'),
    eraseWaiting: db.prepare<[string]>('DELETE FROM held WHERE author_id = ? AND decided_at IS NULL'),
    eraseDecided: db.prepare<[string]>('DELETE FROM held WHERE author_id = ?'),
  }
}

/** @throws RowDamagedError */
export function heldOf(videoId: VideoId, { id, author_id, author_name, content, key, said, held_at, decided_at, made, reason }: HeldRow): Held {
  if (![id, author_id, content, key, said].every(text => typeof text === 'string') || typeof held_at !== 'number' || (author_name !== null && typeof author_name !== 'string')) throw new RowDamagedError('a held comment is not one')
  const decided = made === null ? { refused: true as const, ...(typeof reason === 'string' ? { reason } : {}) } : { approved: cursorOf(made) }
  return {
    ...({ id, authorId: author_id, content, key, said } as Pick<Held, 'id' | 'authorId' | 'content' | 'key' | 'said'>),
    videoId,
    ...nameOf(author_name),
    heldAt: held_at,
    ...(decided_at === null ? {} : { decided }),
  }
}
