import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { Links } from '../../gateway/links.js'
import { Pending } from '../../gateway/pending.js'
import { Sessions } from '../../gateway/sessions.js'
import type { Ending, Sink } from '../../gateway/sink.js'
import { Upstreams } from '../../gateway/upstreams.js'
import type { StreamRequest } from '../../gateway/viewer.js'
import { Places } from '../../protocol/several.js'
import { commentEvent, HEARTBEAT, readyEvent, SseParser, viewersEvent, type SseEvent } from '../../protocol/sse.js'
import { View } from '../../registry/view.js'
import type { Encoded } from '../../runtime/fan-out/encoded.js'
import { FakeClock } from '../support/fake-clock.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { FakeLinkSocket } from '../support/fake-link-socket.js'
import { runGateway } from '../support/gateway.js'
import { identityOf, Issuer } from '../support/issuer.js'
import { edgeNode } from '../support/nodes.js'
import { until } from '../support/until.js'
import { watch } from '../support/viewer.js'

const VIDEOS = ['a', 'b', 'c']

/** A connection that takes all it is written until it is told to be stuck. */
class FakeSink implements Sink {
  readonly encoding = 'plain'
  readonly events: SseEvent[] = []
  heartbeats = 0
  writes = 0
  stuck = false
  readonly endings: string[] = []
  #full = false
  readonly #parser = new SseParser()

