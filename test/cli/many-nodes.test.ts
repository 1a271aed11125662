import t from 'tap'
import type { Diagnosis } from '../../cli/doctor/examination.js'
import { merged, note, problem } from '../../cli/doctor/finding.js'
import { report } from '../../cli/doctor/report.js'
import { edgeRows, edgesText, oddEdges } from '../../cli/nodes.js'
import { paint } from '../../cli/output.js'
import { videosTable, watchedVideos } from '../../cli/videos.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import { View } from '../../registry/view.js'
import { edgeNode } from '../support/nodes.js'

const EDGES = 1_000
const VIDEOS_EACH = 20

/** Video v<n> has n viewers on an edge; v0 is on every edge. */
function viewOf(edges: number, given: (i: number) => Partial<EdgeNode> = () => ({})): View {
  const view = new View()
  for (let i = 0; i < edges; i++) {
    const id = `edge-${String(i).padStart(4, '0')}`
    const videos = new Map([['v0', 1], ...Array.from({ length: VIDEOS_EACH - 1 }, (_, j): [string, number] => [`v${i * VIDEOS_EACH + j + 1}`, i * VIDEOS_EACH + j + 1])])
    view.apply({ kind: 'edge', id, node: edgeNode(id, { viewers: i, capacity: 2_000, ...given(i) }) }, 0)
    view.apply({ kind: 'holdings', id, holdings: { instance: 'i1', videos } }, 0)
  }
  return view
}

const lines = (text: string) => text.trimEnd().split('\n')

t.test('1,000 edges are summed up: totals, the fullest ten, what is odd', async t => {
  const rows = edgeRows(viewOf(EDGES, i => (i === 3 ? { state: 'draining' } : i % 100 === 7 ? { stale: true } : i === 999 ? { viewers: 1_900, version: '9.9.9' } : {})))
  const text = edgesText(rows, Date.now(), { all: false, colour: false })
  t.ok(lines(text).length < 30, text)
  t.match(text, /^1,000 edges with 500,401 viewers, 25% of what they take \(2,000,000\), and 20,000 subscriptions to videos\.\n\nThe fullest:\nEDGE .*\nedge-0999 +up +1,900 /)
  t.equal(lines(text).filter(line => /^edge-/.test(line)).length, 10)
  t.same(oddEdges(rows).map(({ what, ids }) => [what, ids.length]), [['reached by no dispatcher', 10], ['over 90% full', 1], ['draining', 1], ['without a viewer', 1], ['of another version than 0.1.0', 1]])
  t.match(text, /^ {2}reached by no dispatcher: edge-0007, edge-0107, edge-0207, edge-0307, edge-0407 and 5 more$/m)
  t.match(text, /edges --all lists every edge\.\n$/)
  t.equal(lines(edgesText(rows, Date.now(), { all: true, colour: false })).length, EDGES + 3)
})

t.test('a few edges are listed', async t => {
  const text = edgesText(edgeRows(viewOf(20)), Date.now(), { all: false, colour: false })
  t.equal(lines(text).length, 20 + 3)
  t.match(text, /\n20 edges, 190 viewers\n$/)
  t.match(edgesText(edgeRows(viewOf(21, () => ({ viewers: 1 }))), Date.now(), { all: false, colour: false }), 'None drains, is stale or nearly full, and all run one version.')
})

t.test('of many videos the most watched are found, and all are counted', async t => {
  const view = viewOf(EDGES)
  const { rows, videos, viewers } = watchedVideos(view, { top: 3 })
  const last = EDGES * VIDEOS_EACH - 1
  t.same(rows.map(({ videoId, viewers }) => [videoId, viewers]), [last, last - 1, last - 2].map(n => [`v${n}`, n]))
  const all = watchedVideos(view, {})
  t.equal(all.rows.length, videos)
  t.same([all.rows.slice(0, 3), all.viewers], [rows, viewers])
  t.equal(all.rows.find(({ videoId }) => videoId === 'v0')!.edges.length, EDGES)
  t.match(videosTable({ rows, videos, viewers }, false), /\n19,001 videos, [\d,]+ viewers; these are the most watched 3, videos --all lists all\n$/)
  t.equal(watchedVideos(view, { edgeId: 'edge-0001' }).videos, VIDEOS_EACH)
})

t.test('doctor counts findings by kind, and tells a few of each', async t => {
  const findings = merged([
    ...Array.from({ length: EDGES }, (_, i) => problem('holdings_differ', `edge-${i}`, `announced and actual holdings differ for v${i}`, 'do this')),
    problem('node_down', 'dispatcher-1', 'is down', 'do that'),
    note('versions_differ', 'edge-1', 'runs another', 'wait'),
  ])
  const diagnosis: Diagnosis = { healthy: false, zookeeper: { connect: 'x', sessionMs: 3, readMs: 1 }, asked: { gateways: 1, dispatchers: 1, edges: EDGES }, findings }
  const text = report(diagnosis, paint(false))
  t.ok(lines(text).length < 30, text)
  t.match(text, /^LEVEL +FINDING +NODES +WHICH\nproblem +holdings_differ +1,000 +edge-0, edge-1, edge-2, edge-3, edge-4 and 995 more\nproblem +node_down +1 +dispatcher-1\nnote +versions_differ +1 +edge-1\n/)
  t.match(text, /\nShown are 5 of 1,002 findings: doctor --all tells each\.\n1,001 problems\. 1 note\. /)
  t.equal(text.split('do this').length - 1, 3)
  t.equal(report(diagnosis, paint(false), true).split('do this').length - 1, EDGES)
})
