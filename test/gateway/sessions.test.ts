import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Pending } from '../../gateway/pending.js'
import { Relayed, type Connect, type EdgeStreamHandlers } from '../../gateway/relayed.js'
import { Sessions } from '../../gateway/sessions.js'
import type { Ending, Sink } from '../../gateway/sink.js'
import { Upstreams } from '../../gateway/upstreams.js'
import type { StreamRequest } from '../../gateway/viewer.js'
import { frame, FrameKind, framesOf, streamEvent, type EndReason } from '../../protocol/frame.js'
import { nextId } from '../../protocol/id.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import { commentEvent, HEARTBEAT, readyEvent, retryIn, SseParser, type SseEvent } from '../../protocol/sse.js'
import { View } from '../../registry/view.js'
import { parseJwks } from '../../runtime/auth/keys.js'
import type { Encoded } from '../../runtime/fan-out/encoded.js'
import type { Ping } from '../../runtime/peers/failover.js'
import { FakeClock } from '../support/fake-clock.js'
import { Issuer } from '../support/issuer.js'
import { edgeNode } from '../support/nodes.js'
import { Random } from '../support/random.js'

const comments = (...ids: number[]) => framesOf(ids.map(id => streamEvent(id, commentEvent(id, `{"id":"${id}"}`))))
const ready = (id: number) => frame(FrameKind.ready, id, readyEvent(id, 'v', 1))
const end = (reason: EndReason) => frame(FrameKind.end, 0, reason)
const newcomer: StreamRequest = { videoId: 'v', after: undefined, recent: undefined }

class FakeSink implements Sink {
  readonly encoding = 'plain'
  readonly events: SseEvent[] = []
  text = ''
  ended: string | undefined
  closed = false
  overs = 0
  /** What the next write answers. */
  takes = true
  readonly #parser = new SseParser()

