import fc from 'fast-check'
import t from 'tap'
import { Entries } from '../../edge/entries.js'
import type { Run } from '../../edge/replay-buffer.js'
import { missedBy, Replays, type ReplayingRoom } from '../../edge/replay.js'
import { Viewer, type Start, type ViewerHost } from '../../edge/viewer.js'
import { streamEvent } from '../../protocol/frame.js'
import { MAX_REPLAY } from '../../protocol/limits.js'
import { commentEvent, deletedEvent, gapEvent } from '../../protocol/sse.js'
import type { ReplayRequest, RoomAnswer } from '../../protocol/wire.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeOutlet } from '../support/fake-outlet.js'
import { ModelStore } from '../support/model-store.js'

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
      const given = missedBy({ cursor: place, recent }, run, until)
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

t.test('rule 8: a run of 1,000 comments is as much as is sent, however far back the viewer is; one of 999 is not', async t => {
  const events = Array.from({ length: MAX_REPLAY }, (_, i) => streamEvent(5010 + i * 10, commentEvent(5010 + i * 10, '{}')))
  const until = events.at(-1)!.id
  t.same(missedBy({ cursor: 20, recent: 0 }, { base: 5000, events }, until), [streamEvent(5000, gapEvent(20, 5000)), ...events])
  t.equal(missedBy({ cursor: 20, recent: 0 }, { base: 5010, events: events.slice(1) }, until), undefined)
})

t.test('rule 8: a newcomer is shown what comments there are among 1,000 entries, and waits for history with 999', async t => {
  const acts = Array.from({ length: MAX_REPLAY - 1 }, (_, i) => streamEvent(5020 + i * 10, deletedEvent(5020 + i * 10, 5010)))
  const events = [streamEvent(5010, commentEvent(5010, '{}')), ...acts]
  const until = events.at(-1)!.id
  t.same(missedBy({ cursor: undefined, recent: 2 }, { base: 5000, events }, until), events)
  t.equal(missedBy({ cursor: undefined, recent: 2 }, { base: 5000, events: events.slice(0, -1) }, until - 10), undefined)
})

t.test('a viewer that is at L misses nothing, although the buffer has lost what is still to be flushed', async t => {
  t.same(missedBy({ cursor: 30, recent: 0 }, { base: 40, events: [] }, 30), [])
})

/** Viewers of a room that stands at its store's head, and the questions that are asked for them. */
class Stage implements ReplayingRoom, ViewerHost {
  readonly videoId = 'v'
  readonly clock = new FakeClock()
  readonly store = new ModelStore('v')
  readonly waiting = new Set<Viewer>()
  readonly entries = new Entries('v', () => {})
  readonly blocked = new Set<Viewer>()
  readonly asked: ReplayRequest[] = []
  readonly served: Run[] = []
  readonly replays: Replays
  /** How history answers. */
  history: (request: ReplayRequest) => RoomAnswer | Promise<RoomAnswer> = request => this.store.replay(request)
  /** Brings viewers up to the head. */
  serve = (run: Run): boolean => {
    const served = [...this.waiting].filter(viewer => missedBy(viewer, run, this.store.head))
    for (const viewer of served) viewer.goLive()
    return served.length > 0
  }

  constructor(comments: number) {
    this.store.posts(comments)
    const replay = async (request: ReplayRequest) => {
      this.asked.push(request)
      return this.history(request)
    }
    this.replays = new Replays(this, { clock: this.clock, replay }, run => {
      this.served.push(run)
      return this.serve(run)
    })
  }

  get flushed(): number {
    return this.store.head
  }

  replay(start: Start): void {
    new Viewer(this, start, new FakeOutlet(), 0).waitForHistory()
    this.replays.ask()
  }
}

t.test('one question at a time serves all that wait, whoever is furthest back first', async t => {
  const stage = new Stage(300)
  for (const start of [{ after: 2000 }, { after: 500 }, { after: 900 }, { recent: 50 }, { recent: 290 }, { recent: 280 }]) stage.replay(start)
  await stage.clock.advance(0)
  t.same(stage.asked, [
    { videoId: 'v', after: 2000, until: 3000, limit: MAX_REPLAY },
    { videoId: 'v', after: 500, until: 3000, limit: MAX_REPLAY },
    { videoId: 'v', after: 0, until: 3000, limit: 290 },
  ])
  t.equal(stage.served.length, 3)
  t.equal(stage.waiting.size, 0)
  await stage.clock.advance(1000)
  t.equal(stage.asked.length, 3)
})

t.test('nobody is asked for viewers that wait for something else than history', async t => {
  const stage = new Stage(3)
  new Viewer(stage, { after: 10 }, new FakeOutlet(), 0)
  new Viewer(stage, { after: 50 }, new FakeOutlet(), 0).waitForFlush(undefined)
  stage.replays.ask()
  t.same(stage.asked, [])
  stage.replay({ after: 20 })
  t.same(stage.asked, [{ videoId: 'v', after: 20, until: 30, limit: MAX_REPLAY }])
})

t.test('an answer that ends below L is not used, and history is asked again after a pause', async t => {
  const stage = new Stage(3)
  stage.history = request => stage.store.replay({ ...request, until: 20 })
  stage.replay({ after: 0 })
  await stage.clock.advance(200)
  t.equal(stage.asked.length, 1)
  t.equal(stage.served.length, 0)
  stage.history = request => stage.store.replay(request)
  await stage.clock.advance(100)
  t.equal(stage.asked.length, 2)
  t.equal(stage.waiting.size, 0)
})

t.test('where nobody answers, history is asked again after a pause', async t => {
  const stage = new Stage(3)
  stage.history = () => Promise.reject(new Error('nobody answers'))
  stage.replay({ after: 0 })
  await stage.clock.advance(200)
  t.equal(stage.asked.length, 1)
  stage.history = request => stage.store.replay(request)
  await stage.clock.advance(100)
  t.equal(stage.asked.length, 2)
  t.equal(stage.waiting.size, 0)
})

t.test('an answer that serves nobody is followed by a pause', async t => {
  const stage = new Stage(3)
  stage.serve = () => false
  stage.replay({ after: 0 })
  await stage.clock.advance(1000)
  t.equal(stage.asked.length, 5)
})
