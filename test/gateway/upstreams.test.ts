import t, { type Test } from 'tap'
import { Upstreams, SILENT_MS, type Upstream } from '../../gateway/upstreams.js'
import { View } from '../../registry/view.js'
import type { PeerFailure } from '../../runtime/peers/peer-error.js'
import { FakeClock } from '../support/fake-clock.js'
import { edgeNode } from '../support/nodes.js'

type Answer = 'alive' | 'never' | PeerFailure

/** Edges a, b, c in view; `answers` says how each answers a question. */
function setUp(t: Test, ids = ['a', 'b', 'c']) {
  const clock = new FakeClock()
  const view = new View()
  const answers = new Map<string, Answer>()
  const asked: string[] = []
  let usable = 0
  for (const id of ids) view.apply({ kind: 'edge', id, node: edgeNode(id) }, 0)
  const edges = new Upstreams({
    clock,
    random: () => 0.5,
    view,
    ping({ id }) {
      asked.push(id)
      const answer = answers.get(id) ?? 'alive'
      if (answer === 'never') return new Promise(() => {})
      return Promise.resolve(answer === 'alive' ? undefined : answer)
    },
    onUsable: () => usable++,
  })
  t.after(() => edges.close())
  const silenced: string[] = []
  const left: string[] = []
  const suspected: string[] = []
  const relay = (id: string): Upstream => {
    const edge = edges.relay(view.edge(id)!, {
      leave(why) {
        left.push(why)
        silenced.push(id)
        edge.relays.clear()
      },
      suspected: () => void suspected.push(id),
    })
    return edge
  }
  return { clock, view, edges, answers, asked, silenced, left, suspected, relay, usable: () => usable, isAside: (id: string) => edges.isBackedOff(view.edge(id)!) }
}

t.test('an edge we relay from is pinged four times a second, others are not', async t => {
  const { clock, asked, relay } = setUp(t)
  relay('a')
  await clock.advance(10_000)
  t.ok(asked.length >= 39 && asked.length <= 41, `${asked.length} times`)
  t.same([...new Set(asked)], ['a'])
})

t.test('an edge silent for a second is left and backed off from, while another is heard', async t => {
  const { clock, answers, silenced, relay, isAside } = setUp(t)
  relay('a')
  relay('b')
  await clock.advance(2_000)
  answers.set('a', 'never')
  await clock.advance(SILENT_MS - 500) // it may have been heard last a quarter of a second before
  t.same(silenced, [])
  await clock.advance(750)
  t.same(silenced, ['a'])
  t.ok(isAside('a'))
  t.notOk(isAside('b'))
})

t.test('an edge is suspected before it is left, one at a time', async t => {
  const { clock, answers, silenced, suspected, relay } = setUp(t)
  for (const id of ['a', 'b', 'c']) relay(id)
  await clock.advance(2_010)
  answers.set('a', 'never')
  answers.set('b', 'never')
  await clock.advance(500)
  t.same(suspected, [])
  await clock.advance(250)
  t.same([suspected, silenced], [['a'], []])
  await clock.advance(250)
  t.same([suspected, silenced], [['a'], ['a', 'b']])
})

t.test('an edge that is heard again is suspected again at its next silence', async t => {
  const { clock, answers, silenced, suspected, relay, edges } = setUp(t)
  const a = relay('a')
  relay('b')
  await clock.advance(2_010)
  for (let i = 0; i < 3; i++) {
    answers.set('a', 'never')
    await clock.advance(800)
    t.same([suspected.length, silenced], [i + 1, []])
    answers.delete('a')
    edges.heard(a)
    await clock.advance(950)
  }
})

t.test('nobody is suspected where no other edge was heard lately', async t => {
  const { clock, answers, suspected, relay } = setUp(t)
  relay('a')
  await clock.advance(2_010)
  for (const id of ['a', 'b', 'c']) answers.set(id, 'never')
  await clock.advance(10_000)
  t.same(suspected, [])
})

