import fc from 'fast-check'
import t from 'tap'
import { level, type LevelRules } from '../../gateway/levelling.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import { View } from '../../registry/view.js'
import { edgeNode } from '../support/nodes.js'

const rules: LevelRules = { videoShare: 1_000, toleratedViewers: 20, exact: false, backedOff: () => false }

interface Told extends Partial<EdgeNode> {
  readonly videos?: Readonly<Record<string, number>>
}

function viewOf(edges: Readonly<Record<string, Told>>): View {
  const view = new View()
  for (const [id, { videos = {}, ...given }] of Object.entries(edges)) {
    const node = edgeNode(id, { capacity: 1_000, viewers: Object.values(videos).reduce((sum, each) => sum + each, 0), ...given })
    view.apply({ kind: 'edge', id, node }, 0)
    view.apply({ kind: 'holdings', id, holdings: { instance: node.instance, videos: new Map(Object.entries(videos)) } }, 0)
  }
  return view
}

/** Video → from and to. */
function moved(edges: Readonly<Record<string, Told>>, given: Partial<LevelRules> = {}): Record<string, string> {
  return Object.fromEntries([...level(viewOf(edges), { ...rules, ...given })].map(([videoId, [move]]) => [videoId, `${move!.from.id} ${move!.to.id}`]))
}

function videos(count: number, viewers: number, first = 0): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`v${first + i}`, viewers]))
}

t.test('an edge that has come back gets half, in whole videos', async t => {
  const moves = moved({ a: { videos: videos(30, 5) }, b: {} })
  t.same(Object.values(moves), Array<string>(15).fill('a b'))
  t.same(Object.keys(moves), Object.keys(videos(15, 5)), 'in the order of their ids: all gateways choose the same')
  const otherOrder = Object.fromEntries(Object.entries(videos(30, 5)).reverse())
  t.same(moved({ a: { videos: otherOrder }, b: {} }), moves, 'whatever order their views have')
})

t.test('by capacity', async t => {
  t.equal(Object.keys(moved({ a: { videos: videos(40, 5) }, b: { capacity: 250 } })).length, 8)
})

t.test('one video that all watch stays together', async t => {
  t.same(moved({ a: { videos: { hot: 151 } }, b: {} }), {})
  t.same(moved({ a: { videos: { hot: 151, other: 10 } }, b: {} }), { other: 'a b' })
})

t.test('nothing is moved while every edge is near its share', async t => {
  t.same(moved({ a: { videos: videos(24, 5) }, b: { videos: videos(16, 5, 100) } }), {}, '120 and 80')
  t.not(Object.keys(moved({ a: { videos: videos(26, 5) }, b: { videos: videos(15, 5, 100) } })).length, 0, '130 and 75')
  t.same(moved({ a: { videos: videos(40, 1) }, b: {} }), {}, 'off by 20')
  t.same(moved({ a: { videos: videos(40, 1) }, b: {} }, { toleratedViewers: 19 }), Object.fromEntries(Object.keys(videos(20, 1)).map(id => [id, 'a b'])))
  t.same(moved({}), {})
  t.same(moved({ a: { videos: videos(100, 5) } }), {})
})

t.test('the emptiest is filled first, and takes from the fullest', async t => {
  const moves = moved({ a: { videos: videos(60, 5) }, b: { videos: videos(60, 4, 100) }, c: { videos: videos(10, 5, 200) }, d: {} })
  t.same([...new Set(Object.values(moves))], ['a d', 'a c', 'b c'])
})

t.test('only edges that this gateway can use take part', async t => {
  for (const given of [{ state: 'draining' }, { wire: 1_000 }, { stale: true }, { capacity: 0 }] as const) {
    t.same(moved({ a: { videos: videos(30, 5) }, b: given }), {}, JSON.stringify(given))
  }
  t.same(moved({ a: { videos: videos(30, 5) }, b: {} }, { backedOff: ({ id }) => id === 'b' }), {})

  const view = viewOf({ a: { videos: videos(30, 5) }, b: {} })
  view.apply({ kind: 'edge', id: 'a', node: undefined }, 0)
  t.equal(level(view, rules).size, 0, 'an edge that has vanished lingers with viewers that it may not have')
})

t.test('no edge gets more of a video than its share', async t => {
  t.same(moved({ a: { videos: { hot: 30, more: 100 } }, b: { videos: { hot: 10 } } }, { videoShare: 40 }), { hot: 'a b' })
  t.same(moved({ a: { videos: { hot: 30, more: 100 } }, b: { videos: { hot: 10 } } }, { videoShare: 39 }), {})
})

t.test('at most 2,000 viewers are moved at a time', async t => {
  const moves = moved({ a: { capacity: 20_000, videos: videos(1_000, 10) }, b: { capacity: 20_000 } })
  t.equal(Object.keys(moves).length, 200)
})