  write({ bytes }: Encoded): boolean {
    this.text += bytes.toString()
    this.events.push(...this.#parser.push(bytes))
    return this.takes
  }

  heartbeat(): boolean {
    return this.write({ bytes: Buffer.from(HEARTBEAT) })
  }

  end(_why: Ending, retryMs: number): void {
    this.ended = retryIn(retryMs)
  }

  close(): void {
    this.closed = true
  }

  over(): void {
    this.overs++
  }

  get ids(): number[] {
    return this.events.filter(({ event }) => event === 'message').map(({ id }) => Number(id))
  }
}

/** One stream opened at an edge. */
interface Opened extends EdgeStreamHandlers {
  readonly edge: EdgeNode
  readonly request: StreamRequest
  state: 'open' | 'paused' | 'aborted'
}

function setUp(t: Test, nodes = [edgeNode('a'), edgeNode('b')], videoShare = 1_000, random = () => 0.5) {
  const clock = new FakeClock()
  const view = new View()
  const pending = new Pending()
  const opened: Opened[] = []
  const silent = new Set<string>()
  const show = (node: EdgeNode) => view.apply({ kind: 'edge', id: node.id, node }, 0)
  nodes.forEach(show)
  const ping: Ping = ({ id }) => (silent.has(id) ? new Promise<undefined>(() => {}) : Promise.resolve(undefined))
  const upstreams = new Upstreams({ clock, random: () => 0.5, view, ping, onUsable: () => sessions.placeWaiting() })
  const connect: Connect = (edge, request, handlers) => {
    const stream: Opened = { edge, request, state: 'open', ...handlers }
    opened.push(stream)
    return {
      abort: () => void (stream.state = 'aborted'),
      pause: () => void (stream.state = 'paused'),
      resume: () => void (stream.state = 'open'),
    }
  }
  const sessions: Sessions = new Sessions({
    clock,
    random,
    view,
    pending,
    upstreams,
    videoShare,
    joinRate: 1_000,
    links: { join: (node, member) => void new Relayed(member, node, { upstreams, connect, left: () => {} }) },
  })
  t.after(() => {
    sessions.close()
    upstreams.close()
  })
  const open = (request = newcomer, endsAt?: number) => {
    const sink = new FakeSink()
    return { sink, session: sessions.open(request, sink, { endsAt }) }
  }
  return { clock, view, pending, upstreams, sessions, opened, silent, show, open, last: () => opened.at(-1)! }
}

t.test('a stream that must end does so within two seconds of its time, told to come back, and the others go on', async t => {
  const { clock, open, sessions, opened } = setUp(t)
  const endsAt = clock.wall() + 3_600_000
  const [first, second, left, stays] = [open(newcomer, endsAt), open(newcomer, endsAt + 30_000), open(newcomer, endsAt), open()]
  left.session.left()
  await clock.advance(3_600_000 - 1)
  t.same([first.sink.ended, sessions.size], [undefined, 3])
  await clock.advance(2_000)
  t.match([first.sink.ended, second.sink.ended], [/^retry: \d{3,4}\n$/, undefined])
  t.same(opened.map(({ state }) => state), ['aborted', 'open', 'aborted', 'open'])
  clock.step(60_000) // the wall clock is set: the token has ended all the same
  await clock.advance(1_000)
  t.match(second.sink.ended, /^retry/)
  t.same([stays.sink.ended, sessions.counts.endings.expired, sessions.counts.endings.left], [undefined, 2, 1])
})

t.test('streams end within seconds of their key, told to come back, and the others go on', async t => {
  const { clock, sessions } = setUp(t)
  const issuer = new Issuer({ a: 'EdDSA', b: 'EdDSA' })
  const keys = parseJwks(issuer.jwks())
  const sinks = ['a', 'a', 'b'].map(kid => {
    const sink = new FakeSink()
    sessions.open(newcomer, sink, { endsAt: clock.wall() + 3_600_000, key: keys.find(kid) })
    return sink
  })
  sessions.keysChanged(parseJwks(issuer.jwks(['b'])))
  await clock.advance(7_000)
  t.match(sinks.map(({ ended }) => ended), [/^retry: \d{3,4}\n$/, /^retry: /, undefined])
  t.equal(sessions.counts.endings.expired, 2)
})

t.test('a viewer whose edge dies is placed again and resumes after the last id that was passed on', async t => {
  const { clock, open, opened, last, sessions } = setUp(t)
  const { sink } = open({ ...newcomer, recent: 5 })
  const first = last()
  t.same(first.request, { videoId: 'v', after: undefined, recent: 5 })
  first.data(Buffer.concat([comments(1, 2), ready(2)]))
  first.data(comments(3))
  first.data(comments(4).subarray(0, 20))
  first.lost('lost')
  await clock.advance(100)
  t.equal(opened.length, 2)
  t.equal(first.state, 'aborted')
  t.same(last().request, { videoId: 'v', after: 3, recent: undefined })
  last().data(Buffer.concat([comments(4, 5), ready(5)]))
  t.same(sink.ids, [1, 2, 3, 4, 5])
  t.equal(sink.events.filter(({ event }) => event === 'ready').length, 1)
  t.equal(sink.ended, undefined)
  t.same(sessions.counts.replacements, { lost: 1, silent: 0, drain: 0, full: 0, slow: 0, unreachable: 0, stale: 0, level: 0 })
})

t.test('an edge that comes back is given whole videos at the next half minute, and their viewers go on there after their cursors', async t => {
  const { clock, view, sessions, opened, show } = setUp(t, [edgeNode('a')])
  const sinks = Array.from({ length: 60 }, (_, i) => {
    const sink = new FakeSink()
    sessions.open({ ...newcomer, videoId: `v${Math.floor(i / 2)}` }, sink)
    opened.at(-1)!.data(Buffer.concat([comments(1), ready(1)]))
    return sink
  })
  const said = (edge: EdgeNode, videos: Readonly<Record<string, number>>) => {
    show({ ...edge, viewers: Object.values(videos).reduce((sum, each) => sum + each, 0) })
    view.apply({ kind: 'holdings', id: edge.id, holdings: { instance: edge.instance, videos: new Map(Object.entries(videos)) } }, 0)
  }
  said(edgeNode('a'), Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`v${i}`, 2])))
  show(edgeNode('b'))
  await clock.advance(29_000)
  t.equal(opened.length, 60)
  await clock.advance(2_500)
  t.equal(opened.length, 60, 'the other gateways decide first')
  await clock.advance(3_000)
  const again = opened.slice(60)
  t.same(again.map(({ edge, request }) => [edge.id, request.videoId, request.after]), Array.from({ length: 30 }, (_, i) => ['b', `v${Math.floor(i / 2)}`, 1]))
  t.equal(opened.slice(0, 60).filter(({ state }) => state === 'aborted').length, 30)
  for (const stream of again) stream.data(Buffer.concat([comments(2), ready(2)]))
  t.same(sinks.slice(0, 30).map(({ ids }) => ids), Array<number[]>(30).fill([1, 2]))
  t.same(sessions.counts.replacements, { lost: 0, silent: 0, drain: 0, full: 0, slow: 0, unreachable: 0, stale: 0, level: 30 })

  sessions.open({ ...newcomer, videoId: 'v0' }, new FakeSink())
  sessions.open({ ...newcomer, videoId: 'v29' }, new FakeSink())
  t.same(opened.slice(-2).map(({ edge }) => edge.id), ['b', 'a'], 'newcomers go where their video is')
  await clock.advance(60_000)
  t.equal(sessions.counts.replacements.level, 30, 'the view still shows them on a, where they are no longer')
})

