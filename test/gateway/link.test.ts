import { Buffer } from 'node:buffer'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { Links } from '../../gateway/links.js'
import type { EdgeStreamHandlers } from '../../gateway/relayed.js'
import { Upstreams } from '../../gateway/upstreams.js'
import type { EndReason } from '../../protocol/frame.js'
import { GZIP_HEADER, GzipTrailer } from '../../protocol/gzip.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import { View } from '../../registry/view.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeLinkSocket } from '../support/fake-link-socket.js'
import { FakeMember } from '../support/fake-member.js'
import { edgeNode } from '../support/nodes.js'

function setUp(t: Test) {
  const clock = new FakeClock()
  const view = new View()
  const sockets: FakeLinkSocket[] = []
  const streams: { edge: EdgeNode; handlers: EdgeStreamHandlers }[] = []
  const nodes = ['a', 'b'].map(id => edgeNode(id, { instance: `${id}1` })) as [EdgeNode, EdgeNode]
  for (const node of nodes) view.apply({ kind: 'edge', id: node.id, node }, 0)
  const upstreams = new Upstreams({ clock, random: () => 0.5, view, ping: (peer, timeoutMs) => links.ping(peer, timeoutMs) ?? Promise.resolve(undefined), onUsable: () => {} })
  const links: Links = new Links({
    clock,
    upstreams,
    connectLink: (edge, handlers) => {
      const socket = new FakeLinkSocket(edge, handlers)
      sockets.push(socket)
      return socket
    },
    connect: (edge, _, handlers) => {
      streams.push({ edge, handlers })
      return { abort: () => {}, pause: () => {}, resume: () => {} }
    },
    gzip: { level: 6, minViewers: 4 },
  })
  t.after(() => {
    links.close()
    upstreams.close()
  })
  const join = (given: ConstructorParameters<typeof FakeMember>[0] = {}, node = nodes[0]) => {
    const member = new FakeMember(given)
    links.join(node, member)
    return member
  }
  /** A member at a place, of a group that is told. */
  const joined = (cursor: number) => {
    const member = join({ cursor })
    sockets[0]!.ready(sockets[0]!.joins.at(-1)!, cursor)
    member.writes.length = 0
    return member
  }
  return { clock, upstreams, links, sockets, streams, nodes, join, joined, socket: () => sockets.at(-1)! }
}

t.test('all viewers that are placed on an edge go by one link, and those on another edge by another', async t => {
  const { links, sockets, join, nodes } = setUp(t)
  join()
  join({ videoId: 'w' })
  join({}, nodes[1])
  t.same(sockets.map(({ edge, joins }) => [edge.id, joins.length]), [['a', 2], ['b', 1]])
  t.same(sockets[0]!.joins.map(({ videoId }) => videoId), ['v', 'w'])
  t.equal(new Set(sockets[0]!.joins.flatMap(({ join, group }) => [join, group])).size, 4)
  t.same([links.size, links.groups], [0, 3], 'none is open yet')
  sockets[0]!.open()
  t.equal(links.size, 1)
})

t.test('those that lack the same share one join, until the first byte comes', async t => {
  const { join, socket } = setUp(t)
  const same = [join({ cursor: 5 }), join({ cursor: 5 })]
  join({ cursor: 6 })
  join({ recent: 5 })
  join({ recent: 5 })
  join({ recent: 6 })
  join()
  join({ cursor: 0, recent: 5 })
  const { joins } = socket()
  t.same(joins.map(({ begin }) => begin), [
    { after: 5, recent: 0 },
    { after: 6, recent: 0 },
    { after: undefined, recent: 5 },
    { after: undefined, recent: 6 },
    { after: undefined, recent: 0 },
    { after: 0, recent: 0 },
  ])
  t.equal(new Set(joins.map(({ group }) => group)).size, 1)
  socket().piece(joins[0]!, 10)
  t.same(same.map(({ text, cursor, answers }) => [text, cursor, answers]), Array(2).fill(['piece 10;', 10, 1]))
  join({ cursor: 5 })
  t.match(socket().joins[6], { begin: { after: 5 }, group: joins[0]!.group })
  socket().ready(joins[2]!, 10)
  join({ recent: 5 })
  t.equal(socket().joins.length, 8)
})