t.test('any byte is a sign of life', async t => {
  const { clock, answers, silenced, relay, edges } = setUp(t)
  const a = relay('a')
  relay('b')
  answers.set('a', 'never')
  for (let i = 0; i < 20; i++) {
    await clock.advance(500)
    edges.heard(a)
  }
  t.same(silenced, [])
})

t.test('so is the answer to a stream, and it ends a back-off at once', async t => {
  const { clock, answers, silenced, relay, edges, isAside, usable } = setUp(t)
  const a = relay('a')
  relay('b')
  answers.set('a', 'never')
  for (let i = 0; i < 10; i++) {
    await clock.advance(500)
    edges.connected(a)
  }
  t.same(silenced, [])
  edges.failed(a, 'timeout')
  t.ok(isAside('a'))
  edges.connected(a)
  t.notOk(isAside('a'))
  t.equal(usable(), 1)
})

t.test('an edge has its second from its first viewer on, and a later one does not give it another', async t => {
  const { clock, answers, silenced, relay } = setUp(t)
  relay('a')
  answers.set('b', 'never')
  await clock.advance(10_000)
  relay('b')
  await clock.advance(SILENT_MS - 250)
  t.same(silenced, [])
  relay('b')
  await clock.advance(500)
  t.same([...new Set(silenced)], ['b'])
})

t.test('an edge whose ping is refused is backed off from at once; one that only does not answer is not', async t => {
  const { clock, answers, relay, isAside } = setUp(t)
  for (const id of ['a', 'b']) relay(id)
  answers.set('a', 'refused')
  answers.set('b', 'timeout')
  await clock.advance(250)
  t.same([isAside('a'), isAside('b')], [true, false])
})

t.test('where all that we relay from fall silent, one that we do not is asked', async t => {
  const { clock, answers, silenced, relay } = setUp(t, ['a', 'b', 'c', 'd', 'e'])
  for (const id of ['a', 'b', 'c', 'd']) {
    relay(id)
    answers.set(id, 'never')
  }
  await clock.advance(2_000)
  t.same(silenced.sort(), ['a', 'b', 'c', 'd'])
})

t.test('an edge is pinged no more often for being stale and a witness', async t => {
  const { clock, view, edges, answers, asked, relay } = setUp(t, ['a', 'b'])
  relay('a')
  answers.set('a', 'never')
  relay('b').relays.clear()
  edges.pong(view.edge('b')!, { syncAgeMs: 60_000 })
  await clock.advance(2_000)
  const times = asked.filter(id => id === 'b').length
  t.ok(times >= 7 && times <= 8, `${times} times`)
})

t.test('the only edge we relay from is judged with the others as witnesses', async t => {
  const { clock, answers, silenced, asked, relay } = setUp(t)
  relay('a')
  answers.set('a', 'never')
  await clock.advance(5_000)
  t.same(silenced, ['a'])
  t.ok(asked.includes('b') && asked.includes('c'))
})

t.test('when all fall silent together, it holds', async t => {
  const { clock, answers, silenced, relay } = setUp(t)
  for (const id of ['a', 'b']) relay(id)
  await clock.advance(1_700)
  for (const id of ['a', 'b', 'c']) answers.set(id, 'never')
  await clock.advance(60_000)
  t.same(silenced, [])
  answers.set('b', 'alive')
  await clock.advance(1_500)
  t.same(silenced, ['a'], 'one is heard again: the other is silent by itself')
})

t.test('an edge that was only just met is no proof that we can hear', async t => {
  const { clock, answers, silenced, relay } = setUp(t)
  relay('a')
  for (const id of ['a', 'b', 'c']) answers.set(id, 'never')
  await clock.advance(2_900)
  relay('b')
  await clock.advance(10_000)
  t.same(silenced, [])
})

