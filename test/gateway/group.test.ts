import { Buffer } from 'node:buffer'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { Compressor } from '../../gateway/compressor.js'
import { Group } from '../../gateway/group.js'
import { Join } from '../../gateway/join.js'
import { KeptFlushes } from '../../gateway/kept-flushes.js'
import type { Member } from '../../gateway/member.js'
import { toEventJson } from '../../protocol/comment.js'
import { GZIP_HEADER, GzipTrailer } from '../../protocol/gzip.js'
import { commentEvent, deletedEvent } from '../../protocol/sse.js'
import { Pacer } from '../../runtime/fan-out/pacer.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeMember } from '../support/fake-member.js'

function setUp({ maxBytes }: { maxBytes?: number } = {}) {
  const clock = new FakeClock()
  const pacer = new Pacer(clock)
  const behind: Member[] = []
  let changes = 0
  const kept = new KeptFlushes(clock, maxBytes)
  const compressor = new Compressor({ level: 6, minViewers: 4 })
  const group = new Group({
    number: 1,
    videoId: 'v',
    clock,
    pacer,
    kept,
    compressor,
    written: () => {},
    behind: member => {
      member.source = undefined
      behind.push(member)
    },
    changed: () => void changes++,
  })
  /** Says by itself which comments it brings. */
  const flush = (from: number, to: number, epoch = 0, text = `(${from},${to}]`) => group.flush({ epoch, from, to, events: Buffer.from(text) })
  const add = (cursor: number, epoch = 0, next = group.end, gzip = false) => {
    const member = new FakeMember({ gzip, cursor })
    member.epoch = epoch
    group.add(member, next)
    return member
  }
  const join = (...members: FakeMember[]) => {
    const join = new Join({ number: 2, group, clock, pacer, compressor, after: members[0]!.cursor, recent: 0, again: false, behind: member => void behind.push(member), more: () => {}, over: () => {} })
    for (const member of members) join.add(member)
    return { join, ready: (at: number, epoch = 0) => join.ready({ kind: 'ready', join: 2, group: 1, epoch, at, events: Buffer.alloc(0), ready: Buffer.from(`<${at}>`) }) }
  }
  return { clock, group, kept, behind, changes: () => changes, flush, add, join }
}

t.test('a flush is written to members that stand where it begins, and skipped for those that have it', async t => {
  const { clock, flush, add, behind } = setUp()
  const [here, past, beyond] = [add(10), add(20), add(25)]
  flush(10, 20)
  await clock.advance(0)
  t.same([here, past, beyond].map(({ text, cursor }) => [text, cursor]), [['(10,20]', 20], ['', 20], ['', 25]])
  flush(20, 25)
  await clock.advance(100)
  t.same([here, past, beyond].map(({ text, cursor }) => [text, cursor]), [['(10,20](20,25]', 25], ['(20,25]', 25], ['', 25]])
  t.same(behind, [])
})

t.test('a member that a flush begins or ends beside has a hole: it is behind and has left', async t => {
  const { clock, flush, add, behind, group, changes } = setUp()
  const [before, within, here] = [add(9), add(11), add(10)]
  flush(10, 20)
  await clock.advance(0)
  t.same(behind, [before, within])
  t.same([before.text, within.text, before.cursor, within.cursor], ['', '', 9, 11])
  t.same([...group.members], [here])
  t.equal(changes(), 5, 'three came and two left')
})

t.test('a member without a place is behind', async t => {
  const { clock, flush, group, behind } = setUp()
  const member = new FakeMember()
  group.add(member, group.end)
  flush(10, 20)
  await clock.advance(0)
  t.same(behind, [member])
})

t.test('a newcomer whose ready comes in the middle of flushes loses nothing and has nothing twice', async t => {
  const cases: readonly (readonly [at: number, order: readonly ('ready' | 'flush' | 'wait')[], text: string])[] = [
    [10, ['ready', 'flush'], '<10>(10,20](20,30]'],
    [10, ['ready', 'wait', 'flush'], '<10>(10,20](20,30]'],
    [20, ['ready', 'flush'], '<20>(20,30]'],
    [20, ['flush', 'ready'], '<20>(20,30]'],
    [20, ['flush', 'wait', 'ready'], '<20>(20,30]'],
  ]
  for (const [at, order, text] of cases) {
    const { clock, flush, join, behind } = setUp()
    const member = new FakeMember({ cursor: 5 })
    const { ready } = join(member)
    for (const step of order) {
      if (step === 'ready') ready(at)
      else if (step === 'flush') flush(10, 20)
      else await clock.advance(50)
    }
    flush(20, 30)
    await clock.advance(200)
    t.same([member.text, member.cursor, behind], [text, 30, []], `${order.join()} at ${at}`)
  }
})

