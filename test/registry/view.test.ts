import fc from 'fast-check'
import t from 'tap'
import type { DispatcherNode, EdgeNode, Holdings } from '../../protocol/nodes.js'
import { COUNTED_MS, LINGER_MS, View, type Change } from '../../registry/view.js'
import { dispatcherNode, edgeNode } from '../support/nodes.js'

const holdings = (instance: string, videos: Record<string, number>): Holdings => ({ instance, videos: new Map(Object.entries(videos)) })
const setEdge = (node: EdgeNode): Change => ({ kind: 'edge', id: node.id, node })
const noEdge = (id: string): Change => ({ kind: 'edge', id, node: undefined })
const setHoldings = (id: string, value: Holdings): Change => ({ kind: 'holdings', id, holdings: value })
const noHoldings = (id: string): Change => ({ kind: 'holdings', id, holdings: undefined })
const setDispatcher = (node: DispatcherNode): Change => ({ kind: 'dispatcher', id: node.id, node })
const noDispatcher = (id: string): Change => ({ kind: 'dispatcher', id, node: undefined })

const holdersOf = (view: View, videoId: string) => view.subscriptionsOf(videoId).map(({ edge, viewers }) => [edge.id, viewers])

t.test('an edge that vanishes while up lingers 10 s, with what it holds', async t => {
  const view = new View()
  view.apply(setEdge(edgeNode('e1')), 0)
  view.apply(setHoldings('e1', holdings('i1', { v: 3 })), 0)
  view.apply(noHoldings('e1'), 1_000)
  view.apply(noEdge('e1'), 1_000)
  t.same(view.expire(1_000 + LINGER_MS - 1), [])
  t.ok(view.lingers('e1'))
  t.same(holdersOf(view, 'v'), [['e1', 3]])
  t.same(view.expire(1_000 + LINGER_MS), [noEdge('e1')])
  t.equal(view.edge('e1'), undefined)
  t.equal(view.videoCount, 0)
})

t.test('viewers of an edge that has been gone for 2 s, or whose address refuses, are not counted; its videos are its own all the same', async t => {
  const view = new View()
  for (const id of ['e1', 'e2']) {
    view.apply(setEdge(edgeNode(id)), 0)
    view.apply(setHoldings(id, holdings('i1', { v: 3 })), 0)
  }
  const counts = () => [view.viewersOf('v'), view.viewersOf('v', 'e1'), view.viewersOf('v', 'e2'), view.subscriptionsOf('v').map(({ isCounted }) => isCounted)]
  t.same(counts(), [6, 3, 3, [true, true]])
  view.refused('e2', 'former')
  t.same(counts(), [6, 3, 3, [true, true]])
  view.refused('e2', 'i1')
  t.same(counts(), [3, 0, 3, [true, false]], 'whoever asks for those elsewhere is not counted out twice')
  t.same(holdersOf(view, 'v'), [['e1', 3], ['e2', 3]])
  view.apply(setEdge(edgeNode('e2')), 0)
  t.same(counts(), [6, 3, 3, [true, true]], 'it announces itself: it was there')
  view.apply(noEdge('e1'), 1_000)
  view.expire(1_000 + COUNTED_MS - 1)
  t.same(counts(), [6, 3, 3, [true, true]], 'a ZooKeeper that was frozen may have ended its session')
  view.expire(1_000 + COUNTED_MS)
  t.same(counts(), [3, 3, 0, [false, true]])
  view.apply(setEdge(edgeNode('e1')), 5_000)
  t.same(counts(), [6, 3, 3, [true, true]])
})

t.test('an edge that comes back within 10 s never left', async t => {
  const view = new View()
  view.apply(setEdge(edgeNode('e1')), 0)
  view.apply(setHoldings('e1', holdings('i1', { v: 3 })), 0)
  view.apply(noEdge('e1'), 0)
  view.apply(setEdge(edgeNode('e1')), 9_000)
  t.same(view.expire(60_000), [])
  t.same(holdersOf(view, 'v'), [['e1', 3]])
})