t.test('time in which our own loop did not run does not count', async t => {
  const { clock, answers, silenced, relay } = setUp(t)
  relay('a')
  relay('b')
  await clock.advance(1_000)
  answers.set('a', 'never')
  await clock.advance(250)
  await clock.freeze(60_000)
  t.same(silenced, [])
  await clock.advance(250)
  t.same(silenced, [])
  await clock.advance(1_000)
  t.same(silenced, ['a'])
})

t.test('a refused or timed-out connect sets an edge aside at once', async t => {
  const { edges, relay, isAside } = setUp(t)
  edges.failed(relay('a'), 'refused')
  edges.failed(relay('b'), 'timeout')
  t.ok(isAside('a'))
  t.ok(isAside('b'))
  t.equal(edges.backedOffCount, 2)
})

t.test('a reset, an error status, another wire and our own lack of descriptors set no edge aside', async t => {
  const { edges, relay, isAside } = setUp(t)
  const a = relay('a')
  for (const failure of ['lost', 'status', 'wire', 'local'] as const) edges.failed(a, failure)
  t.notOk(isAside('a'))
})

t.test('a refused connect ends the lingering of an edge that has vanished', async t => {
  const { edges, view, relay } = setUp(t)
  const a = relay('a')
  view.apply({ kind: 'edge', id: 'a', node: undefined }, 0)
  t.ok(view.edge('a'))
  edges.failed(a, 'refused')
  t.notOk(view.edge('a'))
})

t.test('after the back-off one ping decides, and the back-off grows', async t => {
  const { clock, edges, answers, asked, relay, usable, isAside } = setUp(t)
  const a = relay('a')
  a.relays.clear()
  answers.set('a', 'refused')
  edges.failed(a, 'refused')
  await clock.advance(499)
  t.equal(asked.length, 0)
  await clock.advance(1)
  t.equal(asked.length, 1)
  t.ok(isAside('a'))
  await clock.advance(999)
  t.equal(asked.length, 1, 'the second back-off is longer')
  answers.set('a', 'alive')
  await clock.advance(1)
  t.equal(asked.length, 2)
  t.notOk(isAside('a'))
  t.equal(usable(), 1)
})

t.test('an edge that drains gets nobody, until it is another instance', async t => {
  const { edges, view, relay, isAside } = setUp(t)
  edges.leaving(relay('a'))
  t.ok(isAside('a'))
  view.apply({ kind: 'edge', id: 'a', node: edgeNode('a', { instance: 'i2' }) }, 0)
  t.notOk(isAside('a'))
})

t.test('an edge whose drain is called off gets viewers again', async t => {
  const { clock, edges, relay, isAside, usable } = setUp(t)
  edges.leaving(relay('a'))
  await clock.advance(1_500)
  t.ok(isAside('a'))
  await clock.advance(1_000)
  t.notOk(isAside('a'))
  t.equal(usable(), 1)
})

t.test('a former instance is still judged while viewers are on it', async t => {
  const { clock, view, silenced, relay, edges, answers } = setUp(t)
  relay('a')
  view.apply({ kind: 'edge', id: 'a', node: edgeNode('a', { instance: 'i2' }) }, 0)
  edges.relay(view.edge('a')!, { leave: () => silenced.push('new a') })
  relay('b')
  answers.set('a', 'never')
  await clock.advance(6_000)
  t.ok(silenced.includes('a'))
})

t.test('a set-aside edge that still has viewers is judged too', async t => {
  const { clock, edges, answers, silenced, relay } = setUp(t)
  const a = relay('a')
  relay('b')
  answers.set('a', 'never')
  edges.failed(a, 'timeout')
  await clock.advance(5_000)
  t.same(silenced, ['a'])
})