t.test('a video that operators spread: its share of the viewers goes to each of the other edges, after their cursors', async t => {
  const { clock, view, sessions, opened, show } = setUp(t, [edgeNode('a')], 1_000, new Random(7).next)
  const sinks = Array.from({ length: 240 }, () => {
    const sink = new FakeSink()
    sessions.open({ ...newcomer, videoId: 'hot' }, sink)
    opened.at(-1)!.data(Buffer.concat([comments(1), ready(1)]))
    return sink
  })
  show(edgeNode('a', { viewers: 240 }))
  view.apply({ kind: 'holdings', id: 'a', holdings: { instance: edgeNode('a').instance, videos: new Map([['hot', 240]]) } }, 0)
  show(edgeNode('b'))
  show(edgeNode('c'))
  view.apply({ kind: 'spread', id: 'hot', edges: 3 }, 0)
  await clock.advance(34_500)
  const again = opened.slice(240)
  const on = (id: string) => again.filter(({ edge }) => edge.id === id).length
  for (const id of ['b', 'c']) t.ok(on(id) > 50 && on(id) < 110, `${id} ${on(id)}`)
  t.equal(on('a'), 0)
  t.ok(again.every(({ request }) => request.after === 1))
  for (const stream of opened.filter(({ state }) => state !== 'aborted')) stream.data(Buffer.concat([comments(2), ready(2)]))
  t.ok(sinks.every(({ ids }) => ids.join() === '1,2'))
})

t.test('an edge that cannot be reached is backed off from and the next is tried', async t => {
  const { clock, open, opened, last } = setUp(t)
  open()
  const first = last()
  first.lost('refused')
  await clock.advance(100)
  t.equal(opened.length, 2)
  t.not(last().edge.id, first.edge.id)
})

t.test('an edge that drains hands its viewer over at once, and gets nobody any more', async t => {
  const { open, opened, last } = setUp(t)
  const { sink } = open()
  const first = last()
  first.data(Buffer.concat([ready(7), end('drain')]))
  t.equal(opened.length, 2)
  t.not(last().edge.id, first.edge.id)
  t.equal(last().request.after, 7)
  t.equal(sink.ended, undefined)
  open()
  t.not(last().edge.id, first.edge.id)
})