t.test('those who accept gzip and others share a join and a group, and each is written its own bytes', async t => {
  const { clock, join, links, socket } = setUp(t)
  const [plain, gzip] = [join({ cursor: 5 }), join({ cursor: 5, gzip: true })]
  const { joins } = socket()
  t.same([joins.length, links.groups], [1, 1])
  const missed = 'id: 6\ndata: much of the same\n\n'.repeat(50)
  socket().piece(joins[0]!, 6, missed)
  socket().ready(joins[0]!, 7, { text: 'a little more;' })
  await clock.advance(60)
  t.same(socket().weights(joins[0]!), [2])
  socket().flush(joins[0]!, 7, 8)
  await clock.advance(60)
  const all = `${missed}a little more;ready 7;7-8;`
  t.equal(plain.text, all)
  const trailer = new GzipTrailer()
  trailer.add(gzip.checksum!)
  t.equal(gunzipSync(Buffer.concat([GZIP_HEADER, ...gzip.writes, trailer.bytes()])).toString(), all)
  t.ok(gzip.writes[0]!.length < missed.length / 10)
})

t.test('the next piece is asked for when somebody takes more, and those that do not are left behind', async t => {
  const { join, socket } = setUp(t)
  const [quick, slow] = [join({ cursor: 0 }), join({ cursor: 0 })]
  const asked = socket().joins[0]!
  const mores = () => socket().of('more').length
  for (const each of [quick, slow]) each.stuck = true
  socket().piece(asked, 10)
  t.equal(mores(), 0, 'nobody takes more')
  quick.drain()
  t.equal(mores(), 1)
  t.same(socket().of('more')[0], { kind: 'more', join: asked.join })
  quick.drain()
  t.equal(mores(), 1, 'one for each piece')
  socket().piece(asked, 20)
  t.equal(mores(), 2)
  t.same([slow.text, slow.cursor, slow.timesBehind], ['piece 10;', 10, 1])
  t.equal(socket().joins.length, 1, 'it takes nothing yet')
  slow.drain()
  t.match(socket().joins[1], { begin: { after: 10, recent: 0 }, group: asked.group })
  t.equal(quick.text, 'piece 10;piece 20;')
  // All that are left are slow: nobody wants the join any longer.
  quick.blocked = true
  socket().piece(asked, 30)
  t.same(socket().of('leave'), [{ kind: 'leave', join: asked.join }])
  t.equal(mores(), 2)
})

t.test('ready sets the place, to 0 too, and is passed on the first time only', async t => {
  const { clock, join, socket } = setUp(t)
  const member = join({ cursor: 50 }) // not the video's
  const [first] = socket().joins
  socket().ready(first!, 0, { epoch: 3, text: 'missed;' })
  t.same([member.text, member.cursor, member.epoch, member.readies], ['missed;ready 0;', 0, 3, 1])
  member.stuck = true
  socket().flush(first!, 5, 6, 3) // a hole
  await clock.advance(100)
  const [, second] = socket().joins
  t.match(second, { begin: { after: 0 } })
  socket().ready(second!, 6, { epoch: 3, text: 'hole;' })
  t.same([member.text, member.cursor, member.readies], ['missed;ready 0;hole;', 6, 2])
  member.drain()
  socket().flush(first!, 7, 8, 3)
  await clock.advance(200)
  socket().ready(socket().joins[2]!, 8, { epoch: 3 })
  t.same([member.text, member.cursor, member.readies], ['missed;ready 0;hole;', 8, 3], 'with nothing missed nothing is written')
})

