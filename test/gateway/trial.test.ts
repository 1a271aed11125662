import t, { type Test } from 'tap'
import { Links } from '../../gateway/links.js'
import { Pending } from '../../gateway/pending.js'
import { Sessions } from '../../gateway/sessions.js'
import type { Sink } from '../../gateway/sink.js'
import { Upstreams } from '../../gateway/upstreams.js'
import { View } from '../../registry/view.js'
import type { Encoded } from '../../runtime/fan-out/encoded.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeLinkSocket } from '../support/fake-link-socket.js'
import { edgeNode } from '../support/nodes.js'

class TextSink implements Sink {
  readonly encoding = 'plain'
  text = ''
  takes = true
  ended = false

  write({ bytes }: Encoded): boolean {
    this.text += bytes.toString()
    return this.takes
  }

  heartbeat(): boolean {
    return this.takes
  }

  end(): void {
    this.ended = true
  }

  close(): void {
    this.ended = true
  }
}

/** Two edges, or those given. The first viewer goes to a, where all others follow it. Edges answer pings but for those that are frozen. */
async function setUp(t: Test, { ids = ['a', 'b'], viewers = 1, gzip = false }: { ids?: readonly string[]; viewers?: number; gzip?: boolean } = {}) {
  const clock = new FakeClock()
  const view = new View()
  const pending = new Pending()
  const sockets: FakeLinkSocket[] = []
  const frozen = new Set<string>()
  const nodes = ids.map(id => edgeNode(id, { instance: `${id}1`, viewers: id === 'a' ? 10 : 0 }))
  for (const node of nodes) view.apply({ kind: 'edge', id: node.id, node }, 0)
  view.apply({ kind: 'holdings', id: 'a', holdings: { instance: 'a1', videos: new Map([['v', 10]]) } }, 0)
  const upstreams = new Upstreams({ clock, random: () => 0.5, view, ping: ({ id }) => (frozen.has(id) ? new Promise(() => {}) : Promise.resolve(undefined)), onUsable: () => {} })
  const links = new Links({
    clock,
    upstreams,
    connectLink: (edge, handlers) => {
      const socket = new FakeLinkSocket(edge, handlers)
      socket.pongs = () => !frozen.has(edge.id)
      sockets.push(socket)
      return socket
    },
    connect: () => ({ abort: () => {}, pause: () => {}, resume: () => {} }),
    gzip: { level: 6, minViewers: 4 },
  })
  const sessions = new Sessions({ clock, random: () => 0.5, view, pending, upstreams, links, videoShare: 1_000, joinRate: 1_000 })
  t.after(() => {
    sessions.close()
    links.close()
    upstreams.close()
  })
  const watch = (after = 10, videoId = 'v') => {
    const sink = new TextSink()
    return { sink, session: sessions.open({ videoId, after, recent: undefined, gzip }, sink) }
  }
  const all = Array.from({ length: viewers }, () => watch())
  await clock.advance(10)
  const [a] = sockets
  a!.open()
  a!.ready(a!.joins[0]!, 10)
  for (const { sink } of all) sink.text = ''
  /** The first edge is frozen for this long. */
  const freeze = async (ms: number) => {
    frozen.add('a')
    await clock.advance(ms)
  }
  /** Viewers there, as far as this gateway knows. */
  const on = (id: string) => pending.viewers(nodes.find(node => node.id === id)!)
  return { clock, sessions, links, upstreams, sockets, a: a!, frozen, watch, all, freeze, on }
}

t.test('an edge that is silent for three quarters of a second has its viewers tried out elsewhere, and they move when they are ready', async t => {
  const { a, sockets, all, freeze, sessions, clock } = await setUp(t, { viewers: 3 })
  await freeze(700)
  t.equal(sockets.length, 1)
  await freeze(100)
  const b = sockets[1]!
  t.same(b.joins.map(({ begin, again }) => ({ ...begin, again })), [{ after: 10, recent: 0, again: false }], 'those that lack the same share one')
  t.same([a.closed, sessions.counts.replacements.silent], [false, 0])
  b.ready(b.joins[0]!, 30, { text: '10-30;' })
  t.same(all.map(({ sink, session }) => [sink.text, session.cursor]), Array(3).fill(['10-30;', 30]), 'a second ready is not passed on')
  t.equal(sessions.counts.replacements.silent, 3)
  a.flush(a.joins[0]!, 10, 20)
  a.flush(a.joins[0]!, 20, 30)
  b.flush(b.joins[0]!, 30, 40)
  await clock.advance(60)
  t.same(all.map(({ sink }) => sink.text), Array(3).fill('10-30;30-40;'), 'what the first edge brings late is not theirs')
  t.same([a.weights(a.joins[0]!).at(-1), b.weights(b.joins[0]!).at(-1)], [0, 3])
})