t.test('a stale edge is left for one that is not, and watched until a dispatcher answers it again', async t => {
  const { clock, view, edges, relay, left, silenced } = setUp(t, ['a', 'b'])
  const pong = (id: string, syncAgeMs: number) => edges.pong(view.edge(id)!, { syncAgeMs })
  relay('a')
  await clock.advance(1_000)
  pong('a', 2_999)
  await clock.advance(500)
  t.same(left, [], 'not yet')
  pong('a', 3_000)
  await clock.advance(250)
  t.same([silenced, left], [['a'], ['stale']])
  t.ok(edges.isStale(view.edge('a')!))
  t.notOk(edges.isStale(view.edge('b')!))
  t.notOk(edges.isBackedOff(view.edge('a')!), 'it answers')
  await clock.advance(10_000)
  t.ok(edges.isStale(view.edge('a')!), 'nobody is relayed from it, and it is still known')
  pong('a', 10)
  t.notOk(edges.isStale(view.edge('a')!))
})

t.test('where every other edge is stale, full, draining or backed off from, a stale edge keeps its viewers', async t => {
  const { clock, view, edges, relay, left } = setUp(t, ['a', 'b', 'c', 'd', 'e'])
  view.apply({ kind: 'edge', id: 'b', node: edgeNode('b', { stale: true }) }, 0)
  view.apply({ kind: 'edge', id: 'c', node: edgeNode('c', { capacity: 10, viewers: 10 }) }, 0)
  view.apply({ kind: 'edge', id: 'd', node: edgeNode('d', { state: 'draining' }) }, 0)
  view.apply({ kind: 'edge', id: 'e', node: edgeNode('e', { wire: 2 }) }, 0)
  relay('a')
  edges.pong(view.edge('a')!, { syncAgeMs: 60_000 })
  await clock.advance(2_000)
  t.same(left, [])
  view.apply({ kind: 'edge', id: 'c', node: edgeNode('c', { capacity: 10, viewers: 9 }) }, 0)
  await clock.advance(250)
  t.same(left, ['stale'])
})

t.test('what was known of an edge goes with it', async t => {
  const { clock, view, edges, relay, asked } = setUp(t, ['a', 'b'])
  const a = relay('a')
  t.equal(edges.relayedFromCount, 1)
  a.relays.clear()
  edges.pong(view.edge('a')!, { syncAgeMs: 60_000 })
  await clock.advance(500)
  t.ok(edges.isStale(edgeNode('a')), 'in view: it is watched')
  t.equal(edges.relayedFromCount, 0)
  view.apply({ kind: 'edge', id: 'a', node: undefined }, 0)
  view.refused('a', 'i1')
  await clock.advance(500)
  t.notOk(edges.isStale(edgeNode('a')))

  const former = relay('b')
  edges.pong(view.edge('b')!, { syncAgeMs: 60_000 })
  view.apply({ kind: 'edge', id: 'b', node: edgeNode('b', { instance: 'i2' }) }, 0)
  edges.relay(view.edge('b')!, { leave: () => {} }).relays.clear()
  former.relays.clear()
  await clock.advance(500)
  const { length } = asked
  await clock.advance(1_000)
  t.equal(asked.length, length, 'nor is one that was replaced asked any more')
})

t.test('once closed it asks nobody, and leaves nothing that waits', async t => {
  const { clock, edges, relay, asked } = setUp(t)
  edges.failed(relay('a'), 'timeout')
  edges.close()
  await clock.advance(10_000)
  t.same([asked, clock.pending], [[], 0])
})

t.test('an edge says in the registry too that it is stale', async t => {
  const { clock, view, edges, relay, left } = setUp(t, ['a', 'b'])
  relay('a')
  view.apply({ kind: 'edge', id: 'a', node: edgeNode('a', { stale: true }) }, 0)
  t.ok(edges.isStale(view.edge('a')!))
  await clock.advance(250)
  t.same(left, ['stale'])
  view.apply({ kind: 'edge', id: 'a', node: edgeNode('a', { stale: false }) }, 0)
  t.notOk(edges.isStale(view.edge('a')!))
})
