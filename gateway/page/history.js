import { ask } from './ask.js'

export const PAGE = 100
const TIMEOUT_MS = 10_000

/** Reads a page of stored comments just `before` or `after` an id, oldest first; `more`: others lie beyond it.
 * Throws what cannot be read. */
export const historyOf = path => async (direction, cursor) => {
  const response = await ask(`${path}?direction=${direction}&cursor=${cursor}&pageSize=${PAGE}`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!response.ok) throw new Error(`history answered ${response.status}`)
  const { comments, nextCursor } = await response.json()
  return { comments: direction === 'before' ? comments.reverse() : comments, more: nextCursor !== null }
}
