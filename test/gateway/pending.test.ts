import t from 'tap'
import { FRESH_MS, FULL_MS, Pending, SETTLE_MS } from '../../gateway/pending.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import type { Change } from '../../registry/view.js'
import { edgeNode } from '../support/nodes.js'

const edge = (viewers: number): EdgeNode => edgeNode('e', { viewers })
const announced = (viewers: number): Change => ({ kind: 'edge', id: 'e', node: edge(viewers) })
const held = (viewers: number): Change => ({ kind: 'holdings', id: 'e', holdings: { instance: 'i1', videos: new Map([['v', viewers]]) } })

t.test('a placement counts until an announcement made after it is seen', async t => {
  const pending = new Pending()
  const placed = pending.place(edge(5), 'v', 0)
  t.equal(pending.viewers(edge(5)), 6)
  t.equal(pending.videoViewers(edge(5), 'v', 2), 3)
  pending.seen(announced(5), 1_000)
  t.equal(pending.viewers(edge(5)), 6, 'the viewer had not arrived')
  placed.arrived(1_000)
  pending.seen(announced(5), 1_000 + SETTLE_MS - 1)
  t.equal(pending.viewers(edge(5)), 6, 'the announcement may have been made before')
  pending.seen(announced(6), 1_000 + SETTLE_MS)
  t.equal(pending.viewers(edge(6)), 6)
  t.equal(pending.videoViewers(edge(6), 'v', 2), 3, 'its holdings have not been announced')
  pending.seen(held(3), 1_000 + SETTLE_MS)
  t.equal(pending.videoViewers(edge(6), 'v', 3), 3)
})

t.test('an announcement covers a viewer once, and only of its own instance', async t => {
  const pending = new Pending()
  const other: Change[] = [
    { kind: 'edge', id: 'e', node: edgeNode('e', { instance: 'i2' }) },
    { kind: 'holdings', id: 'e', holdings: { instance: 'i2', videos: new Map([['v', 3]]) } },
  ]
  const counts = () => [pending.viewers(edge(5)), pending.videoViewers(edge(5), 'v', 5)]
  for (let i = 0; i < 2; i++) pending.place(edge(5), 'v', 0).arrived(0)
  for (const change of other) pending.seen(change, 1_000)
  t.same(counts(), [7, 7], 'that of another instance covers none')
  for (const change of [announced(5), held(5), announced(5), held(5)]) pending.seen(change, 1_000)
  t.same(counts(), [5, 5])
  pending.place(edge(5), 'v', 1_000)
  t.same(counts(), [6, 6])
  for (let i = 0; i < 2; i++) pending.expire(1_000 + FRESH_MS)
  pending.place(edge(5), 'v', 10_000)
  t.same(counts(), [6, 6], 'nor is one let go of twice')
})

t.test('one of several leaves: the others count as before', async t => {
  const pending = new Pending()
  const [first] = [pending.place(edge(0), 'v', 0), pending.place(edge(0), 'v', 0)]
  first.left()
  t.same([pending.viewers(edge(0)), pending.videoViewers(edge(0), 'v', 0)], [1, 1])
  const other = pending.place(edge(0), 'w', 0)
  other.left()
  t.equal(pending.viewers(edge(0)), 1, 'nor does one of another video take them along')
  pending.place(edge(0), 'w', 0)
  const far = pending.place(edgeNode('f'), 'w', 0)
  t.same(pending.holders('w').map(({ edgeId }) => edgeId), ['e', 'f'], 'who held the video before holds it again')
  far.left()
  t.same(pending.holders('w').map(({ edgeId }) => edgeId), ['e'])
})

t.test('a viewer that leaves no longer counts', async t => {
  const pending = new Pending()
  const placed = pending.place(edge(0), 'v', 0)
  t.same(pending.holders('v').map(({ edgeId }) => edgeId), ['e'])
  placed.left()
  placed.left()
  t.equal(pending.viewers(edge(0)), 0)
  t.equal(pending.videoViewers(edge(0), 'v', 0), 0)
  t.same(pending.holders('v'), [])
})

t.test('a placement that no announcement covers is let go after a while', async t => {
  const pending = new Pending()
  pending.place(edge(9), 'v', 0)
  pending.expire(FRESH_MS - 1)
  t.equal(pending.viewers(edge(9)), 10)
  pending.expire(FRESH_MS)
  t.equal(pending.viewers(edge(9)), 9)
})

t.test('an edge never counts for less than we relay from it', async t => {
  const pending = new Pending()
  for (let i = 0; i < 4; i++) pending.place(edge(1), 'v', 0)
  pending.expire(FRESH_MS)
  t.equal(pending.viewers(edge(1)), 4)
  t.equal(pending.videoViewers(edge(1), 'v', 1), 4)
})

t.test('another instance of an edge does not inherit its placements', async t => {
  const pending = new Pending()
  const placed = pending.place(edge(0), 'v', 0)
  const next = edgeNode('e', { instance: 'i2' })
  t.equal(pending.viewers(next), 0)
  pending.place(next, 'v', 0)
  placed.left()
  t.equal(pending.viewers(next), 1)
  t.same(pending.holders('v').map(({ instance }) => instance), ['i2'])
})

t.test('an edge that refused a viewer as full is taken to be so until it announces itself, or for a while', async t => {
  const pending = new Pending()
  const refuse = (now: number) => pending.place(edge(5), 'v', now).refused(true, now)
  const knows = () => [pending.viewers(edge(5)), pending.takesVideos(edge(5))]
  refuse(0)
  t.same(knows(), [edge(5).capacity, false])
  t.same([pending.videoViewers(edge(5), 'v', 2), pending.holders('v')], [2, []], 'nor is the viewer there')
  const next = edgeNode('e', { instance: 'i2' })
  t.same([pending.viewers(next), pending.takesVideos(next)], [0, true], 'another instance of it is not')
  pending.seen(held(3), 10)
  t.same(knows(), [edge(5).capacity, false], 'its videos say nothing of its room')
  pending.seen(announced(5), 10)
  t.same(knows(), [5, true])
  refuse(20)
  pending.expire(20 + FULL_MS - 1)
  t.same(knows(), [edge(5).capacity, false])
  pending.expire(20 + FULL_MS)
  t.same(knows(), [5, true])
})

t.test('an edge that refused a viewer of a video that it may not have held takes those of videos that it holds', async t => {
  const pending = new Pending()
  const knows = () => [pending.viewers(edge(5)), pending.takesVideos(edge(5))]
  const [first, second] = [pending.place(edge(5), 'v', 0), pending.place(edge(5), 'v', 0)]
  first.refused(false, 0)
  t.same(knows(), [6, false], 'only its list of videos may be full; another viewer is on its way')
  second.arrived(1)
  const third = pending.place(edge(5), 'v', 2)
  third.arrived(2)
  third.refused(false, 2)
  t.same(knows(), [edge(5).capacity, false], 'it holds the video of a viewer that is there')
  pending.place(edge(5), 'w', 3).refused(false, 3)
  t.same(knows(), [edge(5).capacity, false], 'and stays full')
  second.left()
  pending.seen(announced(5), 10)
  const alone = pending.place(edge(5), 'v', 20)
  alone.arrived(20)
  alone.refused(false, 20)
  t.same(knows(), [5, false], 'no viewer of ours is there any more')
})
