import fc from 'fast-check'
import t from 'tap'
import { Pending } from '../../gateway/pending.js'
import { place, type Placement } from '../../gateway/placement.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import { View } from '../../registry/view.js'
import { edgeNode } from '../support/nodes.js'

const none = () => false

/** A cluster whose announcements are always true: `announce` tells a gateway's view what edges hold. */
class Cluster {
  readonly held = new Map<string, Map<string, number>>()

  constructor(readonly nodes: EdgeNode[]) {
    for (const { id } of nodes) this.held.set(id, new Map())
  }

  add(edgeId: string, videoId: string): void {
    const videos = this.held.get(edgeId)!
    videos.set(videoId, (videos.get(videoId) ?? 0) + 1)
  }

  viewers(edgeId: string): number {
    return [...this.held.get(edgeId)!.values()].reduce((sum, each) => sum + each, 0)
  }

  announce(view: View, pending?: Pending, now = 0): void {
    for (const node of this.nodes) {
      const changes = [
        { kind: 'edge', id: node.id, node: { ...node, viewers: this.viewers(node.id) } },
        { kind: 'holdings', id: node.id, holdings: { instance: node.instance, videos: new Map(this.held.get(node.id)) } },
      ] as const
      for (const change of changes) {
        view.apply(change, 0)
        pending?.seen(change, now)
      }
    }
  }
}

function cluster(count: number, given: Partial<EdgeNode> = {}): Cluster {
  return new Cluster(Array.from({ length: count }, (_, i) => edgeNode(`edge-${i}`, given)))
}

const idOf = (found: Placement) => (typeof found === 'string' ? found : found.id)

t.test('a video stays on one edge while it fits', async t => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 60 }), fc.boolean(), (edges, joins, announced) => {
      const all = cluster(edges, { capacity: 1_000 })
      const view = new View()
      const pending = new Pending()
      all.announce(view)
      const where = new Map<number, string>()
      joins.forEach((video, i) => {
        const found = place(view, `v${video}`, pending, { videoShare: 1_000, backedOff: none }) as EdgeNode
        t.equal(found.id, where.get(video) ?? found.id)
        where.set(video, found.id)
        pending.place(found, `v${video}`, i).arrived(i)
        all.add(found.id, `v${video}`)
        if (announced && i % 7 === 0) all.announce(view, pending, i)
      })
    }),
  )
})

t.test('a hot video spreads over as many edges as its share asks, and no edge is over a limit', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 200 }), fc.boolean(), (share, capacity, viewers, announced) => {
      const all = cluster(6, { capacity })
      const view = new View()
      const pending = new Pending()
      all.announce(view)
      const used = new Map<string, number>()
      const most = Math.min(share, capacity)
      for (let i = 0; i < viewers; i++) {
        const found = place(view, 'hot', pending, { videoShare: share, backedOff: none })
        if (typeof found === 'string') {
          if (i < most * 6) throw new Error(`said ${found} after ${i}`)
          continue
        }
        pending.place(found, 'hot', i * 1_000).arrived(i * 1_000)
        all.add(found.id, 'hot')
        used.set(found.id, (used.get(found.id) ?? 0) + 1)
        if (announced) all.announce(view, pending, i * 1_000 + 500)
      }
      for (const count of used.values()) if (count > most) throw new Error(`${count} viewers on one edge`)
      const edges = Math.ceil(Math.min(viewers, most * 6) / most)
      if (used.size !== edges) throw new Error(`${used.size} edges for ${viewers} viewers, not ${edges}`)
    }),
  )
})

t.test('gateways that see the same choose the same', async t => {
  const all = cluster(20)
  const views = [new View(), new View()]
  all.announce(views[0]!)
  all.nodes.reverse()
  all.announce(views[1]!)
  for (let i = 0; i < 200; i++) {
    const [a, b] = views.map(view => idOf(place(view, `video-${i}`, new Pending(), { videoShare: 10, backedOff: none })))
    t.equal(a, b)
  }
  for (const id of ['edge-3', 'edge-11', 'edge-7']) all.add(id, 'held')
  all.announce(views[0]!)
  all.nodes.reverse()
  all.announce(views[1]!)
  t.same(views.map(view => idOf(place(view, 'held', new Pending(), { videoShare: 10, backedOff: none }))), ['edge-11', 'edge-11'], 'of equal holders too')
})

t.test('gateways whose counts differ a little mostly choose the same', async t => {
  const all = cluster(10, { capacity: 15_000 })
  for (const { id } of all.nodes) for (let i = 0; i < 1_000; i++) all.add(id, 'old')
  const views = [new View(), new View()]
  all.announce(views[0]!)
  for (const [i, { id }] of all.nodes.entries()) for (let n = 0; n < i; n++) all.add(id, 'old')
  all.announce(views[1]!)
  let same = 0
  for (let i = 0; i < 200; i++) {
    const [a, b] = views.map(view => idOf(place(view, `video-${i}`, new Pending(), { videoShare: 10_000, backedOff: none })))
    if (a === b) same++
  }
  t.ok(same > 180, `${same} of 200`)
})