t.test('a crowd that becomes ready in slices misses no flush that comes between them', async t => {
  const { clock, group, flush, join, behind } = setUp()
  const now = clock.now.bind(clock)
  let worked = 0
  clock.now = () => now() + (worked += 3) // a slice is over after a look or two
  const members = Array.from({ length: 300 }, () => new FakeMember({ cursor: 5 }))
  const { ready } = join(...members)
  flush(5, 10)
  ready(10)
  flush(10, 20) // in the round of the first, which comes before them
  t.equal(group.members.size, 0, 'they are looked at later')
  await clock.advance(200)
  t.equal(members[299]!.text, '<10>(10,20]')
  flush(20, 30)
  await clock.advance(200)
  for (const { text, cursor } of members) if (text !== '<10>(10,20](20,30]' || cursor !== 30) t.fail(`${text} at ${cursor}`)
  t.same([behind.length, group.members.size], [0, 300])
})

t.test('where the room began anew at a lower place, members are set to it; newcomers that joined there skip it', async t => {
  const { clock, flush, add, behind } = setUp()
  const member = add(50)
  const ahead = add(60) // its place was never the room's
  flush(50, 10, 1, '[reset]')
  const newcomer = add(10, 1)
  const early = add(10, 1, 0)
  flush(10, 20, 1)
  await clock.advance(200)
  t.same([member.text, member.cursor, member.epoch], ['[reset](10,20]', 20, 1])
  t.same([newcomer.text, newcomer.cursor], ['(10,20]', 20])
  t.same([early.text, early.cursor], ['(10,20]', 20], 'the reset is of its own epoch, and it stands there')
  t.same(behind, [ahead])
})

t.test('what a room sent before it began anew is nothing to those who joined after', async t => {
  const { clock, flush, add, behind } = setUp()
  const member = add(10)
  const newcomer = add(10, 1, 0)
  flush(10, 50) // by place alone it would be the newcomer's
  flush(50, 10, 1, '[reset]')
  flush(10, 15, 1)
  await clock.advance(200)
  t.same([newcomer.text, newcomer.cursor, newcomer.epoch, behind], ['(10,15]', 15, 1, []])
  t.same([member.text, member.cursor, member.epoch], ['(10,50][reset](10,15]', 15, 1])
})

t.test('a member that stands beyond the place where the room began anew is not taken to have passed what follows', async t => {
  const { clock, flush, add, behind } = setUp()
  const member = add(50)
  flush(10, 20, 1)
  await clock.advance(0)
  t.same([member.text, behind], ['', [member]])
})

t.test('several flushes that wait are one write', async t => {
  const { clock, flush, add } = setUp()
  const [first, later] = [add(10), add(20)]
  flush(10, 20)
  flush(20, 30)
  flush(30, 40)
  await clock.advance(0)
  t.same(first.writes.map(String), ['(10,20](20,30](30,40]'])
  t.same(later.writes.map(String), ['(20,30](30,40]'])
})

t.test('what members at one place are written is made once', async t => {
  const { clock, flush, add } = setUp()
  const members = [add(10), add(10), add(10)]
  flush(10, 20)
  flush(20, 30)
  await clock.advance(0)
  for (const { writes } of members) t.equal(writes[0], members[0]!.writes[0])
  t.equal(members[0]!.text, '(10,20](20,30]')
})

t.test('one flush is passed on as the very bytes that came', async t => {
  const { clock, group, add } = setUp()
  const member = add(10)
  const events = Buffer.from('x')
  group.flush({ epoch: 0, from: 10, to: 20, events })
  await clock.advance(0)
  t.equal(member.writes[0], events)
})

t.test('a member that took nothing catches up in pieces of 64 KB, as its connection takes them', async t => {
  const { clock, flush, add, behind } = setUp()
  const member = add(0)
  member.stuck = true
  const text = 'x'.repeat(40 * 1024)
  for (let at = 0; at < 5; at++) {
    flush(at, at + 1, 0, text)
    await clock.advance(200)
  }
  t.same(member.writes.map(({ length }) => length), [text.length])
  member.drain()
  t.same(member.writes.slice(1).map(({ length }) => length), [2 * text.length, 2 * text.length])
  t.same([member.cursor, behind], [5, []])
})

