import t from 'tap'
import { Ledger } from './ledger.js'
import { newNotes } from './notes.js'
import { longestAfter, silences } from './silences.js'

t.test('a silence is owed from the first acknowledgement of what then came', t => {
  const ledger = new Ledger()
  const acknowledgedAt = [3_000, 2_000]
  for (const [i, at] of acknowledgedAt.entries()) {
    const post = ledger.add('video', `post-${i}`, `post-${i}`)
    ledger.acknowledge(post, i + 1)
    post.acknowledgedAt = at
  }
  const notes = newNotes('viewer-1', 'video')
  notes.ids.push(1, 2)
  notes.waits.push({ from: 1_000, to: 3_500, first: 0 })
  t.same(silences(ledger, [notes]), [{ viewer: 'viewer-1', from: 1_000, to: 3_500, owedMs: 1_500 }])
  t.end()
})

t.test('a silence belongs to every fault that was under way or just over when it began', t => {
  const done = [
    { name: 'kill edge', detail: '', from: 10_000, to: 10_500 },
    { name: 'busy store', detail: '', from: 13_000, to: 14_000 },
  ]
  const longest = longestAfter(done, [
    { viewer: 'a', from: 1_000, to: 1_200, owedMs: 0 },
    { viewer: 'a', from: 10_100, to: 10_600, owedMs: 400 },
    { viewer: 'a', from: 13_100, to: 14_100, owedMs: 900 },
  ])
  t.same(longest.get(''), { alone: { owedMs: 0, pauseMs: 200 }, any: { owedMs: 0, pauseMs: 200 } })
  t.same(longest.get('kill edge'), { alone: { owedMs: 400, pauseMs: 500 }, any: { owedMs: 900, pauseMs: 1_000 } })
  t.same(longest.get('busy store'), { alone: { owedMs: 0, pauseMs: 0 }, any: { owedMs: 900, pauseMs: 1_000 } })
  t.end()
})