t.test('a draining edge is forgotten when it leaves', async t => {
  const view = new View()
  view.apply(setEdge(edgeNode('e1', { state: 'draining' })), 0)
  view.apply(setHoldings('e1', holdings('i1', { v: 3 })), 0)
  view.apply(noEdge('e1'), 0)
  t.equal(view.edge('e1'), undefined)
  t.equal(view.videoCount, 0)
})

t.test('a refused connection forgets a node that has vanished, and only that instance of it', async t => {
  const view = new View()
  view.apply(setEdge(edgeNode('e1')), 0)
  t.notOk(view.refused('e1', 'i1'), 'announced')
  view.apply(noEdge('e1'), 0)
  t.notOk(view.refused('e1', 'other'))
  t.ok(view.refused('e1', 'i1'))
  t.same([...view.edges()], [])
  view.apply(setDispatcher(dispatcherNode('d1')), 0)
  view.apply(noDispatcher('d1'), 0)
  t.ok(view.refused('d1', 'i1'))
  t.same([...view.allDispatchers()], [])
})

t.test("a new instance does not own its former self's viewers", async t => {
  const view = new View()
  view.apply(setEdge(edgeNode('e1')), 0)
  view.apply(setHoldings('e1', holdings('i1', { v: 3 })), 0)
  view.apply(setEdge(edgeNode('e1', { instance: 'i2' })), 0)
  t.same(holdersOf(view, 'v'), [])
  view.apply(setHoldings('e1', holdings('i2', { w: 1 })), 0)
  t.same(holdersOf(view, 'w'), [['e1', 1]])
})

t.test('holdings seen before their edge wait for it, also while its former self is forgotten', async t => {
  const view = new View()
  view.apply(setEdge(edgeNode('e1')), 0)
  view.apply(noEdge('e1'), 0)
  view.apply(setHoldings('e1', holdings('i2', { v: 2 })), 0)
  t.ok(view.refused('e1', 'i1'))
  t.same(holdersOf(view, 'v'), [])
  view.apply(setEdge(edgeNode('e1', { instance: 'i2' })), 0)
  t.same(holdersOf(view, 'v'), [['e1', 2]])
})

t.test('a draining dispatcher takes no work but is still there', async t => {
  const view = new View()
  view.apply(setDispatcher(dispatcherNode('d1', { state: 'draining' })), 0)
  t.same([...view.dispatchers()], [])
  t.equal([...view.allDispatchers()].length, 1)
  view.apply(noDispatcher('d1'), 0)
  t.same([...view.allDispatchers()], [])
})

t.test('a list that is announced is not the view\'s: it stays as it was while the view goes on', async t => {
  const view = new View()
  const first = holdings('i1', { v: 3, w: 1 })
  view.apply(setEdge(edgeNode('e1')), 0)
  view.apply(setHoldings('e1', first), 0)
  const held = view.holdingsOf('e1')
  view.apply(setHoldings('e1', holdings('i1', { w: 2, x: 1 })), 0)
  t.same([...first.videos], [['v', 3], ['w', 1]])
  t.same([...held].sort(), [['w', 2], ['x', 1]], 'what the view shows is current')
  t.same([...view.videos()].sort(), ['w', 'x'])
})

/** The view done the slow, plain way. */
class Model {
  readonly nodes = new Map<string, { node: EdgeNode | DispatcherNode; vanishedAt: number | undefined; isCounted: boolean }>()
  /** What is announced, and what is remembered of a node in view. */
  readonly holdings = new Map<string, { value: Holdings; announced: boolean }>()

  apply(change: Change, now: number): void {
    if (change.kind === 'holdings') {
      const known = this.holdings.get(change.id)
      if (change.holdings) this.holdings.set(change.id, { value: change.holdings, announced: true })
      else if (known && this.nodes.has(`edge ${change.id}`)) known.announced = false
      else this.holdings.delete(change.id)
      return
    }
    if (change.kind === 'spread' || change.kind === 'rebalance' || change.kind === 'home') return
    const key = `${change.kind} ${change.id}`
    const known = this.nodes.get(key)
    if (change.node) this.nodes.set(key, { node: change.node, vanishedAt: undefined, isCounted: true })
    else if (known?.node.state === 'draining') this.forget(key)
    else if (known) known.vanishedAt ??= now
  }

