import fc from 'fast-check'
import t from 'tap'
import type { Run } from '../../edge/replay-buffer.js'
import { missedBy, Replays } from '../../edge/replay.js'
import { Viewer } from '../../edge/viewer.js'
import { streamEvent } from '../../protocol/frame.js'
import { MAX_REPLAY } from '../../protocol/limits.js'
import { commentEvent } from '../../protocol/sse.js'
import type { ReplayRequest, RoomAnswer } from '../../protocol/wire.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeOutlet } from '../support/fake-outlet.js'
import { ModelStore } from '../support/model-store.js'

const viewerAt = (place: number | undefined, recent = 0) => new Viewer(new FakeOutlet(), { after: place, recent }, 0)

t.test('rule 8: what a viewer missed is sent whole, or the newest 1,000 after a gap that names exactly the rest', async () => {
  const shape = fc.record({
    count: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 990, max: 1100 }), fc.integer({ min: 1990, max: 2010 })),
    ringed: fc.nat({ max: 2010 }),
    /** Of the newest, how many lie above `until`. */
    unflushed: fc.nat({ max: 20 }),
    place: fc.oneof(fc.constant(undefined), fc.nat({ max: 20_200 })),
    recent: fc.nat({ max: 200 }),
  })
  fc.assert(
    fc.property(shape, ({ count, ringed, unflushed, place, recent }) => {
      const ids = Array.from({ length: count }, (_, i) => (i + 1) * 10)
      const held = ids.slice(Math.max(0, count - ringed))
      const run: Run = { base: ids[count - held.length - 1] ?? 0, events: held.map(id => streamEvent(id, commentEvent(id, '{}'))) }
      const until = ids[count - 1 - Math.min(unflushed, held.length)] ?? 0
      const given = missedBy(viewerAt(place, recent), run, until)
      const wanted = place === undefined ? ids.filter(id => id <= until).slice(recent === 0 ? count : -recent) : ids.filter(id => id > place && id <= until)
      const reaches = wanted.length === 0 || wanted[0]! > run.base
      if (!given) {
        if (reaches && !(place !== undefined && place < run.base) && place !== undefined) throw new Error('all of it was here')
        if (place === undefined && (reaches && wanted.length === recent)) throw new Error('the newest few were here')
        if (held.filter(id => id <= until).length >= MAX_REPLAY) throw new Error('more than may be sent was here')
        return
      }
      const gap = given.find(({ text }) => text.includes('event: gap'))
      const sent = given.filter(each => each !== gap).map(({ id }) => id)
      if (place === undefined && gap) throw new Error('a newcomer misses nothing')
      if (sent.length > MAX_REPLAY) throw new Error(`${sent.length} sent`)
      if (!gap) {
        if (String(sent) !== String(wanted)) throw new Error(`sent ${String(sent)}, not ${String(wanted)}`)
        return
      }
      if (given[0] !== gap) throw new Error('the gap comes first')
      const { from, to } = JSON.parse(/data: (.*)/.exec(gap.text)![1]!) as { from: string; to: string }
      if (Number(from) !== place || Number(to) !== gap.id) throw new Error('the gap\'s ends')
      const unsent = wanted.filter(id => !sent.includes(id))
      if (String(unsent) !== String(wanted.filter(id => id <= Number(to)))) throw new Error(`(${from}, ${to}] is not what was left out: ${String(unsent)}`)
      if (unsent.length === 0) throw new Error('a gap of nothing')
      if (sent.length !== MAX_REPLAY) throw new Error('more could have been sent')
    }),
    { numRuns: 1500 },
  )
})

function replays(store: ModelStore, answer: (request: ReplayRequest) => Promise<RoomAnswer>) {
  const clock = new FakeClock()
  const asked: ReplayRequest[] = []
  const served: Run[] = []
  const gaveUp: Viewer[] = []
  const all = new Replays('v', clock, request => {
    asked.push(request)
    return answer(request)
  }, {
    until: () => store.head,
    serve(run) {
      served.push(run)
      for (const viewer of all.viewers) if (missedBy(viewer, run, store.head)) all.delete(viewer)
    },
    giveUp: viewer => void gaveUp.push(viewer),
  })
  return { clock, asked, served, gaveUp, all }
}

t.test('one question at a time serves all that wait, whoever is furthest back first', async t => {
  const store = new ModelStore('v')
  store.posts(300)
  const { clock, asked, served, all } = replays(store, async request => store.replay(request))
  for (const viewer of [viewerAt(2000), viewerAt(500), viewerAt(undefined, 50), viewerAt(undefined, 290)]) all.add(viewer)
  await clock.advance(0)
  t.same(asked, [
    { videoId: 'v', after: 2000, until: 3000, limit: MAX_REPLAY },
    { videoId: 'v', after: 500, until: 3000, limit: MAX_REPLAY },
    { videoId: 'v', after: 0, until: 3000, limit: 290 },
  ])
  t.equal(served.length, 3)
  t.equal(all.viewers.size, 0)
  await clock.advance(1000)
  t.equal(asked.length, 3)
})

t.test('an answer that ends below L is not used, and history is asked again after a pause', async t => {
  const store = new ModelStore('v')
  store.posts(3)
  let behind = true
  const { clock, asked, served, all } = replays(store, async request => store.replay(behind ? { ...request, until: 20 } : request))
  all.add(viewerAt(0))
  await clock.advance(200)
  t.equal(asked.length, 1)
  t.equal(served.length, 0)
  behind = false
  await clock.advance(100)
  t.equal(asked.length, 2)
  t.equal(all.viewers.size, 0)
})

t.test('rule 8: after 10 s a viewer is given up, even while a question stays without an answer', async t => {
  const store = new ModelStore('v')
  store.posts(3)
  const { clock, gaveUp, all } = replays(store, () => new Promise(() => {}))
  const viewer = viewerAt(0)
  all.add(viewer)
  await clock.advance(9_900)
  all.tick()
  t.same(gaveUp, [])
  await clock.advance(200)
  const blocked = viewerAt(0)
  all.add(blocked)
  blocked.replayingSince = 0
  blocked.blockedSince = 1
  all.tick()
  t.same(gaveUp, [viewer], 'one that is blocked is not written to')
})

t.test('an answer that serves nobody is followed by a pause', async t => {
  const store = new ModelStore('v')
  store.posts(3)
  const clock = new FakeClock()
  let asked = 0
  const all = new Replays('v', clock, async request => {
    asked++
    return store.replay(request)
  }, { until: () => store.head, serve: () => {}, giveUp: () => {} })
  all.add(viewerAt(0))
  await clock.advance(1000)
  t.equal(asked, 5)
})
