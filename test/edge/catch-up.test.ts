import t from 'tap'
import { CatchUp, type CatchUpRoom } from '../../edge/catch-up.js'
import { Entries } from '../../edge/entries.js'
import { ReplayBudget, ReplayBuffer } from '../../edge/replay-buffer.js'
import { Viewer, type Start, type ViewerHost } from '../../edge/viewer.js'
import { streamEvent } from '../../protocol/frame.js'
import { MAX_REPLAY } from '../../protocol/limits.js'
import { commentEvent, HEARTBEAT } from '../../protocol/sse.js'
import type { ReplayRequest, RoomAnswer } from '../../protocol/wire.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeOutlet } from '../support/fake-outlet.js'
import { ModelStore } from '../support/model-store.js'

/** A room that has flushed all of its store, and remembers what a test says. */
class Stage implements CatchUpRoom, ViewerHost {
  readonly videoId = 'v'
  readonly total = 7
  epoch = 0
  restartedAt = 0
  readonly clock = new FakeClock()
  readonly store = new ModelStore('v')
  readonly waiting = new Set<Viewer>()
  readonly entries = new Entries('v', () => {})
  readonly blocked = new Set<Viewer>()
  readonly asked: ReplayRequest[] = []
  readonly buffer = new ReplayBuffer(0, { maxEvents: MAX_REPLAY, maxBytes: 1_000_000 }, new ReplayBudget(1_000_000))
  readonly catchUp: CatchUp
  /** How history answers. */
  history: (request: ReplayRequest) => RoomAnswer | Promise<RoomAnswer> = request => this.store.replay(request)

  constructor() {
    const replay = async (request: ReplayRequest) => {
      this.asked.push(request)
      return this.history(request)
    }
    this.catchUp = new CatchUp(this, { clock: this.clock, gzip: { level: 6, minViewers: 4 }, pieceBytes: 64 * 1024, replay })
  }

  get flushed(): number {
    return this.store.head
  }

  /** Comments in the store and in the buffer. */
  posts(count: number): void {
    for (const { id, json } of this.store.posts(count)) this.buffer.push(streamEvent(id, commentEvent(id, json)))
  }

  come(start: Start): { viewer: Viewer; outlet: FakeOutlet } {
    const outlet = new FakeOutlet()
    return { viewer: new Viewer(this, start, outlet, this.epoch), outlet }
  }

  /** Time passes, with a tick at its end. */
  async tick(ms: number): Promise<void> {
    await this.clock.advance(ms)
    this.catchUp.tick()
  }
}

t.test('rule 8: after 10 s a viewer is given up, even while a question stays without an answer', async t => {
  const stage = new Stage()
  stage.store.posts(3)
  stage.buffer.restart(30)
  stage.history = () => new Promise(() => {})
  const [first, later] = [stage.come({ after: 0 }), stage.come({ after: 10 })]
  stage.catchUp.advance(first.viewer)
  await stage.tick(5_000)
  stage.catchUp.advance(later.viewer)
  await stage.tick(4_900)
  t.same(first.outlet.story, [])
  later.outlet.stuck = true
  await stage.tick(200)
  t.same(first.outlet.story, ['gap 0..30', 'ready 30'])
  t.equal(later.outlet.blocked, true, 'by a heartbeat')
  await stage.tick(10_000)
  t.same(later.outlet.story, [], 'one that is blocked is not written to')
  later.outlet.drain()
  later.viewer.drained()
  await stage.tick(0)
  t.same(later.outlet.story, ['gap 10..30', 'ready 30'])
})

t.test('a viewer from before the room began anew is told so by a gap, whether it waits for history, gives up or catches up', async t => {
  for (const way of ['advance', 'history', 'give up'] as const) {
    const stage = new Stage()
    stage.posts(3)
    const { viewer, outlet } = stage.come({ after: 900 })
    stage.epoch = 1
    stage.restartedAt = 20
    if (way !== 'advance') stage.buffer.restart(30) // it does not reach back to 20
    if (way === 'give up') stage.history = () => Promise.reject(new Error('away'))
    stage.catchUp.advance(viewer)
    await stage.clock.advance(0)
    if (way === 'give up') {
      await stage.clock.advance(10_000)
      stage.catchUp.tick()
    }
    t.same(outlet.story, way === 'give up' ? ['gap 900..20', 'gap 20..30', 'ready 30'] : ['gap 900..20', 30, 'ready 30'], way)
  }
})

