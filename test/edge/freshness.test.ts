import t from 'tap'
import { Freshness } from '../../edge/freshness.js'
import { STALE_MS } from '../../protocol/limits.js'
import { EdgeStage } from '../support/edge-stage.js'
import { FakeClock } from '../support/fake-clock.js'
import { dispatcherNode } from '../support/nodes.js'

function stage() {
  const clock = new FakeClock()
  const changes: boolean[] = []
  const pinged: string[] = []
  const living = new Set(['d1', 'd2'])
  const freshness = new Freshness({
    clock,
    dispatchers: () => [dispatcherNode('d1'), dispatcherNode('d2')],
    ping: ({ id }, timeoutMs) => {
      pinged.push(id)
      return new Promise(resolve => clock.after(living.has(id) ? 1 : timeoutMs, () => resolve(living.has(id) ? undefined : 'timeout')))
    },
    changed: stale => changes.push(stale),
  })
  const pass = async (ms: number) => {
    for (let at = 0; at < ms; at += 50) {
      await clock.advance(50)
      freshness.tick()
    }
  }
  return { freshness, changes, pinged, living, pass }
}

t.test('an edge that has nothing to sync pings, and is not stale for that', async t => {
  const { freshness, changes, pinged, pass } = stage()
  await pass(20_000)
  t.same(changes, [])
  t.ok(freshness.ageMs < 1_500)
  t.ok(pinged.length > 20 && pinged.length < 60, `${pinged.length} pings in 20 s`)
})

t.test('an edge that nobody answers pings each dispatcher once at a time', async t => {
  const { living, pinged, pass } = stage()
  living.clear()
  await pass(20_000)
  t.ok(pinged.length > 20 && pinged.length < 40, `${pinged.length} pings in 20 s`)
})

t.test('one dispatcher that answers is enough', async t => {
  const { changes, living, pass } = stage()
  living.delete('d1')
  await pass(20_000)
  t.same(changes, [])
})

t.test('an edge that nobody answers is stale after 3 s, until somebody does', async t => {
  const { freshness, changes, living, pass } = stage()
  living.clear()
  await pass(STALE_MS - 100)
  t.same(changes, [])
  await pass(200)
  t.same(changes, [true])
  t.ok(freshness.stale)
  await pass(60_000)
  t.same(changes, [true])
  living.add('d2')
  await pass(2_500)
  t.same(changes, [true, false])
})

t.test('an edge whose syncs are answered asks nothing besides', async t => {
  const { freshness, pinged, pass } = stage()
  for (let i = 0; i < 20; i++) {
    freshness.answered()
    await pass(500)
  }
  t.same(pinged, [])
})

t.test('an edge says that it is stale once its dispatchers answer neither syncs nor pings', async t => {
  const stage = new EdgeStage()
  t.after(() => stage.edge.stop())
  stage.join('v')
  await stage.clock.advance(5_000)
  t.notOk(stage.edge.freshness.stale)
  stage.answer = () => Promise.reject(new Error('cut off'))
  stage.pings = () => 'timeout'
  await stage.clock.advance(4_100)
  t.ok(stage.edge.freshness.stale)
  stage.answer = question => stage.fromStores(question)
  await stage.clock.advance(6_000)
  t.notOk(stage.edge.freshness.stale)
})