t.test('a flush goes to the members of its group alone', async t => {
  const { clock, join, socket } = setUp(t)
  const [a, b] = [join({ cursor: 1 }), join({ cursor: 1, videoId: 'w' })]
  const [forA, forB] = socket().joins
  socket().ready(forA!, 1)
  socket().ready(forB!, 1)
  socket().flush(forA!, 1, 2)
  socket().flush({ group: 999 }, 1, 2)
  await clock.advance(50)
  t.same([a.text, b.text], ['ready 1;1-2;', 'ready 1;'])
})

t.test('how many a group has is told once for all changes of 50 ms, as a whole', async t => {
  const { clock, join, socket } = setUp(t)
  const members = Array.from({ length: 5 }, () => join({ cursor: 1 }))
  const [asked] = socket().joins
  await clock.advance(1_000)
  t.same(socket().weights(asked!), [], 'who has not joined is not counted')
  socket().ready(asked!, 1)
  members[0]!.goes()
  await clock.advance(49)
  t.same(socket().weights(asked!), [])
  await clock.advance(1)
  t.same(socket().weights(asked!), [4])
  await clock.advance(1_000)
  members[1]!.goes()
  members[2]!.goes()
  await clock.advance(50)
  t.same(socket().weights(asked!), [4, 2])
  for (const each of members.slice(3)) each.goes()
  await clock.advance(50)
  t.same(socket().weights(asked!), [4, 2, 0])
})

t.test('a group that is closed is never used again', async t => {
  const { clock, links, join, joined, socket } = setUp(t)
  joined(1).goes()
  const [first] = socket().joins
  await clock.advance(50)
  t.same([socket().weights(first!), links.groups], [[0], 0])
  const member = join({ cursor: 1 })
  const second = socket().joins[1]!
  t.not(second.group, first!.group)
  socket().flush(first!, 1, 2) // was on its way
  socket().ready(second, 1)
  await clock.advance(100)
  t.same([member.text, socket().weights(second)], ['ready 1;', [1]])
})

t.test('a group whose last member goes stays for those that are about to join it', async t => {
  const { clock, join, joined, socket } = setUp(t)
  const first = joined(1)
  const second = join({ cursor: 0 })
  first.goes()
  await clock.advance(1_000)
  const [, asked] = socket().joins
  t.same(socket().weights(asked!), [])
  socket().ready(asked!, 1)
  await clock.advance(50)
  t.same([second.text, socket().weights(asked!)], ['ready 1;', [1]])
})

t.test('a join that nobody wants any longer is left; its ready, which was on its way, closes the group that it made', async t => {
  const { clock, join, socket } = setUp(t)
  const [one, two] = [join({ cursor: 1 }), join({ cursor: 1 })]
  const [asked] = socket().joins
  one.goes()
  t.same(socket().of('leave'), [])
  two.goes()
  t.same(socket().of('leave'), [{ kind: 'leave', join: asked!.join }])
  await clock.advance(50)
  const told = socket().weights(asked!).length
  socket().ready(asked!, 1)
  t.same(socket().weights(asked!).slice(told), [0])
  t.same([one.text, two.text], ['', ''])
  socket().piece(asked!, 5)
  socket().say({ kind: 'joinEnded', join: asked!.join, reason: 'full' })
  t.same([one.told, two.told], [[], []])
})

t.test('a ready for a join that was left does not close a group that others are in', async t => {
  const { clock, join, joined, socket } = setUp(t)
  joined(1)
  const late = join({ cursor: 0 })
  const asked = socket().joins[1]!
  late.goes()
  await clock.advance(50)
  socket().ready(asked, 1)
  await clock.advance(100)
  t.notOk(socket().weights(asked).includes(0))
})