t.test('the viewers of a silent edge are placed again', async t => {
  const { clock, open, opened, last, silent } = setUp(t)
  open()
  const first = last()
  first.data(ready(1))
  silent.add(first.edge.id)
  await clock.advance(6_000)
  t.equal(opened.length, 2)
  t.not(last().edge.id, first.edge.id)
  t.equal(first.state, 'aborted')
})

t.test('an edge that says slow does not end a viewer that reads: it is placed again after what it was sent', async t => {
  const { open, opened, last } = setUp(t)
  const { sink } = open()
  last().data(Buffer.concat([ready(1), end('slow')]))
  t.equal(sink.ended, undefined)
  t.equal(opened.length, 2)
})

t.test('with no room anywhere a newcomer is sent away, and one that was served waits for room', async t => {
  const { clock, open, last, show, opened, sessions } = setUp(t, [edgeNode('a', { capacity: 1 })])
  const served = open()
  last().data(ready(3))
  const late = open()
  t.match(late.sink.ended, /^retry: /)
  t.equal(sessions.counts.endings.no_capacity, 1)
  show(edgeNode('a', { capacity: 1, viewers: 1, state: 'draining' }))
  last().data(end('drain'))
  await clock.advance(30_000)
  t.equal(served.sink.ended, undefined)
  t.equal(sessions.waitingCount, 1)
  t.match(served.sink.text, /:\n$/, 'heartbeats go on')
  show(edgeNode('b', { capacity: 1 }))
  await clock.advance(1_000)
  t.equal(opened.length, 2)
  t.equal(last().edge.id, 'b')
  t.equal(last().request.after, 3)
})

t.test('with no edge at all a newcomer waits, heartbeats going on', async t => {
  const { clock, open, opened, show, sessions, last } = setUp(t, [])
  const { sink } = open()
  await clock.advance(35_000)
  t.equal(sink.text, ':\n'.repeat(3))
  show(edgeNode('a'))
  await clock.advance(1_000)
  t.equal(opened.length, 1)
  t.equal(sessions.waitingCount, 0)
  last().data(ready(1))
  const { length } = sink.text
  await clock.advance(35_000)
  t.equal(sink.text.length, length, 'now the edge sends them')
})

t.test('an edge that says full is not asked again by that viewer, and a newcomer that nobody takes is sent away', async t => {
  const { open, opened, last } = setUp(t)
  const { sink } = open()
  const first = last()
  first.data(end('full'))
  t.not(last().edge.id, first.edge.id)
  last().data(end('full'))
  t.equal(opened.length, 2)
  t.match(sink.ended, /^retry: /)
})

t.test('an edge that says full is asked by no other viewer either, until it announces itself or 2 s have passed', async t => {
  const { clock, view, pending, open, opened, last, show } = setUp(t, [edgeNode('a'), edgeNode('b', { viewers: 5 })])
  const holds = { kind: 'holdings', id: 'a', holdings: { instance: 'i1', videos: new Map([['v', 30]]) } } as const
  view.apply(holds, 0)
  const asked = () => opened.splice(0).map(({ edge }) => edge.id)
  const refuse = () => {
    open()
    last().data(end('full'))
  }
  refuse()
  t.same(asked(), ['a', 'b'])
  open()
  t.same(asked(), ['b'])
  const node = edgeNode('a', { viewers: 900 })
  show(node)
  pending.seen({ kind: 'edge', id: 'a', node }, clock.now())
  refuse()
  t.same(asked(), ['a', 'b'])
  await clock.advance(1_900)
  open()
  t.same(asked(), ['b'])
  await clock.advance(1_200)
  open()
  t.same(asked(), ['a'])
})

t.test('a viewer that takes a little now and then is not slow; one that takes nothing for 6 s is', async t => {
  const { clock, open, last, sessions } = setUp(t)
  const { sink, session } = open()
  sink.takes = false
  last().data(ready(1))
  for (let i = 0; i < 4; i++) {
    await clock.advance(5_000)
    session.progressed()
  }
  t.equal(sessions.counts.endings.slow, 0)
  await clock.advance(8_000)
  t.equal(sessions.counts.endings.slow, 1)
})

