import t from 'tap'
import { mostWatched, overview, type OverviewDeps } from '../../gateway/overview.js'
import { COUNTED_MS, View } from '../../registry/view.js'
import { dispatcherNode, edgeNode, gatewayNode } from '../support/nodes.js'

function viewOf(videos: Readonly<Record<string, number>>): View {
  const view = new View()
  view.apply({ kind: 'edge', id: 'e1', node: edgeNode('e1', { viewers: 950 }) }, 0)
  view.apply({ kind: 'edge', id: 'e2', node: edgeNode('e2', { viewers: 5, stale: true }) }, 0)
  view.apply({ kind: 'dispatcher', id: 'd1', node: dispatcherNode('d1', { fit: false }) }, 0)
  view.apply({ kind: 'holdings', id: 'e1', holdings: { instance: 'i1', videos: new Map(Object.entries(videos)) } }, 0)
  view.apply({ kind: 'holdings', id: 'e2', holdings: { instance: 'i1', videos: new Map([['hot', 5]]) } }, 0)
  return view
}

const look = (given: Partial<OverviewDeps> = {}) => overview({ view: viewOf({ hot: 900, cold: 50 }), watched: ['hot', 'cold'], gateways: [gatewayNode('g1')], expected: { gateways: 1, edges: 3 }, cluster: undefined, rates: new Map(), silent: new Set(), at: 1, ...given })

t.test('what is not as it should be is said in words, each once', async t => {
  t.same(look({ silent: new Set(['g1']) }).problems, [
    '1 of 3 edges is missing',
    'gateway g1 does not answer',
    'edge e1 is nearly full: 950 of 1000 viewers',
    'edge e2 hears from no dispatcher: its viewers may be missing comments',
    'dispatcher d1 can store nothing, or its clock is wrong',
  ])
})

t.test('a node that has vanished is shown until it is forgotten, and counts as missing', async t => {
  const view = viewOf({})
  view.apply({ kind: 'edge', id: 'e1', node: undefined }, 10)
  const { nodes, problems } = look({ view, expected: { edges: 2 } })
  t.equal(nodes.find(({ id }) => id === 'e1')?.state, 'gone')
  t.match(problems, ['1 of 2 edges is missing'])
  t.ok(problems.includes('edge e1 has vanished'))
  view.expire(10 + COUNTED_MS)
  view.apply({ kind: 'holdings', id: 'e1', holdings: { instance: 'i1', videos: new Map([['hot', 900]]) } }, 0)
  t.match(look({ view }).hot[0], { videoId: 'hot', viewers: 5, edges: [{ id: 'e2', viewers: 5 }] }, 'without its viewers, who have moved')
})

t.test('hot videos: viewers of all edges, comments a second, and those posted to that nobody watches', async t => {
  t.same(look({ rates: new Map([['hot', 100], ['spam', 30]]) }).hot, [
    { videoId: 'hot', viewers: 905, perSecond: 100, edges: [{ id: 'e1', viewers: 900 }, { id: 'e2', viewers: 5 }] },
    { videoId: 'cold', viewers: 50, perSecond: 0, edges: [{ id: 'e1', viewers: 50 }] },
    { videoId: 'spam', viewers: 0, perSecond: 30, edges: [] },
  ])
})

t.test('the most watched of many videos, with pauses', async t => {
  const videos = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`v${i}`, (i * 7919) % 20_011]))
  const expected = Object.entries(videos).sort(([, a], [, b]) => b - a).slice(0, 25).map(([videoId]) => videoId)
  let pauses = 0
  t.same(await mostWatched(viewOf(videos), 25, async () => void pauses++), expected)
  t.equal(pauses, 4)
})