t.test('who is refused goes elsewhere', async t => {
  for (const reason of ['full', 'drain', 'slow'] as const satisfies readonly EndReason[]) {
    const { clock, join, socket, upstreams, nodes } = setUp(t)
    const member = join({ cursor: 1 })
    socket().open()
    socket().say({ kind: 'joinEnded', join: socket().joins[0]!.join, reason })
    t.same(socket().of('leave'), [], 'the edge knows')
    t.same(member.told, [reason])
    t.same([member.timesBehind, socket().joins.length], [0, 1])
    t.equal(upstreams.isBackedOff(nodes[0]), reason === 'drain', 'an edge that drains gets nobody for a while')
    await clock.advance(50)
  }
})

t.test('a group that the edge hands back goes elsewhere with those that are about to join it, and the other groups stay', async t => {
  const { clock, links, join, joined, socket, upstreams, nodes } = setUp(t)
  const member = joined(1)
  const newcomer = join({ cursor: 0 })
  const other = join({ videoId: 'w', cursor: 1 })
  const [asked, late] = socket().joins
  socket().say({ kind: 'groupEnded', group: asked!.group, reason: 'drain' })
  t.same([member.told, newcomer.told, other.told], [['drain'], ['drain'], []])
  t.same(socket().of('leave'), [{ kind: 'leave', join: late!.join }])
  t.ok(upstreams.isBackedOff(nodes[0]))
  t.equal(links.groups, 1)
  socket().ready(late!, 1) // was on its way
  t.same(socket().weights(late!), [0])
  socket().flush(asked!, 1, 2)
  await clock.advance(200)
  t.same([member.text, newcomer.text], ['', ''])
  socket().say({ kind: 'groupEnded', group: asked!.group, reason: 'drain' })
  t.equal(member.told.length, 1)
})

t.test('of many that fall behind, 32 join again at a time', async t => {
  const { clock, joined, socket } = setUp(t)
  // Each at a place of its own: none shares another's join.
  const members = Array.from({ length: 40 }, (_, i) => joined(100 + i))
  const before = socket().joins.length
  const { group } = socket().joins[0]!
  socket().flush({ group }, 1_000, 1_001)
  await clock.advance(50)
  const rejoins = () => socket().joins.slice(before)
  t.equal(rejoins().length, 32)
  socket().ready(rejoins()[0]!, 1_001)
  t.equal(rejoins().length, 33)
  members[1]!.goes()
  t.equal(rejoins().length, 34, 'one that was joining again has gone')
  members[39]!.goes()
  for (const each of rejoins().slice(2)) socket().ready(each, 1_001)
  for (const each of rejoins().slice(34)) socket().ready(each, 1_001)
  t.equal(rejoins().length, 39, 'and one that had still to wait')
  t.same(members.map(({ timesBehind }) => timesBehind), Array(40).fill(1))
  await clock.advance(50)
  t.equal(socket().weights({ group: rejoins().at(-1)!.group }).at(-1), 38)
})

t.test('a link that was never open speaks of its edge, one that breaks does not', async t => {
  for (const [failure, isOpen, backedOff] of [['refused', false, true], ['timeout', false, true], ['unproven', false, true], ['lost', false, false], ['wire', false, false], ['refused', true, false]] as const) {
    const { links, join, joined, socket, upstreams, nodes } = setUp(t)
    const members = [join({ cursor: 5 }), joined(1)]
    if (isOpen) socket().open()
    socket().lose(failure)
    t.same(members.map(({ told }) => told), [[failure], [failure]], failure)
    t.same([socket().closed, upstreams.isBackedOff(nodes[0]), upstreams.relayedFromCount, links.groups, links.size], [true, backedOff, 0, 0, 0], failure)
    join()
    t.equal(socket().joins.length, 1, 'the next has another link')
  }
})

