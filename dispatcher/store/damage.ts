/** A page or a row cannot be read, or holds what it should not: other videos may be well. */
const DAMAGE = /^(SQLITE_(CORRUPT|CONSTRAINT|MISMATCH|TOOBIG|IOERR_READ|IOERR_SHORT_READ|IOERR_CORRUPTFS)|ROW_DAMAGED$)/

/** A row holds what no version of this software writes. */
export class RowDamagedError extends Error {
  readonly code = 'ROW_DAMAGED'
}

/** Whether the error may be of one video alone. */
export function isDamage(error: unknown): boolean {
  return DAMAGE.test(codeOf(error))
}

/** Whether a check of a whole store that failed with this code has found damage. A lock, a file that was moved and a Cassandra that
 * does not answer say nothing of what is stored. */
export function isDamaged(code: string): boolean {
  return code === 'SQLITE_NOTADB' || DAMAGE.test(code)
}

/** SQLite's, the file system's or our own; '' where it has none. */
export function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}
