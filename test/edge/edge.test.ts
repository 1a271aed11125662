import { Registry, type Counter } from 'prom-client'
import t from 'tap'
import { Edge } from '../../edge/edge.js'
import { EdgeMetrics } from '../../edge/metrics.js'
import { MAX_ZNODE_BYTES } from '../../protocol/nodes.js'
import { View } from '../../registry/view.js'
import { EdgeStage } from '../support/edge-stage.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeOutlet } from '../support/fake-outlet.js'
import { ModelStore } from '../support/model-store.js'

const valueOf = async (counter: Counter) => (await counter.get()).values[0]!.value

t.test('an edge takes as many viewers as it has room for', async t => {
  const stage = new EdgeStage({ capacity: 2 })
  const [a, b, c] = [stage.join('a'), stage.join('b'), stage.join('a')]
  t.equal(c.outlet.ended, 'full')
  t.equal(c.viewer, undefined)
  t.equal(stage.edge.viewers, 2)
  stage.edge.leave(a.viewer!)
  stage.edge.leave(a.viewer!)
  t.equal(stage.edge.viewers, 1)
  t.ok(stage.join('a').viewer)
  t.equal(b.outlet.ended, undefined)
  t.same([...stage.edge.subscriptions()], [['a', 1], ['b', 1]])
  t.equal(await valueOf(stage.metrics.joins), 3)
  t.equal(await valueOf(stage.metrics.holdingsFull), 0)
  stage.edge.stop()
})

t.test('an edge whose list of videos is nearly too large takes no other video', async t => {
  const stage = new EdgeStage({ announceBytes: 0.96 * MAX_ZNODE_BYTES })
  const kept = stage.join('kept')
  stage.join('held')
  await stage.clock.advance(50)
  t.equal(stage.join('new').outlet.ended, 'full')
  t.ok(stage.join('held').viewer)
  stage.edge.leave(kept.viewer!)
  t.equal(stage.join('kept').outlet.ended, 'full', 'nor one that it only remembers')
  t.equal(await valueOf(stage.metrics.holdingsFull), 2)
  stage.edge.stop()
})

t.test('rule 10: a viewer that takes nothing for 6 s is closed as slow, and the others go on', async t => {
  const stage = new EdgeStage()
  const [slow, brief, quick] = [stage.join('v'), stage.join('v'), stage.join('v')]
  await stage.clock.advance(0)
  slow.outlet.stuck = true
  brief.outlet.stuck = true
  stage.post('v')
  await stage.clock.advance(5_900)
  t.equal(slow.outlet.ended, undefined)
  stage.drain(brief)
  quick.viewer!.progressed() // nobody waited for it
  stage.post('v')
  await stage.clock.advance(200)
  t.equal(slow.outlet.ended, 'slow')
  t.equal(stage.edge.viewers, 2)
  await stage.clock.advance(20_000)
  for (const { outlet } of [brief, quick]) t.same([outlet.ended, outlet.ids], [undefined, [10, 20]])
  stage.drain(slow) // too late, and harmless
  t.equal(await valueOf(stage.metrics.slow), 1)
  stage.edge.stop()
})

t.test('rule 10: a viewer that reads slowly takes nothing more for long, and stays', async t => {
  const stage = new EdgeStage()
  const slow = stage.join('v')
  await stage.clock.advance(0)
  slow.outlet.stuck = true
  stage.post('v')
  for (let i = 0; i < 4; i++) {
    await stage.clock.advance(5_000)
    slow.viewer!.progressed()
  }
  t.equal(slow.outlet.ended, undefined)
  await stage.clock.advance(6_100)
  t.equal(slow.outlet.ended, 'slow')
  stage.edge.stop()
})

t.test('a viewer whose time is over is handed back, and one that left before is not', async t => {
  const stage = new EdgeStage()
  const endsAt = stage.clock.wall() + 10_000
  const [stays, leaves, endless] = [stage.join('v', { endsAt }), stage.join('v', { endsAt }), stage.join('v')]
  await stage.clock.advance(9_900)
  t.equal(stays.outlet.ended, undefined)
  stage.edge.leave(leaves.viewer!)
  await stage.clock.advance(1_200)
  t.same([stays, leaves, endless].map(({ outlet }) => outlet.ended), ['expired', undefined, undefined])
  t.equal(stage.edge.viewers, 1)
  stage.edge.stop()
})

t.test('a draining edge hands its viewers back over the window, takes no more, and takes them again when it is called off', async t => {
  const stage = new EdgeStage()
  const seats = Array.from({ length: 100 }, (_, i) => stage.join(`v${i % 7}`))
  let drained = false
  void stage.edge.drain(1000).then(() => (drained = true))
  t.equal(stage.join('v1').outlet.ended, 'drain')
  await stage.clock.advance(450)
  const left = seats.filter(({ outlet }) => outlet.ended === undefined).length
  t.ok(left >= 40 && left <= 60, `${left} left after half the window`)
  t.equal(drained, false)
  stage.edge.resume()
  await stage.clock.advance(1000)
  t.equal(seats.filter(({ outlet }) => outlet.ended === undefined).length, left)
  t.ok(stage.join('v1').viewer)
  drained = false
  void stage.edge.drain(1000).then(() => (drained = true))
  await stage.clock.advance(1000)
  t.equal(drained, true)
  t.equal(stage.edge.viewers, 0)
  t.ok(seats.every(({ outlet }) => outlet.ended === 'drain'))
  await stage.clock.advance(1000)
  t.same([...stage.announced.at(-1)!.videos], [])
  stage.edge.stop()
})