t.test('what the viewer does not take is not read from the edge', async t => {
  const { open, last } = setUp(t)
  const { sink, session } = open()
  sink.takes = false
  last().data(ready(1))
  t.equal(last().state, 'paused')
  sink.takes = true
  session.drained()
  t.equal(last().state, 'open')
  last().data(comments(2))
  t.same(sink.ids, [2])
})

t.test('a viewer that takes nothing for 6 s is closed, and its edge is let go', async t => {
  const { clock, open, last, sessions } = setUp(t)
  const { sink } = open()
  sink.takes = false
  last().data(ready(1))
  await clock.advance(5_000)
  t.notOk(sink.closed)
  await clock.advance(2_000)
  t.ok(sink.closed)
  t.equal(last().state, 'aborted')
  t.equal(sessions.size, 0)
})

t.test('a blocked viewer that loses its edge is placed when it takes data again', async t => {
  const { clock, open, opened, last } = setUp(t)
  const { sink, session } = open()
  sink.takes = false
  last().data(ready(1))
  last().lost('lost')
  await clock.advance(1_000)
  t.equal(opened.length, 1)
  sink.takes = true
  session.drained()
  t.equal(opened.length, 2)
})

t.test('a viewer that leaves frees its edge and its place at once', async t => {
  const { open, last, sessions, pending } = setUp(t)
  const { session, sink } = open()
  last().data(ready(1))
  session.left()
  session.left()
  session.end('stopping')
  t.same([sink.overs, sink.ended, sessions.counts.endings.left], [1, undefined, 1], 'once')
  t.equal(last().state, 'aborted')
  t.equal(sessions.size, 0)
  t.equal(pending.viewers(last().edge), 0)
})

t.test('bytes that are no frames cost the edge its stream, not the viewer', async t => {
  const { clock, open, opened, last } = setUp(t)
  const { sink } = open()
  last().data(ready(1))
  last().data(Buffer.from('garbage of some length'))
  await clock.advance(100)
  t.equal(opened.length, 2)
  t.equal(sink.ended, undefined)
})

t.test('an edge that always breaks is tried more and more slowly', async t => {
  const { clock, open, opened, last } = setUp(t, [edgeNode('a')])
  open()
  for (let i = 0; i < 200; i++) {
    if (last().state === 'open') last().lost('status')
    await clock.advance(100)
  }
  t.ok(opened.length < 25, `${opened.length} streams in 20 s`)
})

t.test('newcomers are placed at the rate; once closed every stream has ended with a retry, and nothing waits', async t => {
  const { clock, open, opened, sessions, upstreams } = setUp(t)
  const sinks = Array.from({ length: 300 }, () => open().sink)
  t.equal(opened.length, 250)
  t.equal(sessions.inLine, 50)
  sinks[1]!.takes = false
  for (const stream of opened.slice(0, 2)) stream.data(ready(1))
  opened[0]!.data(end('drain'))
  t.equal(opened.length, 251, 'who had an edge does not wait behind them')
  sessions.close()
  upstreams.close()
  await clock.advance(0)
  t.ok(sinks.every(({ ended, closed }) => ended?.startsWith('retry: ') && !closed), 'one that takes nothing now is told, too')
  t.ok(opened.every(({ state }) => state === 'aborted'))
  t.equal(clock.pending, 0)
})

t.test('a placement that no announcement covers counts for 5 s', async t => {
  const { clock, open, last, pending } = setUp(t, [edgeNode('a')])
  open()
  last().data(ready(1))
  t.equal(pending.viewers(edgeNode('a', { viewers: 7 })), 8)
  await clock.advance(6_000)
  t.equal(pending.viewers(edgeNode('a', { viewers: 7 })), 7)
  open()
  last().data(ready(1))
  pending.seen({ kind: 'edge', id: 'a', node: edgeNode('a', { viewers: 7 }) }, clock.now() + 1_000)
  t.equal(pending.viewers(edgeNode('a', { viewers: 7 })), 7, 'or until one does')
})