  write({ bytes }: Encoded): boolean {
    if (this.#full) throw new Error('written to while it takes nothing')
    this.writes++
    this.events.push(...this.#parser.push(bytes))
    this.#full = this.stuck
    return !this.#full
  }

  heartbeat(): boolean {
    this.heartbeats++
    return this.write({ bytes: Buffer.from(HEARTBEAT) })
  }

  takes(): void {
    this.#full = false
  }

  end(why: Ending): void {
    this.endings.push(why)
  }

  close(): void {
    this.endings.push('closed')
  }

  over(): void {
    this.endings.push('over')
  }

  /** Of the comments, in order: `a1`, `b7`. */
  get comments(): string[] {
    return this.events.filter(({ event }) => event === 'message').map(({ data }) => {
      const { videoId, id } = JSON.parse(data) as { videoId: string; id: string }
      return videoId + id
    })
  }
}

/** Sessions before links of which the test is the other end. */
function setUp(t: Test, nodes = ['e1', 'e2', 'e3'].map(id => edgeNode(id, { instance: id }))) {
  const clock = new FakeClock()
  const view = new View()
  const sockets: FakeLinkSocket[] = []
  for (const node of nodes) view.apply({ kind: 'edge', id: node.id, node }, 0)
  const upstreams: Upstreams = new Upstreams({ clock, random: () => 0.5, view, ping: (peer, ms) => links.ping(peer, ms) ?? Promise.resolve(undefined), onUsable: () => sessions.placeWaiting() })
  const links: Links = new Links({
    clock,
    upstreams,
    connectLink: (node, handlers) => {
      const socket = new FakeLinkSocket(node, handlers)
      socket.pongs = () => true
      sockets.push(socket)
      return socket
    },
    connect: () => t.fail('no link') as never,
    gzip: { level: 6, minViewers: 4 },
  })
  const sessions: Sessions = new Sessions({ clock, random: () => 0.5, view, pending: new Pending(), upstreams, links, videoShare: 1_000, joinRate: 1_000 })
  t.after(() => {
    sessions.close()
    links.close()
    upstreams.close()
  })
  const sink = new FakeSink()
  const open = (videos = VIDEOS, endsAt?: number) => sessions.open(videos.map(videoId => ({ videoId, after: undefined, recent: undefined })), sink, { endsAt })
  /** The newest join of a video, and the link that it is on. */
  const joinOf = (video: string) => {
    const [found] = sockets.flatMap(socket => (socket.closed ? [] : socket.joins.filter(({ videoId }) => videoId === video).map(join => ({ socket, join })))).slice(-1)
    if (!found) throw new Error(`no join of ${video}`)
    return found
  }
  const opened = () => {
    for (const socket of sockets) if (!socket.closed) socket.open()
  }
  const ready = async (video: string, at = 0) => {
    const { socket, join } = joinOf(video)
    socket.say({ kind: 'ready', join: join.join, group: join.group, epoch: 0, at, events: Buffer.alloc(0), ready: Buffer.from(readyEvent(at, video, 1)) })
    await clock.advance(1)
  }
  const flush = (video: string, from: number, ...ids: number[]) => {
    const { socket, join } = joinOf(video)
    socket.say({ kind: 'flush', group: join.group, epoch: 0, from, to: ids.at(-1) ?? from, events: Buffer.from(ids.length === 0 ? viewersEvent(1) : ids.map(id => commentEvent(id, JSON.stringify({ id: String(id) }))).join('')) })
  }
  return { clock, view, sessions, sockets, sink, open, joinOf, opened, ready, flush, upstreams }
}

t.test('each video is placed by itself, and all events come by one connection, with one id for all', async t => {
  const { sessions, sink, sockets, open, opened, ready, flush, clock } = setUp(t)
  open()
  t.same([sessions.size, new Set(sockets.map(({ edge }) => edge.id)).size], [1, 3], 'one viewer, on three edges')
  opened()
  for (const video of VIDEOS) await ready(video, 10)
  flush('b', 10, 11, 12)
  await clock.advance(1)
  flush('a', 10, 11)
  await clock.advance(1)
  t.same(sink.comments, ['b11', 'b12', 'a11'])
  const places = new Places(VIDEOS.map(videoId => ({ videoId, after: 10 })))
  const ids = [...places.passed(1, [11, 12]), ...places.passed(0, [11])]
  t.same(sink.events.filter(({ event }) => event === 'message').map(({ id }) => id), ids)
})

t.test('an edge that dies moves its video alone, which goes on after its own cursor', async t => {
  const { sink, joinOf, open, opened, ready, flush, clock, sessions } = setUp(t)
  open()
  opened()
  for (const video of VIDEOS) await ready(video, 10)
  flush('b', 10, 11)
  await clock.advance(1)
  const before = VIDEOS.map(video => joinOf(video).socket)
  before[1]!.closed = true
  before[1]!.lose()
  await clock.advance(1)
  opened()
  const { socket, join } = joinOf('b')
  t.not(socket, before[1])
  t.same(join.begin, { after: 11, recent: 0 })
  t.same([joinOf('a').socket, joinOf('c').socket], [before[0], before[2]])
  await ready('b', 11)
  flush('b', 11, 12)
  flush('a', 10, 20)
  await clock.advance(1)
  t.same(sink.comments.sort(), ['a20', 'b11', 'b12'])
  t.equal(sink.events.filter(({ event }) => event === 'ready').length, 3, 'each ready comes once')
  t.equal(sessions.counts.replacements.lost, 1)
})

t.test('what the connection does not take for one video waits for all, and each has its turn', async t => {
  const { sink, open, opened, ready, flush, clock } = setUp(t)
  const stay = open()
  opened()
  for (const video of VIDEOS) await ready(video, 10)
  sink.stuck = true
  flush('a', 10, 11)
  await clock.advance(1)
  t.same([sink.comments, stay.blocked], [['a11'], true])
  for (const video of VIDEOS) flush(video, video === 'a' ? 11 : 10, 12)
  await clock.advance(1)
  t.same(sink.comments, ['a11'], 'nothing more is written')
  for (let newest = 12; newest < 15; newest++) {
    flush('a', newest, newest + 1) // the busiest never rests
    await clock.advance(1)
    sink.takes()
    stay.drained()
  }
  t.same(sink.comments, ['a11', 'a12', 'a13', 'b12', 'c12'], 'the others have their turn before the busiest has its next')
  sink.stuck = false
  sink.takes()
  stay.drained()
  t.notOk(stay.blocked)
})

t.test('a viewer that takes nothing for 6 s is cut off once, whatever its videos bring; progress of any counts', async t => {
  const { sink, sessions, open, opened, ready, flush, clock } = setUp(t)
  const stay = open()
  opened()
  for (const video of VIDEOS) await ready(video, 10)
  sink.stuck = true
  flush('a', 10, 11)
  await clock.advance(5_000)
  stay.progressed()
  await clock.advance(5_000)
  t.same(sink.endings, [])
  await clock.advance(2_500)
  t.same([sink.endings, sessions.size, sessions.counts.endings.slow, sessions.counts.endings.left], [['over', 'closed'], 0, 1, 0])
})

t.test('its line is kept alive once for all, for as long as no video does so', async t => {
  const { sink, open, opened, ready, flush, joinOf, clock } = setUp(t)
  open()
  await clock.advance(21_000)
  t.equal(sink.heartbeats, 2)
  opened()
  await ready('c')
  const { socket } = joinOf('b')
  socket.closed = true
  socket.lose()
  await clock.advance(20_000)
  t.equal(sink.heartbeats, 2, 'also when another waits again')
  flush('c', 0)
  await clock.advance(1)
  t.match(sink.events.at(-1), { event: 'viewers', data: '{"videoId":"c","viewers":1}' })
})

t.test('with room for none of its videos it ends at once; one that has been given something waits', async t => {
  const full = setUp(t, [edgeNode('e1', { capacity: 1, viewers: 1 })])
  full.open()
  t.same([full.sink.endings, full.sessions.size, full.sessions.counts.endings.no_capacity], [['over', 'no_capacity'], 0, 1])

  const { sink, sessions, sockets, open, opened, ready, joinOf, clock } = setUp(t, [edgeNode('e1')])
  open()
  opened()
  await ready('a', 10)
  const { join } = joinOf('b')
  sockets[0]!.say({ kind: 'joinEnded', join: join.join, reason: 'full' })
  await clock.advance(100)
  t.same([sink.endings, sessions.size, sessions.waitingCount], [[], 1, 1])
  await clock.advance(3_000)
  t.ok(joinOf('b').join.join > join.join, 'and is asked for again')
})

t.test('it ends once and as a whole: when its client leaves, at its time, when the gateway stops', async t => {
  const left = setUp(t)
  left.open().left()
  t.same([left.sink.endings, left.sessions.size, left.sessions.counts.endings.left], [['over'], 0, 1])
  const expired = setUp(t)
  expired.open(VIDEOS, expired.clock.wall() + 1_000)
  await expired.clock.advance(4_000)
  t.same([expired.sink.endings, expired.sessions.counts.endings.expired], [['over', 'expired'], 1])
  const stopping = setUp(t)
  stopping.open()
  const ended = stopping.sessions.endAll(100)
  await stopping.clock.advance(200)
  await ended
  t.same([stopping.sink.endings, stopping.sessions.counts.endings.stopping, stopping.sessions.size], [['over', 'stopping'], 1, 0])
  for (const { sockets } of [left, expired, stopping]) t.ok(sockets.every(socket => socket.of('leave').length === socket.joins.length), 'no edge keeps any of it')
})

t.test('a bad request is refused, and the message names the parameter', async t => {
  const { url } = runGateway(t)
  const [id] = new Places([{ videoId: 'z', after: 1 }]).passed(0, [5])
  const stream = { accept: 'text/event-stream' }
  const cases: readonly (readonly [string, Record<string, string>, string, RegExp])[] = [
    ['', stream, 'BAD_VIDEOS', /^videos must name 1 to 50/],
    ['?videos=', stream, 'BAD_VIDEOS', /^videos must name 1 to 50/],
    [`?videos=${Array.from({ length: 51 }, (_, i) => i).join()}`, stream, 'BAD_VIDEOS', /^videos must name 1 to 50/],
    ['?videos=a,b,a', stream, 'BAD_VIDEOS', /a twice/],
    ['?videos=a,no.video', stream, 'BAD_VIDEO_ID', /videos/],
    ['?videos=a,b:x', stream, 'BAD_CURSOR', /cursor of b/],
    ['?videos=a,b&recent=201', stream, 'BAD_RECENT', /recent/],
    ['?videos=a,b&lastEventId=x', stream, 'BAD_CURSOR', /^lastEventId must be the id of an event/],
    [`?videos=a,b&lastEventId=${'x'.repeat(1_001)}`, stream, 'BAD_CURSOR', /^lastEventId/],
    [`?videos=a,b&lastEventId=${id}`, stream, 'BAD_CURSOR', /at least one of these videos/],
    ['?videos=a,b', { ...stream, 'last-event-id': 'undefined' }, 'BAD_CURSOR', /^Last-Event-ID must be/],
    ['?videos=a,b', { ...stream, 'last-event-id': '243901510635520' }, 'BAD_CURSOR', /^Last-Event-ID must be/],
    ['?videos=a,b', {}, 'BAD_REQUEST', /text\/event-stream, or by WebSocket/],
    ['?videos=a,b&wait=25', {}, 'BAD_REQUEST', /text\/event-stream, or by WebSocket/],
  ]
  for (const [query, headers, code, message] of cases) {
    const response = await fetch(`${url}/comments${query}`, { headers })
    t.equal(response.status, 400, query)
    t.match(await response.json(), { error: { code, message } }, query)
  }
  for (const [query, code] of [['', 'BAD_VIDEOS'], ['?videos=a,a', 'BAD_VIDEOS'], [`?videos=${Array.from({ length: 201 }, (_, i) => i).join()}`, 'BAD_VIDEOS'], ['?videos=no.video', 'BAD_VIDEO_ID']] as const) {
    const response = await fetch(`${url}/counts${query}`)
    t.match([response.status, await response.json()], [400, { error: { code } }], query)
  }
})

t.test('it resumes each video where its id says, or else where the list says', async t => {
  const { url, gateway: { sessions } } = runGateway(t)
  const open = sessions.open.bind(sessions)
  let begun: unknown
  sessions.open = ((requests: readonly StreamRequest[], ...rest: [Sink]) => {
    begun = Object.fromEntries(requests.map(({ videoId, after, recent }) => [videoId, [after, recent]]))
    return open(requests, ...rest)
  }) as typeof sessions.open
  const [older] = new Places([{ videoId: 'a', after: undefined }, { videoId: 'b', after: 7 }]).passed(0, [5])
  const [newer] = new Places([{ videoId: 'a', after: undefined }]).passed(0, [9])
  const cases: readonly (readonly [string, Record<string, string>, object])[] = [
    ['?videos=a,b,c&recent=3', {}, { a: [undefined, 3], b: [undefined, 3], c: [undefined, 3] }],
    [`?videos=a,c:4,b&lastEventId=${older}`, {}, { a: [5, undefined], c: [4, undefined], b: [7, undefined] }],
    [`?videos=c,a:1&lastEventId=${older}`, { 'last-event-id': newer! }, { c: [undefined, undefined], a: [9, undefined] }],
    ['?videos=a,b', { 'last-event-id': `${newer}, ${older}` }, { a: [9, undefined], b: [7, undefined] }],
    [`?videos=a,b&lastEventId=${older}`, { 'last-event-id': 'rubbish' }, { a: [5, undefined], b: [7, undefined] }],
  ]
  for (const [query, headers, asked] of cases) {
    begun = undefined
    watch(t, `${url}/comments${query}`, { headers })
    t.same(await until(() => begun), asked, query)
  }
})

t.test('one stream counts once against the limits, and its place is free again', async t => {
  const { url, gateway } = runGateway(t, { limits: { streamsPerAddress: 1 } })
  const first = watch(t, `${url}/comments?videos=a,b,c`)
  await until(() => first.status)
  t.equal(gateway.sessions.size, 1)
  const second = await fetch(`${url}/comments?videos=a,b`, { headers: { accept: 'text/event-stream' } })
  t.match([second.status, await second.json()], [429, { error: { code: 'RATE_LIMITED' } }])
  first.close()
  await until(() => gateway.sessions.size === 0)
  const third = watch(t, `${url}/comments?videos=a,b`)
  await until(() => third.status === 200)
})

t.test('one of many videos counts once for each five against the limits', async t => {
  const videos = (count: number) => `videos=${Array.from({ length: count }, (_, i) => `v${i}`).join()}`
  const { url, gateway } = runGateway(t, { limits: { streamsPerAddress: 3 } })
  const refused = await fetch(`${url}/comments?${videos(16)}`, { headers: { accept: 'text/event-stream' } })
  t.equal(refused.status, 429)
  const first = watch(t, `${url}/comments?${videos(15)}`)
  await until(() => first.status === 200)
  t.equal((await fetch(`${url}/comments/v0`, { headers: { accept: 'text/event-stream' } })).status, 429)
  first.close()
  await until(() => gateway.sessions.size === 0)
  const all = [1, 2, 3].map(() => watch(t, `${url}/comments/v0`))
  await until(() => all.every(({ status }) => status === 200))

  const full = runGateway(t, { viewerLimit: 2 })
  const six = watch(t, `${full.url}/comments?${videos(6)}`)
  await until(() => six.status === 200)
  t.match(await (await fetch(`${full.url}/comments?${videos(5)}`, { headers: { accept: 'text/event-stream' } })).text(), /^retry: \d+\n$/, 'and five times the viewers is what all may watch')
  const one = watch(t, `${full.url}/comments/v0`)
  await until(() => full.gateway.sessions.size === 2)
  t.notOk(one.isClosed)
})

t.test('a token must be for every one of the videos', async t => {
  const issuer = new Issuer({ ed: 'EdDSA' })
  const { url, gateway } = runGateway(t, { identity: identityOf(issuer) })
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${await issuer.token('ed', { videos: ['a', 'b'] })}` }
  for (const [path, given, status] of [
    ['/comments?videos=a,b', { accept: 'text/event-stream' }, 401],
    ['/comments?videos=a,b,c', headers, 403],
    ['/counts?videos=a,b', {}, 401],
    ['/counts?videos=a,c', headers, 403],
    ['/counts?videos=b,a', headers, 200],
  ] as const) t.equal((await fetch(url + path, { headers: given })).status, status, path)
  const viewer = watch(t, `${url}/comments?videos=a,b`, { headers })
  await until(() => viewer.status === 200 && gateway.sessions.size === 1)
})

t.test('counts say how many watch each video, and for how long they may have been out of date', async t => {
  let staleMs = 0
  const { url, apply } = runGateway(t, { edges: [edgeNode('e1', { instance: 'i1' }), edgeNode('e2', { instance: 'i2' })], viewStaleMs: () => staleMs })
  apply({ kind: 'holdings', id: 'e1', holdings: { instance: 'i1', videos: new Map([['a', 3], ['b', 2]]) } })
  apply({ kind: 'holdings', id: 'e2', holdings: { instance: 'i2', videos: new Map([['a', 4]]) } })
  const counts = async () => (await fetch(`${url}/counts?videos=b,none,a`)).json()
  t.same(await counts(), { counts: [{ videoId: 'b', viewers: 2, edges: 1 }, { videoId: 'none', viewers: 0, edges: 0 }, { videoId: 'a', viewers: 7, edges: 2 }], staleMs: 0 })
  staleMs = 4_200.4
  t.match(await counts(), { staleMs: 4_200 })
  const unread = await fetch(`${runGateway(t, { viewLoaded: () => false }).url}/counts?videos=a`)
  t.match([unread.status, await unread.json()], [503, { error: { code: 'UNAVAILABLE' } }])
})

t.test('a post by a WebSocket of several videos goes to the one that it names', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node] })
  const ws = new WebSocket(`${url.replace('http', 'ws')}/comments?videos=a,b`, { perMessageDeflate: false })
  t.after(() => ws.terminate())
  const said: unknown[] = []
  ws.on('message', (bytes: Buffer) => said.push(...(JSON.parse(bytes.toString()) as unknown[])))
  await new Promise(resolve => ws.once('open', resolve))
  ws.send('{"ref":1,"post":{"videoId":"b","content":"hello"}}')
  await until(() => said.length === 1)
  ws.send('{"ref":2,"post":{"content":"hello"}}')
  await until(() => said.length === 2)
  t.match(said, [{ ref: 1, posted: { videoId: 'b', content: 'hello' } }, { ref: 2, error: { code: 'BAD_REQUEST', message: /post\.videoId/ } }])
  t.match(dispatcher.batches.flat(), [{ videoId: 'b' }])
})