t.test('an edge without viewers is drained at once', async t => {
  const stage = new EdgeStage()
  let drained = false
  void stage.edge.drain(1000).then(() => (drained = true))
  await stage.clock.advance(0)
  t.equal(drained, true)
  stage.edge.stop()
})

t.test('a room is kept a minute after its last viewer left, and goes on taking what is pushed', async t => {
  const stage = new EdgeStage()
  const first = stage.join('v')
  await stage.clock.advance(0)
  stage.post('v')
  stage.edge.leave(first.viewer!)
  await stage.clock.advance(55_000)
  stage.post('v')
  t.equal(stage.edge.rooms, 1)
  const again = stage.join('v', { after: 0 })
  await stage.clock.advance(0)
  t.same(again.outlet.story, [10, 20, 'ready 20'])
  t.notOk(stage.questions.some(({ replay }) => replay), 'from the buffer')
  const asked = stage.questions.length
  stage.edge.leave(again.viewer!)
  await stage.clock.advance(59_000)
  t.equal(stage.edge.rooms, 1)
  t.equal(stage.questions.length, asked, 'nobody here needs a sync')
  await stage.clock.advance(4_000)
  t.equal(stage.edge.rooms, 0)
  stage.drain(again) // too late, and harmless
  t.same(stage.join('v').outlet.story, [])
  stage.edge.stop()
})

t.test('comments and hints of videos that are not here are counted and do nothing', async t => {
  const stage = new EdgeStage()
  stage.join('v')
  await stage.clock.advance(0)
  const asked = stage.questions.length
  stage.post('other')
  stage.edge.batch({ comments: [], hints: [{ videoId: 'other', id: 10 }] })
  await stage.clock.advance(100)
  t.equal(await valueOf(stage.metrics.unheld), 1)
  t.equal(await valueOf(stage.metrics.received), 1)
  t.equal(stage.edge.rooms, 1)
  t.equal(stage.questions.length, asked)
  stage.edge.stop()
})

t.test('the hook for received comments is called for each of them, watched or not', async t => {
  const received: number[] = []
  const edge = new Edge({
    clock: new FakeClock(),
    view: new View(),
    metrics: new EdgeMetrics(new Registry()),
    capacity: 10,
    gzip: { level: 6, minViewers: 4 },
    random: () => 0,
    send: () => Promise.reject(new Error('nobody is asked')),
    ping: () => Promise.resolve('refused'),
    received: ({ id }) => void received.push(id),
    onPeerError: () => {},
    announce: () => 0,
  })
  edge.join('v', {}, new FakeOutlet())
  edge.batch({ comments: [...new ModelStore('v').posts(2), new ModelStore('other').post()], hints: [] })
  t.same(received, [10, 20, 10])
  edge.stop()
})

t.test('a room that is ahead of its store, and begins anew, is counted', async t => {
  const stage = new EdgeStage()
  stage.store('v').posts(3)
  stage.join('v')
  await stage.clock.advance(0)
  t.equal(await valueOf(stage.metrics.restarts), 0)
  stage.store('v').comments.splice(1) // a backup was put back
  await stage.clock.advance(2_000)
  t.equal(await valueOf(stage.metrics.restarts), 1)
  stage.edge.stop()
})

t.test('every room is looked at once a second: its viewers are told how many they are', async t => {
  const stage = new EdgeStage()
  const { outlet } = stage.join('v')
  await stage.clock.advance(5_000)
  t.same(outlet.of('viewers').map(({ data }) => JSON.parse(data) as unknown), [{ viewers: 1 }])
  stage.edge.stop()
})

t.test('ready, viewers and counts go with what other edges have', async t => {
  const stage = new EdgeStage()
  stage.answer = ({ syncs }) => syncs.map(sync => stage.store(sync.videoId).sync(sync, { others: 41 }))
  const { outlet } = stage.join('v')
  await stage.clock.advance(0)
  t.same(JSON.parse(outlet.of('ready')[0]!.data), { videoId: 'v', viewers: 42 })
  stage.edge.stop()
})

t.test('an outlet that takes its opening as its last is caught up like any other', async t => {
  const stage = new EdgeStage()
  const outlet = new FakeOutlet('frames')
  outlet.stuck = true
  stage.store('v').posts(3)
  const seat = stage.join('v', { recent: 2 }, outlet)
  await stage.clock.advance(0)
  t.same(outlet.story, [20, 30, 'ready 30'])
  stage.post('v')
  await stage.clock.advance(1000)
  t.same(outlet.ids, [20, 30])
  stage.drain(seat)
  t.same(outlet.ids, [20, 30, 40])
  stage.edge.stop()
})

t.test('nothing is left in time once an edge without viewers is stopped', async t => {
  const stage = new EdgeStage()
  const { viewer } = stage.join('v')
  await stage.clock.advance(100)
  stage.edge.leave(viewer!)
  stage.edge.stop()
  const { length } = stage.announced
  await stage.clock.advance(120_000)
  t.equal(stage.announced.length, length)
  t.equal(stage.clock.pending, 0)
})