t.test('what was under way when the link ended is nothing to its former members', async t => {
  const { clock, links, join, nodes, sockets } = setUp(t)
  const crowd = Array.from({ length: 100 }, () => join({ cursor: 1 }))
  const [first] = sockets
  first!.ready(first!.joins[0]!, 1)
  await clock.advance(50)
  const joining = Array.from({ length: 100 }, () => join({ cursor: 0 }))
  first!.flush(first!.joins[0]!, 1, 2)
  first!.piece(first!.joins[1]!, 1) // too many to be written at once
  first!.lose()
  const all = [...crowd, ...joining]
  t.ok(all.every(({ told }) => told.length === 1))
  for (const member of all) links.join(nodes[1], member)
  const sources = all.map(({ source }) => source)
  await clock.advance(1_000)
  t.ok(all.every(({ source }, i) => source === sources[i]), 'they are on the other edge')
  t.ok(all.every(({ text, timesBehind }) => (text === 'ready 1;' || text === '') && timesBehind === 0))
  t.same(sockets[1]!.joins.map(({ begin }) => begin.after), [1, 0])
})

t.test('who had fallen behind is told of the end of the link too', async t => {
  const { clock, joined, socket } = setUp(t)
  const [waiting, rejoining] = [joined(10), joined(11)]
  waiting.blocked = true
  socket().flush(socket().joins[0]!, 20, 21)
  await clock.advance(9_000) // what the blocked one lacks is dropped
  waiting.blocked = false
  waiting.source!.drained(waiting)
  socket().lose()
  t.same([waiting.told, rejoining.told], [['lost'], ['lost']])
})

t.test('an edge of the former version has no links: its viewers have a stream each, and are not told', async t => {
  const { links, join, sockets, streams, nodes, upstreams } = setUp(t)
  const members = [join({ cursor: 1 }), join({ cursor: 1 }), join({ videoId: 'w' })]
  sockets[0]!.lose('absent')
  t.equal(streams.length, 3)
  t.same(members.map(({ told }) => told), [[], [], []])
  t.notOk(upstreams.isBackedOff(nodes[0]))
  join()
  t.same([sockets.length, streams.length], [1, 4], 'it is not tried again')
  join({}, { ...nodes[0], instance: 'a2' })
  t.equal(sockets.length, 2, 'the next instance is')
  t.equal(links.groups, 1)
})

t.test('pings go by the link once it is open; one that is not answered in its time means silence', async t => {
  const { clock, links, join, socket, nodes } = setUp(t)
  join()
  t.equal(links.ping(nodes[0], 100), undefined)
  socket().open()
  const [answered, late] = [links.ping(nodes[0], 100), links.ping(nodes[0], 100)]
  const [ping, other] = socket().of('ping')
  socket().say({ kind: 'pong', nonce: ping!.nonce, syncAgeMs: 0 })
  t.equal(await answered, undefined)
  await clock.advance(100)
  t.equal(await late, 'timeout')
  socket().say({ kind: 'pong', nonce: other!.nonce, syncAgeMs: 0 })
  const lost = links.ping(nodes[0], 100)
  t.ok(lost)
  socket().lose()
  t.equal(await lost, 'lost')
  t.equal(links.ping(nodes[0], 100), undefined)
})

t.test('a message that takes long to come is no silence', async t => {
  const { clock, join, sockets, nodes } = setUp(t)
  const [member] = [join({ cursor: 1 }), join({}, nodes[1])]
  for (const socket of sockets) socket.open()
  for (let ms = 0; ms < 3_000; ms += 100) {
    for (const socket of sockets) socket.part()
    await clock.advance(100)
  }
  t.same([member.told, sockets[0]!.closed], [[], false])
})

t.test('all leave an edge whose link is silent for a second, and one that says that it is stale', async t => {
  for (const why of ['silent', 'stale'] as const) {
    const { clock, join, sockets, nodes } = setUp(t)
    const [member, other] = [join({ cursor: 1 }), join({}, nodes[1])]
    const answer = () => {
      for (const [i, socket] of sockets.entries()) {
        if (socket.closed || (i === 0 && why === 'silent')) continue
        const ping = socket.of('ping').at(-1)
        if (ping) socket.say({ kind: 'pong', nonce: ping.nonce, syncAgeMs: i === 0 ? 60_000 : 0 })
      }
    }
    for (const socket of sockets) socket.open()
    for (let ms = 0; ms < 2_000; ms += 50) {
      answer()
      await clock.advance(50)
    }
    t.same([member.told, other.told], [[why], []], why)
    t.same([sockets[0]!.closed, sockets[1]!.closed], [true, false])
  }
})

