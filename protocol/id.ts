/** A comment's id: a positive safe integer, 41 bits of milliseconds since 2025-01-01 UTC and a 12-bit
 * counter. It is unique and ascending within its video; two videos may have the same id. It serves as SSE event id,
 * history cursor and the client's dedupe key. Outside the program it is a decimal string. */
export type CommentId = number

/** A place in a video's order: a comment id, or 0 for "before the first". */
export type Cursor = number

export const ID_EPOCH_MS = Date.UTC(2025, 0, 1)
export const MAX_CURSOR = Number.MAX_SAFE_INTEGER
const PER_MS = 4096

/** The id after `last` for a comment accepted at `nowMs` (Unix ms). If the clock steps back, or a millisecond has more
 * than 4,096 comments, ids run ahead of the clock. A clock outside the 41 bits, before 2025 or after September 2094, is
 * ignored.
 * @throws RangeError if `last` is MAX_CURSOR or beyond: no id is left */
export function nextId(nowMs: number, last: Cursor): CommentId {
  if (last >= MAX_CURSOR) throw new RangeError('no id is left in this video')
  const byClock = (nowMs - ID_EPOCH_MS) * PER_MS
  return Math.max(byClock <= MAX_CURSOR ? byClock : 0, last + 1)
}

/** The time in the id, Unix ms: when a dispatcher accepted the comment. */
export function timeOfId(id: CommentId): number {
  return Math.floor(id / PER_MS) + ID_EPOCH_MS
}

/** The place before all that was accepted at `atMs` (Unix ms) or later: 0 before 2025, MAX_CURSOR after September 2094. */
export function cursorAt(atMs: number): Cursor {
  return Math.min(Math.max((atMs - ID_EPOCH_MS) * PER_MS - 1, 0), MAX_CURSOR)
}

/** Reads a decimal cursor 0 … 2^53 − 1; undefined for anything else. */
export function parseCursor(text: string): Cursor | undefined {
  if (!/^[0-9]{1,16}$/.test(text)) return undefined
  const value = Number(text)
  return value <= MAX_CURSOR ? value : undefined
}