t.test('a member that takes only one piece of what waits is written the next when it drains', async t => {
  const { clock, flush, add } = setUp()
  const member = add(0)
  member.blocked = true
  const text = 'x'.repeat(64 * 1024)
  flush(0, 1, 0, text)
  flush(1, 2, 0, text)
  await clock.advance(200)
  t.equal(member.writes.length, 0)
  member.drain()
  t.equal(member.writes.length, 2)
  member.stuck = true
  flush(2, 3, 0, text)
  flush(3, 4, 0, text)
  await clock.advance(200)
  t.same([member.writes.length, member.cursor], [3, 3])
  member.drain()
  t.same([member.writes.length, member.cursor], [4, 4])
})

t.test('a member is behind when what it lacks is no longer kept', async t => {
  const { clock, flush, add, behind, kept, group } = setUp()
  const slow = add(10)
  slow.blocked = true
  const quick = add(10)
  flush(10, 20)
  await clock.advance(8_001)
  kept.expire()
  flush(20, 30)
  await clock.advance(100)
  t.same([behind, quick.text], [[], '(10,20](20,30]'])
  slow.drain()
  t.same([behind, slow.text, slow.cursor, group.members.has(slow)], [[slow], '', 10, false])
})

t.test('what is dropped before the round is not taken for what follows it', async t => {
  const { clock, flush, add, behind } = setUp({ maxBytes: 7 })
  const [here, past] = [add(10), add(20)]
  flush(10, 20)
  flush(20, 30) // drops the first
  await clock.advance(0)
  t.same(behind, [here, past], 'nobody knows what the first was to those who had not been looked at')
  t.same([here.text, past.text], ['', ''])
})

t.test('after it is closed, nothing is written and nobody falls behind', async t => {
  const { clock, flush, group, add, behind } = setUp()
  const member = add(10)
  flush(10, 20)
  group.leave(member)
  group.close()
  await clock.advance(200)
  group.dropOldest()
  t.same([member.text, behind, group.end], ['', [], 1])
})

/** What a compressed member reads, to the end of its stream. */
function whole(member: FakeMember): string {
  const trailer = new GzipTrailer()
  trailer.add(member.checksum!)
  return gunzipSync(Buffer.concat([GZIP_HEADER, ...member.writes, trailer.bytes()])).toString()
}

t.test('members who accept gzip and others are one group: the flushes of a round are compressed together, once for each place', async t => {
  const { clock, group, flush, add } = setUp()
  const plain = add(10)
  const [one, two] = [add(10, 0, group.end, true), add(10, 0, group.end, true)]
  const later = add(20, 0, group.end, true)
  const texts = Array.from({ length: 4 }, (_, i) => `id: ${i}\ndata: {"id":"${i}","authorId":"ada","content":"a comment like the others"}\n\n`)
  texts.forEach((text, i) => flush(10 + i * 10, 20 + i * 10, 0, text))
  await clock.advance(0)
  t.same([plain.text, whole(one), whole(later)], [texts.join(''), texts.join(''), texts.slice(1).join('')])
  t.equal(one.writes[0], two.writes[0], 'the very same bytes')
  t.ok(one.writes[0]!.length < 1.6 * texts[0]!.length, `${one.writes[0]!.length} bytes for ${plain.text.length}`)
})

t.test('a member that drains is brought to where the others are, and then written the same as they', async t => {
  const { clock, group, flush, add } = setUp()
  const [steady, slow] = [add(10), add(10)]
  slow.blocked = true
  flush(10, 20)
  await clock.advance(0)
  flush(20, 30)
  slow.drain()
  t.same([slow.text, slow.cursor, group.end], ['(10,20]', 20, 2], 'the second is for the next round')
  await clock.advance(200)
  t.same(slow.writes.map(String), steady.writes.map(String))
})

t.test('members of any history can end their gzip stream: the checksums are those of all their text', async t => {
  const { clock, group, flush, add, join } = setUp()
  const [steady, slow] = [add(10, 0, group.end, true), add(10, 0, group.end, true)]
  slow.stuck = true
  flush(10, 20, 0, 'one comment, '.repeat(50))
  await clock.advance(200)
  flush(20, 30, 0, 'another, ')
  await clock.advance(200)
  const newcomer = new FakeMember({ gzip: true, cursor: 20 })
  join(newcomer).ready(30)
  flush(30, 40, 0, 'and é one more')
  flush(40, 50, 0, '.')
  await clock.advance(200)
  slow.drain()
  const all = `${'one comment, '.repeat(50)}another, and é one more.`
  t.same([steady, slow, newcomer].map(whole), [all, all, '<30>and é one more.'])
  t.equal(slow.writes.length, 2)
})