t.test('any message is a sign of life', async t => {
  const { clock, join, sockets, nodes } = setUp(t)
  const member = join({ cursor: 1 })
  join({}, nodes[1])
  for (const socket of sockets) socket.open()
  sockets[0]!.ready(sockets[0]!.joins[0]!, 1)
  for (let at = 1; at < 60; at++) {
    await clock.advance(50)
    sockets[0]!.flush(sockets[0]!.joins[0]!, at, at + 1)
    const ping = sockets[1]!.of('ping').at(-1)
    if (ping) sockets[1]!.say({ kind: 'pong', nonce: ping.nonce, syncAgeMs: 0 })
  }
  t.same(member.told, [])
})

t.test('a link that nobody uses is closed after 10 s, and stays where somebody comes before', async t => {
  const { clock, links, join, joined, sockets } = setUp(t)
  joined(1).goes()
  await clock.advance(9_000)
  const again = join({ cursor: 1 })
  await clock.advance(20_000)
  t.notOk(sockets[0]!.closed)
  again.goes()
  await clock.advance(9_990)
  t.notOk(sockets[0]!.closed)
  await clock.advance(100)
  t.ok(sockets[0]!.closed)
  join()
  t.equal(sockets.length, 2)
  t.equal(links.groups, 1)
})

t.test('a link whose last viewer went while it was behind is closed too', async t => {
  const { clock, join, socket } = setUp(t)
  const [slow, quick] = [join({ cursor: 0 }), join({ cursor: 0 })]
  slow.stuck = true
  socket().piece(socket().joins[0]!, 10)
  socket().piece(socket().joins[0]!, 20)
  quick.goes()
  await clock.advance(20_000)
  t.same([slow.timesBehind, socket().closed], [1, false], 'it is waited for')
  slow.goes()
  await clock.advance(9_990)
  t.notOk(socket().closed)
  await clock.advance(10)
  t.ok(socket().closed)
})

t.test('a link that speaks garbage is ended, and all are placed again', async t => {
  for (const garbage of [Buffer.alloc(0), Buffer.from('HTTP/1.1 200 OK'), Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])]) {
    const { join, joined, socket, upstreams, nodes } = setUp(t)
    const members = [join({ cursor: 5 }), joined(1)]
    socket().open()
    socket().receive(garbage)
    t.same(members.map(({ told }) => told), [['lost'], ['lost']])
    t.ok(socket().closed)
    t.notOk(upstreams.isBackedOff(nodes[0]))
  }
})

t.test('what is kept for those that lag is counted, and dropped by the second where it is old', async t => {
  const { clock, links, joined, socket } = setUp(t)
  const slow = joined(1)
  slow.blocked = true
  socket().open()
  socket().flush(socket().joins[0]!, 1, 2)
  t.equal(links.keptBytes, '1-2;'.length)
  for (let ms = 0; ms < 9_500; ms += 250) {
    await clock.advance(250)
    const ping = socket().of('ping').at(-1)
    if (ping && !socket().closed) socket().say({ kind: 'pong', nonce: ping.nonce, syncAgeMs: 0 })
  }
  t.equal(links.keptBytes, 0)
  slow.drain()
  t.same([slow.timesBehind, socket().joins.at(-1)!.begin], [1, { after: 1, recent: 0 }])
})

t.test('when the gateway stops its links are closed', async t => {
  const { links, sockets, join, nodes } = setUp(t)
  join()
  join({}, nodes[1])
  links.close()
  t.same(sockets.map(({ closed }) => closed), [true, true])
})
