import t from 'tap'
import type { HistoryPage } from '../../dispatcher/history.js'
import { knownPage } from '../../dispatcher/known-page.js'
import { RecentComments } from '../../dispatcher/recent-comments.js'
import { toWire } from '../../dispatcher/store/store.js'
import { DEFAULT_SETTINGS } from '../../protocol/entry.js'

const COMMENTS = [20, 30, 40]
const HEAD = 50

/** Comments 20, 30 and 40, then an act, 50. @param floor nothing at or below it is known */
function known(floor: number): RecentComments {
  const recent = new RecentComments('v', floor)
  let prev = floor
  for (const id of [...COMMENTS, HEAD]) {
    const act = id === HEAD ? ({ type: 'settings', settings: DEFAULT_SETTINGS } as const) : undefined
    recent.take(toWire({ comment: { id, videoId: 'v', authorId: 'ann', content: 'hello', createdAt: 1 }, prev, ...(act && { act }) }))
    prev = id
  }
  return recent
}

/** Its ids, and where it leads on. */
const said = (page: HistoryPage | undefined) => page && [page.comments.map(({ id }) => id), page.nextCursor]
const before = (floor: number, cursor: number | undefined, pageSize: number) => said(knownPage(known(floor), { cursor, direction: 'before', pageSize }))
const after = (floor: number, cursor: number | undefined, pageSize: number) => said(knownPage(known(floor), { cursor, direction: 'after', pageSize }))

t.test('newest first, a page of a video that is known from its first entry on ends where the video begins', async t => {
  t.same(before(0, undefined, 2), [[40, 30], '30'])
  t.same(before(0, 30, 2), [[20], null])
  t.same(before(0, undefined, 3), [[40, 30, 20], null], 'a page that is just full is the last one')
  for (const cursor of [20, 0]) t.same(before(0, cursor, 2), [[], null], `before ${cursor}`)
})

t.test('newest first, where what is known ends the cursor leads on; at or below it nothing is known', async t => {
  t.same(before(10, undefined, 3), [[40, 30, 20], '20'])
  t.same(before(10, 30, 3), [[20], '20'])
  for (const cursor of [20, 11, 10, 5]) t.equal(before(10, cursor, 3), undefined, `before ${cursor}`)
  t.same(before(10, HEAD + 9, 3), [[40, 30, 20], '20'], 'of an id that is not known yet, what is')
})

t.test('oldest first, a page begins where nothing is missing, and ends with what is known', async t => {
  t.same(after(0, undefined, 2), [[20, 30], '30'])
  t.same(after(0, 30, 2), [[40], null])
  t.same(after(10, 10, 3), [[20, 30, 40], null], 'a page that is just full')
  t.same(after(10, HEAD, 3), [[], null])
  for (const cursor of [undefined, 5, HEAD + 9]) t.equal(after(10, cursor, 3), undefined, `after ${cursor}`)
})
