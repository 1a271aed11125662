import type Database from 'better-sqlite3'
import { KEY_AGES } from './key-expiry.js'
import { newName } from './name.js'

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
  // Comments that wait for a moderator, in the order they came in; and those that were decided within the last day or so, without
  // content. `made` is the comment that an approval has made, NULL after a refusal.
  held: `CREATE TABLE held (
     n           INTEGER PRIMARY KEY,
     video_id    TEXT    NOT NULL,
     id          TEXT    NOT NULL,
     author_id   TEXT    NOT NULL,
     author_name TEXT,
     content     TEXT    NOT NULL,
     key         TEXT    NOT NULL,
     said        TEXT    NOT NULL,
     held_at     INTEGER NOT NULL,
     decided_at  INTEGER,
     made        INTEGER,
     reason      TEXT,
     UNIQUE (video_id, id)
   );
   CREATE INDEX held_waiting ON held (video_id, n) WHERE decided_at IS NULL;
   CREATE INDEX held_decided ON held (decided_at) WHERE decided_at IS NOT NULL`,
  // What a web hook is to be sent: entries with taken < id <= head, and held comments as they are.
  hook_videos: `CREATE TABLE hook_videos (video_id TEXT PRIMARY KEY, taken INTEGER NOT NULL, head INTEGER NOT NULL) WITHOUT ROWID;
   CREATE INDEX hook_unsent ON hook_videos (video_id) WHERE head > taken`,
  hook_held: 'CREATE TABLE hook_held (video_id TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (video_id, id)) WITHOUT ROWID',
}

/** Columns beside the schema. Software that knows nothing of them leaves them NULL, and reads an act or a deleted comment as
 * a comment without author and content.
 * `entry`: NULL for a comment, else JSON: an act, or `deletedBy` with the id of the act that deleted it.
 * `author_role`: `moderator` for a comment that a moderator wrote, else NULL.
 * `said`: a hash of what was said under the key. */
const COLUMNS: readonly (readonly [table: string, column: string, type: string])[] = [
  ['comments', 'entry', 'TEXT'],
  ['comments', 'author_role', 'TEXT'],
  ['keys', 'said', 'BLOB'],
]

/** The file was written by a later version of this software. */
export class NewerSchemaError extends Error {
  constructor(path: string, version: number) {
    super(`${path} has schema version ${version}; this software knows up to ${SCHEMA_VERSION}: start a newer version of it`)
  }
}

/** In one transaction, so that of several processes that open a new file at once only one makes the tables. */
export function migrate(db: Database.Database, path: string): void {
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
