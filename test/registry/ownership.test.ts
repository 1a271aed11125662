import fc from 'fast-check'
import t from 'tap'
import { WIRE_VERSION } from '../../protocol/wire.js'
import { ownerOf, ownersOf } from '../../registry/ownership.js'
import { View } from '../../registry/view.js'
import { dispatcherNode } from '../support/nodes.js'

function viewOf(ids: readonly string[], draining: readonly string[] = []): View {
  const view = new View()
  for (const id of ids) view.apply({ kind: 'dispatcher', id, node: dispatcherNode(id, { state: draining.includes(id) ? 'draining' : 'up' }) }, 0)
  return view
}

t.test('nobody owns a video where there is no dispatcher', async t => {
  t.equal(ownerOf(viewOf([]), 'v'), undefined)
  t.same(ownersOf(viewOf([]), 'v'), [])
})

t.test('the owner is the first in the order that all agree on, however they came to know the dispatchers', async () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { minLength: 1, maxLength: 12 }), fc.string(), (ids, videoId) => {
      const order = ownersOf(viewOf(ids), videoId).map(({ id }) => id)
      if (ownerOf(viewOf(ids.toReversed()), videoId)?.id !== order[0]) throw new Error('another owner')
      if (ownersOf(viewOf(ids.toSorted()), videoId).map(({ id }) => id).join() !== order.join()) throw new Error('another order')
      if (order.toSorted().join() !== ids.toSorted().join()) throw new Error('not all of them')
    }),
  )
})

t.test('a draining dispatcher owns nothing', async t => {
  const view = viewOf(['d1', 'd2'], ['d1'])
  for (let i = 0; i < 100; i++) t.equal(ownerOf(view, `v${i}`)?.id, 'd2')
})

t.test('one that speaks another wire version is not asked', async t => {
  const view = viewOf(['d1'])
  view.apply({ kind: 'dispatcher', id: 'd2', node: dispatcherNode('d2', { wire: WIRE_VERSION + 1 }) }, 0)
  for (let i = 0; i < 100; i++) t.same(ownersOf(view, `v${i}`).map(({ id }) => id), ['d1'])
  t.equal(ownerOf(view, 'v')?.id, 'd1')
})

t.test('each video keeps an order of its own, until a dispatcher comes or goes', async t => {
  const ids = ['d1', 'd2', 'd3']
  const view = viewOf(ids)
  const videos = Array.from({ length: 2_500 }, (_, i) => `v${i}`)
  const orders = () => videos.map(videoId => ownersOf(view, videoId).map(({ id }) => id).join())
  const before = orders()
  t.same(orders(), before)
  t.same(new Set(before).size, 6, 'every order there is')
  view.apply({ kind: 'dispatcher', id: 'd2', node: undefined }, 0)
  t.same(orders(), before, 'it lingers')
  view.expire(60_000)
  t.same(orders(), before.map(order => order.split(',').filter(id => id !== 'd2').join()))
  view.apply({ kind: 'dispatcher', id: 'd2', node: dispatcherNode('d2') }, 0)
  t.same(orders(), before)
})