t.test('a burst of new videos between two announcements is spread level', async t => {
  const all = cluster(3, { capacity: 15_000 })
  const view = new View()
  const pending = new Pending()
  all.announce(view)
  for (let i = 0; i < 200; i++) {
    const found = place(view, `video-${i % 20}`, pending, { videoShare: 10_000, backedOff: none }) as EdgeNode
    pending.place(found, `video-${i % 20}`, 0)
    all.add(found.id, `video-${i % 20}`)
  }
  const loads = all.nodes.map(({ id }) => all.viewers(id))
  t.ok(Math.max(...loads) - Math.min(...loads) <= 30, loads.join(' '))
})

t.test('an edge that drains, is backed off from or speaks another wire gets nobody', async t => {
  const view = new View()
  view.apply({ kind: 'edge', id: 'a', node: edgeNode('a', { state: 'draining' }) }, 0)
  view.apply({ kind: 'edge', id: 'b', node: edgeNode('b') }, 0)
  view.apply({ kind: 'edge', id: 'c', node: edgeNode('c', { wire: 2 }) }, 0)
  for (const id of ['a', 'b', 'c']) view.apply({ kind: 'holdings', id, holdings: { instance: 'i1', videos: new Map([['v', 5]]) } }, 0)
  t.equal(idOf(place(view, 'v', new Pending(), { videoShare: 10, backedOff: none })), 'b')
  t.equal(place(view, 'v', new Pending(), { videoShare: 10, backedOff: ({ id }) => id === 'b' }), 'none')
  t.equal(place(view, 'v', new Pending(), { videoShare: 5, backedOff: none }), 'full')
  t.equal(place(new View(), 'v', new Pending(), { videoShare: 5, backedOff: none }), 'none')
})

t.test('a limit holds whoever says what an edge holds: all gateways, or this one alone', async t => {
  const view = new View()
  const pending = new Pending()
  view.apply({ kind: 'edge', id: 'a', node: edgeNode('a', { viewers: 10 }) }, 0)
  view.apply({ kind: 'holdings', id: 'a', holdings: { instance: 'i1', videos: new Map([['v', 10]]) } }, 0)
  pending.place(edgeNode('a'), 'v', 0)
  pending.place(edgeNode('gone'), 'v', 0)
  t.equal(place(view, 'v', pending, { videoShare: 10, backedOff: none }), 'full')
})

t.test('a new video is not kept from the least loaded edge that can take it by one that cannot', async t => {
  const view = new View()
  const show = (id: string, given: Partial<EdgeNode>, videos: [string, number][] = []) => {
    view.apply({ kind: 'edge', id, node: edgeNode(id, given) }, 0)
    view.apply({ kind: 'holdings', id, holdings: { instance: 'i1', videos: new Map(videos) } }, 0)
  }
  const found = (videoId: string) => idOf(place(view, videoId, new Pending(), { videoShare: 10, backedOff: none }))
  show('drains', { state: 'draining' })
  t.equal(found('v'), 'none')
  show('has its share', { viewers: 10 }, [['v', 10]])
  show('free', { viewers: 500 })
  t.equal(found('v'), 'free')
  show('has its share', { viewers: 1_000 })
  show('free', { viewers: 999 })
  for (let i = 0; i < 20; i++) t.equal(found(`w${i}`), 'free', 'the last place')
  show('free', { viewers: 1_000 })
  t.equal(found('w'), 'full')
})

t.test('the fullest holder is chosen, so that a cooling video shrinks back', async t => {
  const all = cluster(3)
  const view = new View()
  for (let i = 0; i < 3; i++) all.add('edge-0', 'v')
  for (let i = 0; i < 7; i++) all.add('edge-2', 'v')
  all.announce(view)
  t.equal(idOf(place(view, 'v', new Pending(), { videoShare: 10, backedOff: none })), 'edge-2')
})

t.test('a crowd between two announcements does not overfill an edge that others have nearly filled', async t => {
  const view = new View()
  const pending = new Pending()
  for (const [id, viewers] of [['a', 90], ['b', 0]] as const) {
    view.apply({ kind: 'edge', id, node: edgeNode(id, { capacity: 100, viewers }) }, 0)
    view.apply({ kind: 'holdings', id, holdings: { instance: 'i1', videos: new Map(viewers ? [['v', viewers]] : []) } }, 0)
  }
  const placed = { a: 0, b: 0 }
  for (let i = 0; i < 50; i++) {
    const found = place(view, 'v', pending, { videoShare: 1_000, backedOff: none }) as EdgeNode
    pending.place(found, 'v', 0)
    placed[found.id as 'a' | 'b']++
  }
  t.same(placed, { a: 10, b: 40 })
})