t.test('whatever comes in whatever order, a member gets each comment once and in order, or is behind at the place that it has', async () => {
  type Step = readonly ['flush' | 'join' | 'stick' | 'drain' | 'drop' | 'wait' | 'restart' | 'leave', number]
  const step: fc.Arbitrary<Step> = fc.tuple(fc.oneof({ weight: 5, arbitrary: fc.constant('flush' as const) }, { weight: 8, arbitrary: fc.constantFrom('join', 'stick', 'drain', 'drop', 'wait', 'leave') }, { weight: 1, arbitrary: fc.constant('restart' as const) }), fc.nat({ max: 20 }))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
      const { clock, group, behind, flush, add } = setUp()
      /** The room: all comments it sent, in one line through its epochs. */
      const line: { epoch: number; at: number; text: string }[] = [{ epoch: 0, at: 100, text: '' }]
      const members: { member: FakeMember; from: number }[] = []
      const last = () => line.at(-1)!
      let unique = 0
      const send = (epoch: number, to: number) => {
        const { at } = last()
        const text = `${unique++};`
        line.push({ epoch, at: to, text })
        flush(at, to, epoch, text)
      }
      for (const [what, n] of steps) {
        const some = members[n % (members.length || 1)]?.member
        if (what === 'flush') send(last().epoch, last().at + 1 + n)
        else if (what === 'restart') send(last().epoch + 1, Math.max(0, last().at - 1 - n))
        else if (what === 'join') members.push({ member: add(last().at, last().epoch), from: line.length })
        else if (what === 'stick' && some) some.stuck = true
        else if (what === 'drain' && some?.source) some.drain()
        else if (what === 'leave' && some) some.goes()
        else if (what === 'drop') group.dropOldest()
        else if (what === 'wait') await clock.advance(n)
      }
      await clock.advance(500)
      for (const { member } of members) if (member.source) member.drain()
      await clock.advance(500)
      for (const { member, from } of members) {
        const to = line.findIndex(({ epoch, at }, i) => i >= from - 1 && epoch === member.epoch && at === member.cursor)
        const wanted = line.slice(from, to + 1).map(({ text }) => text).join('')
        if (to < 0 || member.text !== wanted) throw new Error(`it stands at ${member.epoch}/${member.cursor} and has ${member.text}, not ${wanted}`)
        const isMember = group.members.has(member)
        if (isMember && to !== line.length - 1) throw new Error('a member lacks something and is not behind')
        if (isMember !== (member.source === group)) throw new Error('a member of what does not know it')
        if (behind.filter(each => each === member).length > 1) throw new Error('behind twice')
      }
    }),
    { numRuns: 300 },
  )
})

t.test('a member that lags is not written a comment that was deleted meanwhile, as text or compressed', async t => {
  const { clock, flush, add } = setUp()
  const said = (id: number) => commentEvent(id, toEventJson({ id, videoId: 'v', authorId: 'ann', content: `comment ${id} ${'x'.repeat(2_000)}`, createdAt: 5 }))
  const [quick, slow, slowGzip, also] = [add(10), add(10), add(10, 0, undefined, true), add(10, 0, undefined, true)]
  slow.stuck = slowGzip.stuck = true
  flush(10, 20, 0, said(20))
  await clock.advance(100)
  flush(20, 30, 0, said(30))
  await clock.advance(100)
  t.match(quick.text, 'comment 30')
  flush(30, 40, 0, deletedEvent(40, 30))
  await clock.advance(100)
  for (const member of [slow, slowGzip]) member.drain()
  await clock.advance(100)
  for (const member of [slow, slowGzip, also]) {
    const text = member.encoding === 'gzip' ? whole(member) : member.text
    t.equal(text.includes('comment 30'), member === also, 'only one that had it already')
    t.match(text, member === also ? deletedEvent(40, 30) : deletedEvent(30, 30) + deletedEvent(40, 30))
    t.match(text, 'comment 20')
    t.equal(member.cursor, 40)
  }
})