t.test('what a stream brings is a sign of its edge\'s life, the first byte and the last', async t => {
  const { clock, open, opened, last, silent } = setUp(t)
  open()
  silent.add(last().edge.id)
  await clock.advance(800)
  last().data(ready(1))
  for (let id = 2; id < 10; id++) {
    await clock.advance(600)
    last().data(comments(id))
  }
  t.equal(opened.length, 1)
})

t.test('a viewer that was served waits where the only edge says that it is full', async t => {
  const { open, last, sessions } = setUp(t, [edgeNode('a')])
  const { sink } = open()
  last().data(ready(1))
  last().data(end('full'))
  t.equal(sink.ended, undefined)
  t.equal(sessions.waitingCount, 1)
})

t.test('an edge that hands over in order, or a stream that had been good, is followed at once; any other after a pause that grows', async t => {
  const { clock, open, opened, last } = setUp(t, ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(id => edgeNode(id)))
  const { session } = open()
  for (const reason of ['drain', 'drain', 'full', 'full'] as const) last().data(Buffer.concat([ready(1), end(reason)]))
  t.equal(opened.length, 5)
  for (let i = 0; i < 2; i++) {
    last().data(comments(2 + i))
    await clock.advance(3_000)
    last().lost('lost')
    t.equal(opened.length, 6 + i)
  }
  const waits = []
  for (let i = 0; i < 4; i++) {
    last().data(comments(10 + i))
    last().lost('lost')
    const { length } = opened
    const since = clock.now()
    while (opened.length === length && clock.now() - since < 5_000) await clock.advance(1)
    waits.push(clock.now() - since)
  }
  t.same(waits, [38, 75, 150, 300])
  for (const why of ['silent', 'stale'] as const) {
    const { length } = opened
    session.leave(why)
    t.equal(opened.length, length + 1, why)
  }
})

t.test('a blocked viewer whose next try fell due meanwhile is placed when it takes data again', async t => {
  const { clock, open, opened, last } = setUp(t)
  const { sink, session } = open()
  last().data(ready(1))
  last().lost('lost')
  sink.takes = false
  last().data(comments(2))
  last().lost('lost')
  await clock.advance(1_000)
  t.equal(opened.length, 2)
  sink.takes = true
  session.drained()
  t.equal(opened.length, 3)
})

t.test('all streams end over a window, each with a retry', async t => {
  const { clock, open, sessions } = setUp(t)
  const sinks = Array.from({ length: 100 }, () => open().sink)
  const done = sessions.endAll(1_000)
  await clock.advance(200)
  const early = sinks.filter(({ ended }) => ended !== undefined).length
  t.ok(early > 0 && early < 100, `${early} ended`)
  await clock.advance(1_000)
  await done
  t.ok(sinks.every(({ ended }) => ended?.startsWith('retry: ')))
})

