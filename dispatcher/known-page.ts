import type { HistoryPage, HistoryQuery } from './history.js'
import { isShown, toPublicFromWire } from './history.js'
import type { RecentComments } from './recent-comments.js'

/** The page of an away video as far as it is known here, for as long as its home cannot be reached. Where what is known ends before the
 * page is full, its cursor leads on, for when the home is back.
 * @returns undefined where nothing of it is known */
export function knownPage(recent: RecentComments, { cursor, direction, pageSize }: HistoryQuery): HistoryPage | undefined {
  if (direction === 'after') {
    if (!recent.reaches(cursor ?? 0)) return undefined
    return pageOf(recent.between(cursor ?? 0, recent.head).filter(isShown), pageSize, false)
  }
  const older = recent.between(0, cursor === undefined ? recent.head : cursor - 1).filter(isShown).reverse()
  return older.length === 0 && recent.floor > 0 ? undefined : pageOf(older, pageSize, recent.floor > 0)
}

/** @param goesOn there are more than these, of which there is one then */
function pageOf(found: readonly Parameters<typeof toPublicFromWire>[0][], pageSize: number, goesOn: boolean): HistoryPage {
  const shown = found.slice(0, pageSize)
  const hasMore = goesOn || found.length > pageSize
  return { comments: shown.map(toPublicFromWire), nextCursor: hasMore ? String(shown.at(-1)!.id) : null }
}