  expire(now: number): string[] {
    const due = [...this.nodes].filter(([, { vanishedAt }]) => vanishedAt !== undefined && now >= vanishedAt + LINGER_MS).map(([key]) => key)
    for (const key of due) this.forget(key)
    for (const each of this.nodes.values()) if (each.vanishedAt !== undefined && now >= each.vanishedAt + COUNTED_MS) each.isCounted = false
    return due
  }

  refused(id: string, instance: string): void {
    for (const key of [`edge ${id}`, `dispatcher ${id}`]) {
      const known = this.nodes.get(key)
      if (known?.node.instance !== instance) continue
      known.isCounted = false
      if (known.vanishedAt === undefined) continue
      this.forget(key)
      return
    }
  }

  forget(key: string): void {
    this.nodes.delete(key)
    const id = key.replace('edge ', '')
    if (key.startsWith('edge ') && !this.holdings.get(id)?.announced) this.holdings.delete(id)
  }

  index(): [string, [string, number][]][] {
    const index = new Map<string, [string, number][]>()
    for (const [id, { value }] of this.holdings) {
      if (this.nodes.get(`edge ${id}`)?.node.instance !== value.instance) continue
      for (const [videoId, viewers] of value.videos) index.set(videoId, [...(index.get(videoId) ?? []), [id, viewers]])
    }
    return [...index].map(([videoId, holders]) => [videoId, holders.sort()] as [string, [string, number][]]).sort()
  }
}

t.test('whatever happens, the view is what a naive one would be', async () => {
  const id = fc.constantFrom('n1', 'n2', 'n3')
  const instance = fc.constantFrom('i1', 'i2')
  const state = fc.constantFrom('up' as const, 'draining' as const)
  const videos = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat(5))
  const step = fc.oneof(
    fc.tuple(id, instance, state).map(([id, instance, state]) => setEdge(edgeNode(id, { instance, state }))),
    id.map(noEdge),
    fc.tuple(id, instance, videos).map(([id, instance, videos]) => setHoldings(id, holdings(instance, videos))),
    id.map(noHoldings),
    fc.tuple(id, instance, state).map(([id, instance, state]) => setDispatcher(dispatcherNode(id, { instance, state }))),
    id.map(noDispatcher),
    fc.record({ refused: id, instance }),
    fc.record({ passMs: fc.constantFrom(1, 1_999, 2_000, 4_999, 5_000, 10_000) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), steps => {
      const view = new View()
      const model = new Model()
      let now = 0
      for (const step of steps) {
        if ('passMs' in step) {
          now += step.passMs
          const gone = view.expire(now).map(({ kind, id }) => `${kind} ${id}`).sort().join()
          if (gone !== model.expire(now).sort().join()) throw new Error(`forgot ${gone}`)
        } else if ('refused' in step) {
          view.refused(step.refused, step.instance)
          model.refused(step.refused, step.instance)
        } else {
          view.apply(step, now)
          model.apply(step, now)
        }
        const actual = [...view.videos()].map(videoId => [videoId, holdersOf(view, videoId).sort()]).sort()
        const nodes = (kind: string) => [...model.nodes].filter(([key]) => key.startsWith(kind)).map(([, { node }]) => node.id)
        const seen = {
          index: actual,
          edges: [...view.edges()].map(({ id }) => id).sort(),
          dispatchers: [...view.allDispatchers()].map(({ id }) => id).sort(),
          working: [...view.dispatchers()].map(({ id }) => id).sort(),
          totals: actual.map(([videoId]) => view.viewersOf(videoId as string)),
        }
        const index = model.index()
        const expected = {
          index,
          edges: nodes('edge').sort(),
          dispatchers: nodes('dispatcher').sort(),
          working: nodes('dispatcher').filter(id => model.nodes.get(`dispatcher ${id}`)?.node.state === 'up').sort(),
          totals: index.map(([, holders]) => holders.reduce((sum, [id, viewers]) => sum + (model.nodes.get(`edge ${id}`)!.isCounted ? viewers : 0), 0)),
        }
        if (JSON.stringify(seen) !== JSON.stringify(expected)) throw new Error(`${JSON.stringify(seen)} is not ${JSON.stringify(expected)}`)
      }
    }),
    { numRuns: 3_000 },
  )
})