t.test('whatever edges do, a viewer of a model video sees each comment once, in order, and all of them', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('post' as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constantFrom('lost' as const, 'drain' as const, 'full' as const, 'torn' as const, 'refused' as const, 'block' as const, 'unblock' as const) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.integer({ min: 0, max: 3 }), async (steps, start) => {
      const scope = { after: (_: () => void) => {} } as unknown as Test
      const ids = ['a', 'b', 'c', 'd', 'e', 'f'].flatMap(id => [edgeNode(id), edgeNode(`${id}2`)])
      const { clock, open, opened, last, sessions, upstreams } = setUp(scope, ids)
      let head = 3
      const { sink, session } = open({ ...newcomer, after: start })
      /** An edge answers what it is asked, from a store that holds 1 to head. */
      const served = new Map<Opened, number>()
      const serve = () => {
        const stream = last()
        if (stream.state !== 'open') return
        const from = served.get(stream) ?? stream.request.after!
        const due = Array.from({ length: head - from }, (_, i) => from + 1 + i)
        if (!served.has(stream)) stream.data(Buffer.concat([comments(...due), ready(head)]))
        else if (due.length > 0) stream.data(comments(...due))
        served.set(stream, head)
      }
      for (const each of steps) {
        const stream = last()
        const isOpen = stream.state === 'open'
        if (each.kind === 'post') head += each.count
        else if (each.kind === 'block') sink.takes = false
        else if (each.kind === 'unblock') {
          sink.takes = true
          session.drained()
        } else if (isOpen && each.kind === 'torn') {
          stream.data(comments((served.get(stream) ?? stream.request.after!) + 1).subarray(0, 15))
          stream.lost('lost')
        } else if (isOpen && (each.kind === 'lost' || each.kind === 'refused')) stream.lost(each.kind)
        else if (isOpen && (each.kind === 'drain' || each.kind === 'full')) stream.data(end(each.kind))
        await clock.advance(50)
        serve()
      }
      sink.takes = true
      session.drained()
      await clock.advance(5_000)
      serve()
      const isOver = sink.ended !== undefined
      sessions.close()
      upstreams.close()
      if (isOver && sessions.counts.endings.no_capacity === 1 && sink.ids.length === 0) return // every edge said full
      const expected = Array.from({ length: head - start }, (_, i) => start + 1 + i)
      if (isOver || JSON.stringify(sink.ids) !== JSON.stringify(expected)) throw new Error(`${sink.ids.join()} of ${expected.join()} over ${opened.length} streams`)
    }),
    { numRuns: 150 },
  )
})

t.test('a newcomer goes to an edge that is not stale; where all are, to one of them', async t => {
  const { open, show, last } = setUp(t, [edgeNode('a', { stale: true }), edgeNode('b', { viewers: 900 })])
  open({ videoId: 'v', after: undefined, recent: undefined })
  t.equal(last().edge.id, 'b')
  show(edgeNode('b', { viewers: 900, stale: true }))
  open({ videoId: 'w', after: undefined, recent: undefined })
  t.equal(last().edge.id, 'a')
})

t.test('what a client\'s replays take makes its next ones wait, and nobody else: not its viewers who ask for none either', async t => {
  const { clock, opened, last, sessions } = setUp(t)
  const far: StreamRequest = { ...newcomer, after: 1 }
  const events = (bytes: number) => frame(FrameKind.events, 1, Buffer.from(`:${'x'.repeat(bytes)}\n\n`))
  const join = (request: StreamRequest, client: string) => {
    const before = opened.length
    sessions.open(request, new FakeSink(), { client: [client] })
    return opened.length > before
  }
  t.ok(join(far, 'one'))
  for (let i = 0; i < 640; i++) last().data(events(8_000))
  last().data(ready(7))
  t.notOk(join(far, 'one'))
  t.notOk(join({ ...newcomer, recent: 50 }, 'one'))
  t.ok(join(far, 'other'))
  t.ok(join(newcomer, 'one'), 'it asks for no replay')
  for (let i = 0; i < 640; i++) last().data(events(8_000))
  const placed = opened.length
  await clock.advance(1_500)
  t.equal(opened.length, placed + 2, 'the bytes are paid off')
  t.same(opened.slice(placed).map(({ request }) => request), [far, { ...newcomer, recent: 50 }])
})

t.test('a client cannot begin many replays before the first is counted; what they did not take is given back', async t => {
  const { clock, opened, sessions } = setUp(t, [edgeNode('a'), edgeNode('b')], 1_000)
  const many = (request: StreamRequest, client: string) => Array.from({ length: 200 }, () => sessions.open(request, new FakeSink(), { client: [client] }))
  const far = many({ ...newcomer, after: 1 }, 'one')
  t.equal(opened.length, 5)
  opened[0]!.data(ready(7))
  far[1]!.left()
  await clock.advance(20)
  t.equal(opened.length, 7, 'one took little, one left')
  const lately = nextId(clock.wall() - 1_000, 0)
  many({ ...newcomer, after: lately }, 'two')
  t.ok(opened.length - 7 > 60, 'who was there a moment ago has missed little')
})
