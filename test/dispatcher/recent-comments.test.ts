import fc from 'fast-check'
import t from 'tap'
import { MAX_RECENT_BYTES, MAX_RECENT_COMMENTS, RecentComments } from '../../dispatcher/recent-comments.js'
import { RecentVideos } from '../../dispatcher/recent-videos.js'
import type { WireComment } from '../../protocol/wire.js'

const comment = (prev: number, id: number, size = 2): WireComment => ({ videoId: 'v', prev, id, json: `{${' '.repeat(size - 2)}}` })
const chain = (n: number, size?: number): WireComment[] => Array.from({ length: n }, (_, i) => comment(i, i + 1, size))

t.test('rule 3: whatever arrives, in whatever order, recent comments are a run of the stored chain without holes', async t => {
  // Gaps between ids, as real ones have.
  const stored = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 }).map(gaps => {
    let id = 0
    return gaps.map(gap => comment(id, (id += gap)))
  })
  const run = stored.chain(all => fc.record({ all: fc.constant(all), arrivals: fc.array(fc.nat({ max: all.length - 1 }), { maxLength: 60 }) }))
  fc.assert(
    fc.property(run, ({ all, arrivals }) => {
      const recent = new RecentComments('v', 0)
      let highest = 0
      for (const i of arrivals) {
        recent.take(all[i]!)
        highest = Math.max(highest, all[i]!.id)
        const inside = all.filter(({ id }) => id > recent.floor && id <= recent.head)
        t.same(recent.between(0, Infinity).map(({ id }) => id), inside.map(({ id }) => id))
        t.equal(recent.head, highest)
      }
    }),
    { numRuns: 200 },
  )
})

t.test('a comment whose prev is the head extends the run', async t => {
  const recent = new RecentComments('v', 0)
  for (const each of chain(3)) recent.take(each)
  t.same([recent.floor, recent.head, recent.size], [0, 3, 3])
})

t.test('a comment with another prev begins the run anew', async t => {
  const recent = new RecentComments('v', 0)
  for (const each of chain(3)) recent.take(each)
  recent.take(comment(5, 6))
  t.same([recent.floor, recent.head, recent.size], [5, 6, 1])
  t.notOk(recent.reaches(3))
  t.ok(recent.reaches(5))
})

t.test('an old comment changes nothing', async t => {
  const recent = new RecentComments('v', 0)
  for (const each of chain(3)) recent.take(each)
  for (const each of [comment(1, 2), comment(2, 3)]) recent.take(each)
  t.same([recent.floor, recent.head, recent.size], [0, 3, 3])
})

t.test('a comparison that finds more begins the run anew at the store\'s head', async t => {
  const recent = new RecentComments('v', 0)
  for (const each of chain(3)) recent.take(each)
  recent.compared(3, 10)
  t.same([recent.size, recent.comparedAt], [3, 10])
  recent.compared(2, 5) // an older read that comes late
  t.same([recent.head, recent.size, recent.comparedAt], [3, 3, 10])
  recent.compared(8, 20)
  t.same([recent.floor, recent.head, recent.size, recent.bytes, recent.comparedAt], [8, 8, 0, 0, 20])
})

t.test('a comparison counts unless another dispatcher named a higher id after it was asked for, and it does not show that', async t => {
  const recent = new RecentComments('v', 3)
  recent.compared(3, 10)
  recent.hint(3, 11)
  t.equal(recent.comparedAt, 10, 'the head is no news')
  recent.hint(5, 12)
  t.equal(recent.comparedAt, -Infinity)
  recent.compared(3, 12)
  t.equal(recent.comparedAt, -Infinity, 'asked for at the same time')
  recent.compared(3, 20)
  t.equal(recent.comparedAt, 20, 'the store knows better, later')
  recent.hint(6, 30)
  recent.compared(6, 25)
  t.equal(recent.comparedAt, 25, 'it shows that id')
})

t.test('it holds at most 1,000 comments and 256 KB', async t => {
  const many = new RecentComments('v', 0)
  for (const each of chain(MAX_RECENT_COMMENTS + 7)) many.take(each)
  t.same([many.size, many.floor, many.head], [MAX_RECENT_COMMENTS, 7, MAX_RECENT_COMMENTS + 7])
  const large = new RecentComments('v', 0)
  for (const each of chain(300, 1024)) large.take(each)
  t.same([large.size, large.bytes, large.floor], [256, MAX_RECENT_BYTES, 44])
})

t.test('rings share a byte budget; the least recently used goes', async t => {
  const recentVideos = new RecentVideos(10_000)
  const fill = (videoId: string) => recentVideos.take({ ...comment(0, 1, 2_000), videoId })
  fill('a')
  fill('b')
  fill('c')
  recentVideos.get('a')
  fill('d')
  t.equal(recentVideos.get('b'), undefined, 'the one not asked for')
  t.ok(recentVideos.get('a') && recentVideos.get('c') && recentVideos.get('d'))
  t.ok(recentVideos.bytes <= 10_000)
  recentVideos.compared('a', 9, 1)
  t.equal(recentVideos.bytes, 2 * 2_520 + 400, 'what a run loses is given back')
})
