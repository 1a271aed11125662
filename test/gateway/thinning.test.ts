import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import { evenly, thinnedMessages, Thinning } from '../../gateway/thinning.js'
import { toEventJson } from '../../protocol/comment.js'
import { commentEvent, deletedEvent, HEARTBEAT, SseParser, settingsEvent, skippedEvent, viewersEvent } from '../../protocol/sse.js'
import { DEFAULT_SETTINGS } from '../../protocol/entry.js'

const comment = (id: number, more: { by?: 'moderator'; content?: string } = {}) => commentEvent(id, toEventJson({ id, videoId: 'v', authorId: 'ann', content: 'hi', createdAt: 0, ...more }))
const flush = (...events: readonly string[]) => ({ events: Buffer.from(events.join('')) })
/** What one viewer is written of flushes that come at a time. */
function thin(events: readonly string[], { rate = 5 as const, from = 0 } = {}): string {
  const thinning = new Thinning(rate)
  thinning.came(0)
  const all = flush(...events)
  thinning.pick([all], 0, 0)
  return thinning.thinned(all.events, from).toString()
}

t.test('a sample is even, and has the last', async t => {
  t.same(evenly([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 5), [2, 4, 6, 8, 10])
  t.same(evenly([1, 2, 3], 1), [3])
  t.same(evenly([1, 2, 3], 0), [])
  t.same(evenly([1, 2, 3], 3), [1, 2, 3])
  t.same(evenly([1, 2, 3], 9), [1, 2, 3])
  fc.assert(fc.property(fc.nat(200), fc.nat(200), (count, most) => {
    const all = Array.from({ length: count }, (_, i) => i)
    const sample = evenly(all, most)
    if (sample.length !== Math.min(count, most)) throw new Error(`${sample.length} of ${count}, and ${most} were asked for`)
    const gaps = sample.map((each, i) => each - (sample[i - 1] ?? -1))
    if (Math.max(0, ...gaps) - Math.min(...gaps) > 1 && sample.length > 0) throw new Error(`distances ${gaps.join()}`)
  }))
})

t.test('what is left out is named in its place, so that the chain is whole', async t => {
  t.equal(thin([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(id => comment(id))), [2, 4, 6, 8, 10].map(id => skippedEvent(1, id - 2, id - 1) + comment(id)).join(''))
  t.equal(thin([11, 12, 13].map(id => comment(id)), { from: 7 }), [11, 12, 13].map(id => comment(id)).join(''), 'few are shown as they are')
})

t.test('acts, and what moderators write, are shown and do not count', async t => {
  const calm = comment(20, { by: 'moderator' })
  const settings = settingsEvent(21, DEFAULT_SETTINGS)
  const gone = deletedEvent(22, 3)
  const before = Array.from({ length: 10 }, (_, i) => comment(i + 1))
  const left = thin([...before, calm, settings, gone, comment(23), comment(24)])
  for (const shown of [calm, settings, gone]) t.ok(left.includes(shown))
  t.equal(left.split('"authorId"').length - 1, 5 + 1)
  t.ok(thin([...before, comment(30, { content: ',"by":"moderator"' })]).endsWith(comment(30, { content: ',"by":"moderator"' })), 'as the newest')
  t.notOk(thin([comment(1, { content: ',"by":"moderator"' }), ...before.slice(1)]).includes('moderator'), 'and not for its text')
})

t.test('events without a place, and lines without a meaning, go through', async t => {
  const left = thin([HEARTBEAT, ...[2, 3, 4, 5, 6, 7].map(id => comment(id)), viewersEvent(9), HEARTBEAT, ...[9, 10, 11, 12].map(id => comment(id)), HEARTBEAT])
  t.ok(left.includes(viewersEvent(9)))
  t.ok(left.endsWith(HEARTBEAT))
  t.equal(thin([HEARTBEAT]), HEARTBEAT)
})

t.test('a token bucket bounds what is picked over any time, and fills up while it is quiet', async () => {
  fc.assert(fc.property(fc.constantFrom(5 as const, 10 as const, 20 as const), fc.array(fc.tuple(fc.nat(400), fc.nat(30)), { maxLength: 60 }), (rate, steps) => {
    const thinning = new Thinning(rate)
    thinning.came(0)
    let id = 0
    let now = 0
    const shown: number[] = []
    for (const [i, [afterMs, count]] of steps.entries()) {
      now += afterMs
      const all = flush(...Array.from({ length: count }, () => comment(++id)))
      thinning.pick([all], i, now)
      const here = new SseParser().push(thinning.thinned(all.events, 0)).filter(({ event }) => event === 'message').length
      for (let each = 0; each < here; each++) shown.push(now)
    }
    for (let from = 0; from < shown.length; from++) for (let to = from; to < shown.length; to++) {
      if (to - from + 1 > rate + (rate * (shown[to]! - shown[from]!)) / 1_000 + 1e-6) throw new Error(`${to - from + 1} in ${shown[to]! - shown[from]!} ms at ${rate}`)
    }
  }))
})

t.test('shown and skipped together are all that came', async () => {
  fc.assert(fc.property(fc.array(fc.constantFrom('comment', 'moderator', 'act', 'count'), { maxLength: 60 }), fc.nat(9), (kinds, first) => {
    let id = first
    let prev = first
    const chain = new Map<number, number>()
    const events = kinds.map(kind => {
      if (kind === 'count') return viewersEvent(1)
      id += 1 + (id % 3)
      chain.set(id, prev)
      prev = id
      return kind === 'act' ? deletedEvent(id, 1) : comment(id, kind === 'moderator' ? { by: 'moderator' } : {})
    })
    let place = first
    let seen = 0
    for (const { event, id, data } of new SseParser().push(Buffer.from(thin(events, { from: first })))) {
      if (event === 'viewers') continue
      if (event === 'skipped') {
        const { count, from, to } = JSON.parse(data) as { count: number; from: string; to: string }
        if (Number(from) !== place || to !== id) throw new Error(`skips (${from}, ${to}] at ${place}`)
        seen += count
      } else {
        if (chain.get(Number(id)) !== place) throw new Error(`${id} after ${place}`)
        seen++
      }
      place = Number(id)
    }
    if (place !== prev || seen !== chain.size) throw new Error(`ends at ${place} with ${seen} of ${chain.size}`)
  }))
})

t.test('the answer to a poll is thinned as a whole', async t => {
  const message = (id: number, more: object = {}) => ({ event: 'message', id: String(id), data: { id: String(id), ...more } })
  const act = { event: 'deleted', id: '8', data: { target: '1' } }
  const few = [message(1), message(2), act]
  t.equal(thinnedMessages(few, 0, 5), few)
  const skipped = (count: number, from: number, to: number) => ({ event: 'skipped', id: String(to), data: { count, from: String(from), to: String(to) } })
  t.same(thinnedMessages([...[2, 3, 4, 5, 6, 7].map(id => message(id)), act, message(9), message(10), message(11, { by: 'moderator' }), message(12), message(13)], 1, 5), [
    skipped(1, 1, 2), message(3), skipped(1, 3, 4), message(5), skipped(1, 5, 6), message(7), act, skipped(1, 8, 9), message(10), message(11, { by: 'moderator' }), skipped(1, 11, 12), message(13),
  ])
  t.same(thinnedMessages([1, 2, 3, 4].map(id => message(id)), 0, 1), [skipped(3, 0, 3), message(4)])
})

const comments = (from: number, to: number) => flush(...Array.from({ length: to - from + 1 }, (_, i) => comment(from + i)))
/** The comments of a flush that are shown. */
const shownOf = (thinning: Thinning, { events }: { events: Buffer }, from: number) => new SseParser().push(thinning.thinned(events, from)).filter(({ event }) => event === 'message').map(({ id }) => Number(id))

t.test('where nothing more may be shown, all that comes is named as left out', async t => {
  const thinning = new Thinning(5)
  thinning.came(0)
  const [first, second] = [comments(1, 5), comments(6, 8)]
  thinning.pick([first], 0, 0)
  thinning.pick([second], 1, 0)
  t.same(shownOf(thinning, first, 0), [1, 2, 3, 4, 5])
  t.equal(thinning.thinned(second.events, 5).toString(), skippedEvent(3, 5, 8))
})

t.test('comments that come as fast as was asked for are all shown', async t => {
  const thinning = new Thinning(5)
  thinning.came(0)
  const flushes = Array.from({ length: 50 }, (_, i) => comments(i + 1, i + 1))
  for (const [i, each] of flushes.entries()) {
    thinning.pick([each], i, i * 200)
    t.same(shownOf(thinning, each, i), [i + 1])
  }
  const burst = comments(51, 55)
  thinning.pick([burst], 50, 10_000)
  t.same(shownOf(thinning, burst, 50), [51, 52, 53, 54, 55], 'each has cost no more than itself')
})

t.test('what was picked once stays as it is, though its flush is kept', async t => {
  const thinning = new Thinning(5)
  thinning.came(0)
  const [first, second] = [comments(1, 10), comments(11, 20)]
  thinning.pick([first], 0, 0)
  thinning.pick([first, second], 0, 1_000)
  t.same(shownOf(thinning, first, 0), [2, 4, 6, 8, 10])
  t.same(shownOf(thinning, second, 10), [12, 14, 16, 18, 20])
})

t.test('flushes that came while nobody of the class was there take no part', async t => {
  const thinning = new Thinning(5)
  const flushes = [comments(1, 10), comments(11, 20), comments(21, 25)]
  thinning.came(2)
  thinning.came(0) // that there is a first member already decides
  thinning.pick(flushes, 0, 0)
  t.same(shownOf(thinning, flushes[2]!, 20), [21, 22, 23, 24, 25])
  thinning.left()
  thinning.left()
  thinning.came(4)
  thinning.pick([comments(26, 35), comments(36, 40)], 3, 1_000)
  t.same(shownOf(thinning, comments(36, 40), 35), [36, 37, 38, 39, 40])
})

t.test('what lies behind all viewers is forgotten', async t => {
  const thinning = new Thinning(5)
  thinning.came(0)
  const all = comments(1, 3)
  thinning.pick([all], 0, 0)
  thinning.forget(2)
  t.same(shownOf(thinning, all, 0), [3])
})