t.test('an edge that comes back before the other is ready keeps those whom it has brought something', async t => {
  const { a, sockets, all, freeze, sessions, frozen, clock, on } = await setUp(t, { viewers: 2 })
  await freeze(800)
  const b = sockets[1]!
  frozen.clear()
  a.flush(a.joins[0]!, 10, 20)
  await clock.advance(50)
  b.ready(b.joins[0]!, 20, { text: '10-20 again;' })
  b.flush(b.joins[0]!, 20, 30)
  a.flush(a.joins[0]!, 20, 30)
  await clock.advance(200)
  t.same(all.map(({ sink }) => sink.text), Array(2).fill('10-20;20-30;'))
  t.same([sessions.counts.replacements.silent, on('a'), on('b')], [0, 12, 0])
  t.equal(b.weights(b.joins[0]!).at(-1), 0, 'the group that the trial made is closed')
})

t.test('an edge that says full to a trial is asked by no newcomer either', async t => {
  const { a, sockets, watch, freeze } = await setUp(t)
  await freeze(800)
  const b = sockets[1]!
  b.say({ kind: 'joinEnded', join: b.joins[0]!.join, reason: 'full' })
  watch(10, 'w')
  await freeze(10)
  t.same([a, b].map(({ joins }) => joins.map(({ videoId }) => videoId)), [['v', 'w'], ['v']])
})

t.test('nothing is tried out while no other edge is heard, nor for a second edge while one is suspected', async t => {
  const { a, sockets, watch, freeze, frozen, clock } = await setUp(t, { ids: ['a', 'b', 'c'] })
  for (const id of ['b', 'c']) frozen.add(id)
  await freeze(2_000)
  t.same([sockets.length, a.closed], [1, false], 'we may be deaf')
  frozen.clear()
  await clock.advance(500)
  watch(5, 'w')
  await clock.advance(10)
  const other = sockets[1]!
  other.open()
  other.ready(other.joins[0]!, 5)
  await clock.advance(500)
  frozen.add(other.edge.id)
  await freeze(800)
  t.same(sockets.flatMap(({ joins }) => joins).map(({ videoId }) => videoId), ['v', 'w', 'v'], 'the two viewers, and one trial')
})

t.test('a trial that is not ready when the edge is given up is nothing, and the viewers join again', async t => {
  const { a, sockets, all, freeze, sessions, on } = await setUp(t)
  await freeze(800)
  const b = sockets[1]!
  await freeze(300)
  t.same([a.closed, b.of('leave'), b.joins.length], [true, [{ kind: 'leave', join: b.joins[0]!.join }], 2])
  b.ready(b.joins[0]!, 20, { text: 'too late;' })
  b.ready(b.joins[1]!, 20, { text: '10-20;' })
  t.same([all[0]!.sink.text, sessions.counts.replacements.silent, on('b')], ['10-20;', 1, 1])
})

t.test('a viewer that goes, or takes nothing when its trial is ready, is not moved, and an edge that refuses the trial changes nothing', async t => {
  const { a, sockets, all, freeze, frozen, clock, on } = await setUp(t, { viewers: 3 })
  await freeze(800)
  const b = sockets[1]!
  t.equal(on('b'), 3)
  all[0]!.session.left()
  all[1]!.sink.takes = false
  all[1]!.session.heartbeat()
  b.say({ kind: 'joinEnded', join: b.joins[0]!.join, reason: 'full' })
  t.same([on('a'), on('b')], [12, 0])
  frozen.clear()
  a.flush(a.joins[0]!, 10, 20)
  await clock.advance(50)
  t.same(all.map(({ sink }) => sink.text), ['', '', '10-20;'])
  t.equal(b.joins.length, 1, 'one trial for each silence')
})

t.test('a viewer that takes nothing when its trial is ready stays', async t => {
  const { sockets, all, freeze, sessions } = await setUp(t)
  await freeze(800)
  const b = sockets[1]!
  all[0]!.sink.takes = false
  all[0]!.session.heartbeat()
  b.ready(b.joins[0]!, 20, { text: 'lost;' })
  t.same([all[0]!.sink.text, all[0]!.session.cursor, sessions.counts.replacements.silent], ['', 10, 0])
})

t.test('a replay of several pieces is not passed on', async t => {
  const { sockets, all, freeze, sessions } = await setUp(t)
  await freeze(800)
  const b = sockets[1]!
  b.piece(b.joins[0]!, 20)
  b.ready(b.joins[0]!, 30, { text: 'more;' })
  t.same([all[0]!.sink.text, all[0]!.session.cursor, sessions.counts.replacements.silent], ['', 10, 0])
})

t.test('an edge of the former version, and one whose link breaks, are not tried out', async t => {
  for (const failure of ['absent', 'refused', 'lost'] as const) {
    const { sockets, all, freeze, sessions, on, links, frozen, clock, a } = await setUp(t)
    await freeze(800)
    sockets[1]!.lose(failure)
    t.same([all[0]!.sink.text, all[0]!.session.cursor, sessions.counts.replacements.silent, on('b'), links.relayed], ['', 10, 0, 0, 0], failure)
    frozen.clear()
    a.flush(a.joins[0]!, 10, 20)
    await clock.advance(50)
    t.equal(all[0]!.sink.text, '10-20;')
  }
})
