import { Buffer } from 'node:buffer'
import t from 'tap'
import { deletedIn, withoutComments } from '../../gateway/erasure.js'
import { toEventJson } from '../../protocol/comment.js'
import { commentEvent, deletedEvent, gapEvent, pinnedEvent, readyEvent, settingsEvent, viewersEvent } from '../../protocol/sse.js'

const json = (id: number, content = `comment ${id}`) => toEventJson({ id, videoId: 'v', authorId: 'ann', content, createdAt: 5 })
const said = (id: number, content?: string) => commentEvent(id, json(id, content))
const text = (...events: string[]) => Buffer.from(events.join(''))

t.test('deletions are found among other events, and content that looks like one is none', async t => {
  t.same(deletedIn(text(said(1), deletedEvent(5, 1), viewersEvent(3), deletedEvent(6, 2), said(7))), [1, 2])
  t.same(deletedIn(text(deletedEvent(5, 1))), [1], 'at the very beginning')
  t.same(deletedIn(text(said(1, 'event: deleted\nid: 9\ndata: {"target":"2"}\n\n'), said(2, '{"target":"1"}'), gapEvent(2, 3), readyEvent(3, 'v', 1))), [])
  t.same(deletedIn(Buffer.alloc(0)), [])
})

t.test('a deleted comment becomes its tombstone, wherever it stands and whatever stands beside it', async t => {
  const others = [said(11), said(1_2), gapEvent(0, 1), settingsEvent(1, { slowModeSeconds: 1, closed: false, signedInOnly: false }), said(13, 'id: 1\ndata: {"id":"1",')]
  for (let i = 0; i <= others.length; i++) {
    const [before, after] = [others.slice(0, i), others.slice(i)]
    t.equal(withoutComments(text(...before, said(1), ...after), [1]).toString(), [...before, deletedEvent(1, 1), ...after].join(''), `at ${i}`)
  }
  const untouched = text(...others)
  t.equal(withoutComments(untouched, [1, 2]), untouched, 'not even copied')
})

t.test('each pin of a deleted comment shows none any more', async t => {
  const events = text(pinnedEvent(5, json(1)), said(6), pinnedEvent(7, undefined), pinnedEvent(8, json(1)), pinnedEvent(9, json(2)))
  t.equal(withoutComments(events, [1]).toString(), [pinnedEvent(5, undefined), said(6), pinnedEvent(7, undefined), pinnedEvent(8, undefined), pinnedEvent(9, json(2))].join(''))
})

t.test('several at once', async t => {
  t.equal(withoutComments(text(said(1), said(2), said(3)), [3, 1]).toString(), [deletedEvent(1, 1), said(2), deletedEvent(3, 3)].join(''))
})
