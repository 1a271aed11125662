import t from 'tap'
import { healings, late } from './healings.js'
import { Ledger } from './ledger.js'
import { newNotes, type ViewerNotes } from './notes.js'

/** Comments 1 and 2, acknowledged while the line was cut, and 3 after; the viewer far from home had them when the test says. */
function stage(times: readonly number[], others: readonly { readonly from: number; readonly to: number }[] = []) {
  const ledger = new Ledger()
  for (const [i, at] of [5_000, 9_000, 11_000].entries()) {
    const post = ledger.add('video', `post-${i + 1}`, `post-${i + 1}`)
    ledger.acknowledge(post, i + 1)
    post.acknowledgedAt = at
  }
  const notes = newNotes('viewer-1', 'video')
  notes.connections.push({ at: 0, gateway: 'east/gateway-1', pid: 1, cursor: '', readyAt: 100, endedAt: undefined, end: undefined })
  notes.ids.push(1, 2, 3)
  notes.times.push(...times)
  const done = [{ name: 'line cut', detail: '', from: 1_000, to: 10_000 }, ...others.map(each => ({ name: 'kill edge', detail: '', ...each }))]
  return { ledger, notes, done, of: (isAway: (notes: ViewerNotes) => boolean) => healings(ledger, [notes], done, isAway) }
}

t.test('a viewer far from home is brought up to date when it has all that was acknowledged before the line healed', t => {
  const { of } = stage([10_500, 11_200, 15_000])
  t.same(of(() => true), [{ name: 'line cut', viewer: 'viewer-1', videoId: 'video', ms: 1_200, alone: true }])
  t.same(of(() => false), [], 'one at home misses nothing')
  t.end()
})

t.test('one that lost its connection meanwhile says nothing of the line', t => {
  const { notes, of } = stage([10_500, 11_200, 15_000])
  Object.assign(notes.connections[0]!, { endedAt: 11_000 })
  t.same(of(() => true), [])
  t.end()
})

t.test('one that took too long is a violation, unless something else was broken', t => {
  t.same(late(stage([10_500, 20_001, 20_002]).of(() => true)).map(({ text }) => text), ['after line cut it had what it had missed only 10001 ms after the line had healed'])
  t.same(late(stage([10_500, 20_000, 20_002]).of(() => true)), [])
  t.same(late(stage([10_500, 20_001, 20_002], [{ from: 15_000, to: 15_500 }]).of(() => true)), [])
  t.same(late(stage([10_500, 20_001, 20_002], [{ from: 2_000, to: 6_000 }]).of(() => true)), [], 'one that was just over')
  t.equal(late(stage([10_500, 20_001, 20_002], [{ from: 2_000, to: 4_000 }]).of(() => true)).length, 1, 'not one of long before')
  t.end()
})
