import t from 'tap'
import { Entries, isComment, type Without } from '../../edge/entries.js'
import { toEventJson, type Comment } from '../../protocol/comment.js'
import { DEFAULT_SETTINGS, toActJson, toTombstoneJson, type Act } from '../../protocol/entry.js'
import { commentEvent, deletedEvent, HEARTBEAT, pinnedEvent, settingsEvent } from '../../protocol/sse.js'
import type { WireComment } from '../../protocol/wire.js'

const comment = (id: number): Comment => ({ id, videoId: 'v', authorId: 'ann', content: `comment ${id}`, createdAt: 5 })
const said = (id: number): WireComment => ({ videoId: 'v', prev: id - 1, id, json: toEventJson(comment(id)) })
const done = (id: number, act: Act, pinned?: Comment): WireComment => ({ videoId: 'v', prev: id - 1, id, json: toActJson(id, act, pinned) })

/** Entries of a room, and what they have had erased. */
function setUp() {
  const erased: { target: number; without: Without }[] = []
  return { entries: new Entries('v', (target, without) => void erased.push({ target, without })), erased }
}

t.test('a comment is an event without a name, an act a named one, and what is not for viewers a line that means nothing', async t => {
  const { entries } = setUp()
  const settings = { slowModeSeconds: 10, closed: false, signedInOnly: true }
  const unknown = (id: number, json: string): WireComment => ({ videoId: 'v', prev: id - 1, id, json })
  const cases: [WireComment, string][] = [
    [said(1), commentEvent(1, toEventJson(comment(1)))],
    [done(2, { type: 'deleted', target: 1 }), deletedEvent(2, 1)],
    [done(3, { type: 'pinned', target: 9 }, comment(9)), pinnedEvent(3, toEventJson(comment(9)))],
    [done(4, { type: 'pinned', target: undefined }), pinnedEvent(4, undefined)],
    [done(5, { type: 'settings', settings }), settingsEvent(5, settings)],
    [done(6, { type: 'author-banned', authorId: 'bob', until: 7 }), HEARTBEAT],
    [unknown(7, '{"id":"7","type":"of-tomorrow","text":"x"}'), HEARTBEAT],
    [unknown(8, toTombstoneJson(8, 5)), deletedEvent(8, 8)],
  ]
  for (const [entry, text] of cases) {
    const event = entries.take(entry)
    t.same(event, { id: entry.id, text, bytes: Buffer.byteLength(text) })
    t.same(entries.replay([entry]), [event])
    t.equal(isComment(event), entry.id === 1)
  }
})

t.test('a deleted comment is erased, its event and a pin of it alike, and no other', async t => {
  const { entries, erased } = setUp()
  const events = [said(1), said(2), done(3, { type: 'pinned', target: 1 }, comment(1)), done(4, { type: 'pinned', target: 2 }, comment(2))].map(entry => entries.take(entry))
  t.same(erased, [])
  entries.take(done(5, { type: 'deleted', target: 1 }))
  t.equal(erased.length, 1)
  const [{ target, without }] = erased as [(typeof erased)[number]]
  t.equal(target, 1)
  t.same(events.map(event => without(event)?.text), [deletedEvent(1, 1), undefined, pinnedEvent(3, undefined), undefined])
  t.notMatch(events.map(event => without(event) ?? event).map(({ text }) => text).join(''), 'comment 1')
})

t.test('what comes after its deletion is a tombstone: from history, by a late push, and as a pin', async t => {
  const { entries } = setUp()
  entries.take(done(5, { type: 'deleted', target: 1 }))
  t.equal(entries.take(said(1)).text, deletedEvent(1, 1))
  t.same(entries.replay([said(1), said(2), done(3, { type: 'pinned', target: 1 }, comment(1))]).map(({ text }) => text), [deletedEvent(1, 1), commentEvent(2, said(2).json), pinnedEvent(3, undefined)])
  const fresh = setUp().entries
  t.same(fresh.replay([said(1), done(2, { type: 'deleted', target: 1 })]).map(({ text }) => text), [deletedEvent(1, 1), deletedEvent(2, 1)], 'the act is in the same answer')
})

t.test('as many deleted comments are remembered as a replay has, and the newest of them', async t => {
  const { entries } = setUp()
  for (let i = 1; i <= 1_001; i++) entries.take(done(10_000 + i, { type: 'deleted', target: i }))
  t.match(entries.replay([said(1)])[0]!.text, 'comment 1')
  t.notMatch(entries.replay([said(2)])[0]!.text, 'comment 2')
})

t.test('the state is what a dispatcher says and the acts since, and never shows a deleted comment', async t => {
  const { entries } = setUp()
  t.equal(entries.state, undefined)
  const settings = { ...DEFAULT_SETTINGS, closed: true }
  entries.take(done(2, { type: 'settings', settings }))
  t.same(entries.state, { settings, pinned: undefined })
  entries.take(done(3, { type: 'pinned', target: 1 }, comment(1)))
  t.same(entries.state, { settings, pinned: comment(1) })
  entries.replay([done(1, { type: 'settings', settings: DEFAULT_SETTINGS })])
  t.same(entries.state, { settings, pinned: comment(1) }, 'history does not set it back')
  entries.take(done(4, { type: 'deleted', target: 1 }))
  t.same(entries.state, { settings, pinned: undefined })
  entries.told({ settings: DEFAULT_SETTINGS, pinned: comment(1) })
  t.same(entries.state, { settings: DEFAULT_SETTINGS, pinned: undefined })
  entries.told({ settings, pinned: comment(9) })
  t.same(entries.state, { settings, pinned: comment(9) })
})