/** What members are written who asked for at most so many comments a second. */
function fewer(flushText: (from: number, to: number, epoch: number, text: string) => void) {
  let id = 10
  return {
    comments: (count: number) => {
      const from = id
      const ids = Array.from({ length: count }, () => ++id)
      flushText(from, id, 0, ids.map(each => commentEvent(each, toEventJson({ id: each, videoId: 'v', authorId: 'a', content: `c${each}`, createdAt: 0 }))).join(''))
    },
    shown: ({ text }: FakeMember) => [...text.matchAll(/"content":"c(\d+)"/g)].map(([, each]) => Number(each)),
    skipped: ({ text }: FakeMember) => [...text.matchAll(/"count":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0),
  }
}

t.test('members who asked for fewer comments are written a sample five times a second, the same to all of a class, and the others all', async t => {
  const { clock, group, flush } = setUp()
  const { comments, shown, skipped } = fewer(flush)
  const of = (maxRate?: 5 | 20, gzip = false) => {
    const member = new FakeMember({ cursor: 10, maxRate, gzip })
    group.add(member, group.end)
    return member
  }
  const [all, five, other, packed, twenty] = [of(), of(5), of(5), of(5, true), of(20)]
  for (let i = 0; i < 100; i++) {
    comments(2)
    await clock.advance(50)
  }
  await clock.advance(500)
  t.equal(shown(all).length, 200)
  t.equal(all.writes.length, 100)
  t.ok(shown(five).length >= 28 && shown(five).length <= 30, `${shown(five).length} in 5 s`)
  t.ok(shown(twenty).length >= 115 && shown(twenty).length <= 120, `${shown(twenty).length} in 5 s`)
  t.ok(five.writes.length <= 27, `${five.writes.length} writes`)
  for (const member of [five, twenty]) t.equal(shown(member).length + skipped(member), 200)
  t.equal(five.text, other.text)
  t.ok(five.writes.every((bytes, i) => bytes === other.writes[i]), 'the same bytes')
  t.equal(whole(packed), five.text)
  t.same([five.cursor, twenty.cursor], [210, 210], 'their places move on all the same')
})

t.test('what comes alone reaches them within a beat, and no timer goes on without them', async t => {
  const { clock, group, flush } = setUp()
  const { comments, shown } = fewer(flush)
  const member = new FakeMember({ cursor: 10, maxRate: 5 })
  group.add(member, group.end)
  comments(1)
  await clock.advance(0)
  t.same(shown(member), [11])
  comments(1)
  await clock.advance(199)
  t.same(shown(member), [11])
  await clock.advance(1)
  t.same(shown(member), [11, 12])
  member.goes()
  await clock.advance(1_000)
  const before = clock.pending
  comments(1)
  await clock.advance(1_000)
  t.equal(clock.pending, before)
})

t.test('one of them that takes nothing for a while is written the same sample as the others', async t => {
  const { clock, group, flush } = setUp()
  const { comments, shown, skipped } = fewer(flush)
  const [here, slow] = [0, 0].map(() => new FakeMember({ cursor: 10, maxRate: 5 }))
  for (const member of [here!, slow!]) group.add(member, group.end)
  slow!.stuck = true
  for (let i = 0; i < 20; i++) {
    comments(3)
    await clock.advance(100)
  }
  slow!.drain()
  await clock.advance(300)
  t.same(shown(slow!), shown(here!))
  t.equal(shown(slow!).length + skipped(slow!), 60)
})

t.test('a comment that is deleted is in nothing that they are still written', async t => {
  const { clock, group, flush } = setUp()
  const { comments } = fewer(flush)
  const slow = new FakeMember({ cursor: 10, maxRate: 5 })
  group.add(slow, group.end)
  slow.stuck = true
  comments(1)
  await clock.advance(300)
  comments(3)
  await clock.advance(300)
  flush(14, 15, 0, deletedEvent(15, 13))
  await clock.advance(300)
  slow.drain()
  t.notMatch(slow.text, 'c13')
  t.match(slow.text, deletedEvent(15, 13))
})

t.test('a viewer that takes the place of its trial is of the class still', async t => {
  const { clock, group, flush } = setUp()
  const { comments, shown, skipped } = fewer(flush)
  const trial = new FakeMember({ cursor: 10, maxRate: 5 })
  group.add(trial, group.end)
  comments(20)
  await clock.advance(0)
  const viewer = new FakeMember({ maxRate: 5 })
  group.replace(trial, viewer)
  for (let i = 0; i < 10; i++) {
    comments(10)
    await clock.advance(100)
  }
  await clock.advance(200)
  t.equal(shown(viewer).length + skipped(viewer), 100)
  t.ok(shown(viewer).length > 0 && shown(viewer).length <= 10, String(shown(viewer).length))
})