t.test('that gap comes once, and only to one that had what is gone', async t => {
  const stage = new Stage()
  stage.posts(3)
  const [had, there, lower, newcomer] = [stage.come({ after: 900 }), stage.come({ after: 20 }), stage.come({ after: 10 }), stage.come({ recent: 2 })]
  stage.epoch = 1
  stage.restartedAt = 20
  for (const { viewer } of [had, there, lower, newcomer]) stage.catchUp.advance(viewer)
  stage.posts(1)
  stage.catchUp.advance(had.viewer)
  t.same(had.outlet.story, ['gap 900..20', 30, 'ready 30', 40])
  t.same(there.outlet.story, [30, 'ready 30'])
  t.same(lower.outlet.story, [20, 30, 'ready 30'])
  t.same(newcomer.outlet.story, [20, 30, 'ready 30'])
})

t.test('that gap comes at once where the answer that was on its way does not reach back to where the room began anew', async t => {
  const stage = new Stage()
  stage.store.posts(3)
  stage.buffer.restart(30)
  const { viewer, outlet } = stage.come({ after: 25 })
  stage.catchUp.advance(viewer)
  stage.epoch = 1
  stage.restartedAt = 20
  await stage.clock.advance(0)
  t.same(outlet.story, ['gap 25..20'])
  await stage.clock.advance(1_000)
  t.same(outlet.story, ['gap 25..20', 30, 'ready 30'])
})

t.test('who is given up at the place where the room began anew is told of no second gap', async t => {
  const stage = new Stage()
  stage.store.posts(5)
  stage.buffer.restart(50)
  stage.history = () => new Promise(() => {})
  const { viewer, outlet } = stage.come({ after: 40 })
  stage.catchUp.advance(viewer)
  stage.store.comments.splice(3)
  stage.epoch = 1
  stage.restartedAt = 30
  await stage.tick(10_000)
  t.same(outlet.story, ['gap 40..30', 'ready 30'])
})

t.test('viewers that missed the same are given the same bytes, for a second', async t => {
  const stage = new Stage()
  stage.posts(3)
  const seats = Array.from({ length: 3 }, () => stage.come({ after: 30 }))
  for (const { viewer, outlet } of seats) {
    stage.catchUp.advance(viewer)
    outlet.stuck = true
    viewer.write({ bytes: Buffer.from(HEARTBEAT) }, viewer.cursor!)
  }
  stage.posts(2)
  const [first, second, third] = seats.map(({ viewer, outlet }) => () => {
    outlet.drain()
    viewer.drained()
    stage.catchUp.advance(viewer)
    return outlet.writes.at(-1)!
  })
  const bytes = first!()
  t.equal(second!(), bytes)
  await stage.tick(1_000)
  const later = third!()
  t.not(later, bytes)
  t.same(later, bytes)
})

t.test('history that reaches nobody is asked again after a pause', async t => {
  const stage = new Stage()
  stage.store.posts(30)
  stage.buffer.restart(300)
  stage.history = request => stage.store.replay({ ...request, limit: 10 })
  const { viewer, outlet } = stage.come({ after: 0 })
  stage.catchUp.advance(viewer)
  await stage.clock.advance(1_000)
  t.equal(stage.asked.length, 5)
  t.same(outlet.story, [])
})

t.test('viewers that one answer does not reach are asked for at once, where it reached others', async t => {
  const stage = new Stage()
  stage.store.posts(30)
  stage.buffer.restart(300)
  const seats = [stage.come({ after: 200 }), stage.come({ after: 100 })]
  for (const { viewer } of seats) stage.catchUp.advance(viewer)
  await stage.clock.advance(0)
  t.same(stage.asked.map(({ after }) => after), [200, 100])
  for (const { outlet } of seats) t.equal(outlet.story.at(-1), 'ready 300')
})
