import Database from 'better-sqlite3'

/** Gives a store's file the columns and tables of acts, where it does not have them, and acts upon a video: its comment `target` was
 * deleted by the act `by`, another is pinned, an author is banned. */
export function actIn(path: string, videoId: string, { target, by, pinned }: { readonly target: number; readonly by: number; readonly pinned: number }): void {
  const db = new Database(path)
  makeRoomForActs(db)
  db.prepare("UPDATE comments SET author_id = '', author_name = NULL, content = '', entry = ? WHERE video_id = ? AND id = ?").run(JSON.stringify({ deletedBy: String(by) }), videoId, target)
  db.prepare("UPDATE comments SET author_id = '', author_name = NULL, content = '', entry = ? WHERE video_id = ? AND id = ?").run(JSON.stringify({ type: 'deleted', target: String(target) }), videoId, by)
  db.prepare("UPDATE keys SET said = x'00112233' WHERE video_id = ?").run(videoId)
  db.prepare('INSERT OR REPLACE INTO video_states (video_id, settings, pinned) VALUES (?, ?, ?)').run(videoId, JSON.stringify({ closed: true, slowModeSeconds: 5 }), pinned)
  db.prepare("INSERT OR REPLACE INTO bans (video_id, author_id, until) VALUES (?, 'bob', 2000000000000)").run(videoId)
  db.close()
}

export function makeRoomForActs(db: Database.Database): void {
  const has = (table: string, column: string) => db.prepare('SELECT 1 FROM pragma_table_info(?) WHERE name = ?').get(table, column) !== undefined
  if (!has('comments', 'entry')) db.exec('ALTER TABLE comments ADD COLUMN entry TEXT')
  if (!has('keys', 'said')) db.exec('ALTER TABLE keys ADD COLUMN said BLOB')
  db.exec('CREATE TABLE IF NOT EXISTS video_states (video_id TEXT PRIMARY KEY, settings TEXT, pinned INTEGER) WITHOUT ROWID')
  db.exec('CREATE TABLE IF NOT EXISTS bans (video_id TEXT NOT NULL, author_id TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (video_id, author_id)) WITHOUT ROWID')
}