t.test('an edge that has refused a viewer gets none for whom it is full', async t => {
  const all = cluster(3, { capacity: 10 })
  for (const id of ['edge-1', 'edge-2']) for (let i = 0; i < 5; i++) all.add(id, `on ${id}`)
  const view = new View()
  all.announce(view)
  const pending = new Pending()
  const [empty, held] = [view.edge('edge-0')!, view.edge('edge-1')!]
  const found = (videoId: string, movedTo?: EdgeNode) => idOf(place(view, videoId, pending, { videoShare: 1_000, backedOff: none, movedTo }))
  t.equal(found('new'), 'edge-0')
  pending.place(empty, 'new', 0).refused(false, 0)
  for (let i = 0; i < 20; i++) t.not(found(`new-${i}`), 'edge-0')
  t.not(found('new', empty), 'edge-0')
  pending.place(held, 'new', 0).refused(false, 0)
  t.same([found('new'), found('on edge-1'), found('on edge-1', held)], ['edge-2', 'edge-1', 'edge-1'], 'of what it holds it may take more')
  pending.place(held, 'on edge-1', 0).refused(true, 0)
  t.same([found('on edge-1'), found('on edge-1', held)], ['edge-2', 'edge-2'])
  pending.place(view.edge('edge-2')!, 'new', 0).refused(false, 0)
  t.same([found('new'), found('on edge-2')], ['full', 'edge-2'])
})

t.test('a video that is being moved goes on there while that edge can be used and has room', async t => {
  const all = cluster(3, { capacity: 10 })
  for (let i = 0; i < 5; i++) all.add('edge-0', 'v')
  const view = new View()
  all.announce(view)
  const movedTo = view.edge('edge-2')!
  const found = (given: Partial<Parameters<typeof place>[3]> = {}, pending = new Pending()) => idOf(place(view, 'v', pending, { videoShare: 1_000, backedOff: none, movedTo, ...given }))
  t.equal(found(), 'edge-2')
  t.equal(found({ movedTo: undefined }), 'edge-0')
  t.equal(found({ backedOff: ({ id }) => id === 'edge-2' }), 'edge-0')
  t.equal(found({ movedTo: { ...movedTo, instance: 'former' } }), 'edge-0')
  const pending = new Pending()
  for (let i = 0; i < 6; i++) pending.place(movedTo, 'v', 0)
  t.equal(found({ videoShare: 6 }, pending), 'edge-0', 'it has its share of the video')
  for (let i = 0; i < 4; i++) pending.place(movedTo, 'other', 0)
  t.equal(found({}, pending), 'edge-0', 'it is full')
})

t.test('a video that operators spread: on a new edge until so many hold it, then on the emptiest of those', async t => {
  const all = cluster(4, { capacity: 100 })
  const view = new View()
  const pending = new Pending()
  const rules = { videoShare: 1_000, backedOff: none }
  all.announce(view)
  view.apply({ kind: 'spread', id: 'hot', edges: 3 }, 0)
  const where = Array.from({ length: 90 }, (_, i) => {
    const found = place(view, 'hot', pending, rules) as EdgeNode
    pending.place(found, 'hot', i).arrived(i)
    return found.id
  })
  const counts = [...new Set(where)].map(id => where.filter(each => each === id).length)
  t.same(counts, [30, 30, 30])

  view.apply({ kind: 'spread', id: 'hot', edges: 9 }, 0)
  t.notOk(where.includes(idOf(place(view, 'hot', pending, rules))), 'a fourth')
  t.ok(where.includes(idOf(place(view, 'hot', pending, { ...rules, backedOff: ({ id }) => !where.includes(id) }))), 'one of the three where there is no other')
  t.equal(place(view, 'hot', pending, { ...rules, videoShare: 30, backedOff: ({ id }) => !where.includes(id) }), 'full')
  view.apply({ kind: 'spread', id: 'hot', edges: undefined }, 0)
  t.equal(idOf(place(view, 'hot', pending, rules)), [...new Set(where)].sort()[0], 'as few as carry it')
})

t.test('where a video is on more edges than it is to be, the smallest get nobody', async t => {
  const all = cluster(3, { capacity: 100 })
  const view = new View()
  for (const [edge, viewers] of [[0, 5], [1, 9], [2, 7]] as const) for (let i = 0; i < viewers; i++) all.add(`edge-${edge}`, 'hot')
  all.announce(view)
  const found = (edges: number, videoShare = 1_000) => {
    view.apply({ kind: 'spread', id: 'hot', edges }, 0)
    return idOf(place(view, 'hot', new Pending(), { videoShare, backedOff: none }))
  }
  t.same([found(1), found(2), found(3)], ['edge-1', 'edge-2', 'edge-0'])
  t.equal(found(2, 7), 'edge-0', 'unless they alone have room')
})