t.test('no edge passes its fair share, and a second look at what has come of it moves little or nothing', async t => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 })
  fc.assert(
    fc.property(fc.array(sizes, { minLength: 1, maxLength: 5 }), edges => {
      const held = edges.map((sizes, edge) => new Map(sizes.map((viewers, i) => [`v${edge}-${i}`, viewers])))
      const total = (edge: ReadonlyMap<string, number>) => [...edge.values()].reduce((sum, each) => sum + each, 0)
      const told = () => viewOf(Object.fromEntries(held.map((videos, i) => [`e${i}`, { capacity: 5_000, videos: Object.fromEntries(videos) }])))
      const fair = held.reduce((sum, videos) => sum + total(videos), 0) / held.length
      const before = held.map(total)
      for (const [videoId, [move]] of level(told(), rules)) {
        const { from, to } = move!
        const viewers = held[Number(from.id.slice(1))]!.get(videoId)!
        held[Number(from.id.slice(1))]!.delete(videoId)
        held[Number(to.id.slice(1))]!.set(videoId, viewers)
      }
      held.forEach((videos, i) => {
        const after = total(videos)
        // Never past its share, and never further from it.
        if (before[i]! <= fair) t.ok(after >= before[i]! && after <= fair + 1e-6, `${before[i]} → ${after}, fair ${fair}`)
        else t.ok(after <= before[i]! && after >= fair - 1e-6, `${before[i]} → ${after}, fair ${fair}`)
      })
    }),
    { numRuns: 300 },
  )
})

t.test('where operators wish so, edges are levelled however little they are off by', async t => {
  t.same(moved({ a: { videos: videos(6, 5) }, b: { videos: videos(2, 5, 100) } }, { exact: true }), { v0: 'a b', v1: 'a b' })
  t.same(moved({ a: { videos: videos(5, 5) }, b: { videos: videos(4, 5, 100) } }, { exact: true }), {}, 'a video that is larger than what they are off by')
})

/** What a video's edges have once all gateways have moved their share of its viewers. */
function spreadOn(edges: Readonly<Record<string, Told>>, wanted: number): { readonly held: Record<string, number>; readonly shares: readonly number[] } {
  const view = viewOf(edges)
  view.apply({ kind: 'spread', id: 'hot', edges: wanted }, 0)
  const before = Object.fromEntries(view.edges().map(({ id }) => [id, view.holdingsOf(id).get('hot') ?? 0]))
  const held = { ...before }
  const moves = level(view, rules).get('hot') ?? []
  for (const { from, to, share } of moves) {
    held[from.id]! -= share * before[from.id]!
    held[to.id]! += share * before[from.id]!
  }
  return { held: Object.fromEntries(Object.entries(held).map(([id, viewers]) => [id, Math.round(viewers)])), shares: moves.map(({ share }) => share) }
}

t.test('a video that operators spread comes to be on so many edges, in equal parts', async t => {
  t.same(spreadOn({ a: { videos: { hot: 90 } }, b: { videos: { other: 5 } }, c: {}, d: { videos: { other: 1 } } }, 3).held, { a: 30, b: 0, c: 30, d: 30 }, 'the least loaded are taken')
  t.same(spreadOn({ a: { videos: { hot: 60 } }, b: { videos: { hot: 20 } }, c: { videos: { hot: 10 } } }, 2).held, { a: 45, b: 45, c: 0 }, 'the smallest is left')
  t.same(spreadOn({ a: { videos: { hot: 60 } }, b: { videos: { hot: 20 } } }, 1).held, { a: 80, b: 0 })
  t.same(spreadOn({ a: { videos: { hot: 60 } }, b: {} }, 5).held, { a: 30, b: 30 }, 'there are only two')
  t.same(spreadOn({ a: {}, b: {} }, 2), { held: { a: 0, b: 0 }, shares: [] }, 'nobody watches it')
  t.same(spreadOn({ a: { videos: { hot: 32 } }, b: { videos: { hot: 28 } } }, 2).shares, [], 'nearly equal is left as it is')
  t.same(spreadOn({ a: { videos: { hot: 60 } }, b: { state: 'draining' } }, 2).shares, [], 'no other can be used')
  t.same(spreadOn({ a: { capacity: 20_000, videos: { hot: 10_000 } }, b: { capacity: 20_000 } }, 2).held, { a: 8_000, b: 2_000 }, 'at most 2,000 at a time')
  t.ok(Math.max(...spreadOn({ a: { videos: { hot: 60 } }, b: { videos: { hot: 20 } }, c: { videos: { hot: 10 } } }, 1).shares) === 1, 'all of them')
})

t.test('a video that operators spread is not moved as a whole', async t => {
  const view = viewOf({ a: { videos: videos(30, 5) }, b: {} })
  view.apply({ kind: 'spread', id: 'v0', edges: 1 }, 0)
  const moves = level(view, rules)
  t.same(moves.get('v0'), [])
  t.equal(moves.get('v1')![0]!.share, 1)
  view.apply({ kind: 'spread', id: 'v0', edges: undefined }, 0)
  t.equal(level(view, rules).get('v0')![0]!.share, 1)
})
