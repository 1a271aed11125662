import type Database from 'better-sqlite3'
import { KEY_KEPT_MS } from './store.js'

/** Commits in a row whose clocks must agree before they count. */
const COMMITS = 16
/** Between two marks in the order of the keys, by the commits' clocks. */
const MARK_MS = 10 * 60 * 1000

/** The marks: every key up to `n` had been made by then, Unix ms. */
export const KEY_AGES = 'CREATE TABLE key_ages (n INTEGER PRIMARY KEY, made_by INTEGER NOT NULL)'

/** Lets idempotency keys go once they are old enough, the oldest first. A key's own time is never looked at, since any
 * one clock may be wrong: keys age by their order, marked now and then with the latest time that the last commits
 * claimed, and a mark is old once the earliest time that they claim says so. So a clock that is days off for less than
 * 16 commits in a row forgets no key early, and keeps none for long. */
export class KeyExpiry {
  readonly #statements: ReturnType<typeof prepare>
  /** Unix ms, of the last commits of this process. */
  readonly #clocks: number[] = []
  /** The commits' clock at the last mark. */
  #markedAt = -Infinity
  /** The keys up to this one may go. */
  #upTo = 0

  constructor(db: Database.Database) {
    this.#statements = prepare(db)
  }

  /** To be called once for each commit, before its `expire`. @param nowMs its clock, Unix ms */
  commitsAt(nowMs: number): void {
    this.#clocks.push(nowMs)
    if (this.#clocks.length > COMMITS) this.#clocks.shift()
  }

  /** Deletes old keys, at most `limit`, in the caller's transaction: a backlog shrinks, and no commit is long for it. */
  expire(limit: number): void {
    if (this.#clocks.length < COMMITS) return
    const earliest = Math.min(...this.#clocks)
    if (Math.abs(earliest - this.#markedAt) >= MARK_MS) this.#mark(earliest)
    if (this.#upTo > 0 && this.#statements.prune.run({ upTo: this.#upTo, limit }).changes === 0) this.#upTo = 0
  }

  #mark(earliest: number): void {
    const { mark, oldest, forget } = this.#statements
    this.#markedAt = earliest
    mark.run(Math.max(...this.#clocks))
    this.#upTo = oldest.get(earliest - KEY_KEPT_MS) ?? 0
    forget.run(this.#upTo)
  }
}

function prepare(db: Database.Database) {
  return {
    mark: db.prepare<[number]>('INSERT OR IGNORE INTO key_ages (n, made_by) SELECT max(n), ? FROM keys HAVING max(n) IS NOT NULL'),
    oldest: db.prepare<[number], number | null>('SELECT max(n) FROM key_ages WHERE made_by < ?').pluck(),
    forget: db.prepare<[number]>('DELETE FROM key_ages WHERE n < ?'),
    // The newest stays: the next number follows from it, and tells how much was ever stored.
    prune: db.prepare('DELETE FROM keys WHERE n IN (SELECT n FROM keys WHERE n <= @upTo AND n < (SELECT max(n) FROM keys) ORDER BY n LIMIT @limit)'),
  }
}
