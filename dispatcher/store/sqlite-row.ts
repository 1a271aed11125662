import type { Comment, VideoId } from '../../protocol/comment.js'
import { readAct, type Act, type Settings } from '../../protocol/entry.js'
import type { Cursor } from '../../protocol/id.js'
import { RowDamagedError } from './damage.js'
import type { Stored } from './store.js'

/** A video's rows. */
export const SELECT_ROWS = 'SELECT id, prev, author_id, author_name, content, created_at, entry, author_role FROM comments WHERE video_id = ?'

/** As the file has it: of a damaged one, any value of SQLite's may come for any column. */
export interface Row {
  readonly id: unknown
  readonly prev: unknown
  readonly author_id: unknown
  readonly author_name: unknown
  readonly content: unknown
  readonly created_at: unknown
  readonly entry: unknown
  readonly author_role: unknown
}

/** @throws RowDamagedError */
export function storedOf(videoId: VideoId, { id, prev, author_id, author_name, content, created_at, entry, author_role }: Row): Stored {
  if (typeof author_id !== 'string' || typeof content !== 'string' || typeof created_at !== 'number' || !Number.isFinite(created_at) || (author_name !== null && typeof author_name !== 'string')) throw new RowDamagedError('a comment is not one')
  const stored: Stored = { comment: { id: cursorOf(id), videoId, authorId: author_id, ...nameOf(author_name), ...(author_role === 'moderator' && { by: 'moderator' }), content, createdAt: created_at }, prev: cursorOf(prev), ...entryOf(entry) }
  if (stored.prev >= stored.comment.id) throw new RowDamagedError('a chain leads back')
  return stored
}

/** What is not a comment. An act of a later version stays one. @throws RowDamagedError */
function entryOf(entry: unknown): Pick<Stored, 'act' | 'deletedBy'> {
  if (entry === null) return {}
  const { deletedBy, ...act } = objectIn(entry)
  if (deletedBy !== undefined) return { deletedBy: cursorOf(Number(deletedBy)) }
  return { act: readAct(act) ?? (act as unknown as Act) }
}

/** @throws RowDamagedError */
export function settingsOf(settings: unknown): Settings {
  const act = readAct({ type: 'settings', settings: objectIn(settings) })
  if (act?.type !== 'settings') throw new RowDamagedError('settings are not some')
  return act.settings
}

/** @throws RowDamagedError */
function objectIn(text: unknown): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text as string)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new RowDamagedError('an entry is not JSON')
}

/** @throws RowDamagedError */
export function cursorOf(value: unknown): Cursor {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new RowDamagedError('an id is not one')
  return value
}

export function nameOf(authorName: string | null | undefined): Pick<Comment, 'authorName'> {
  return authorName === null || authorName === undefined ? {} : { authorName }
}
