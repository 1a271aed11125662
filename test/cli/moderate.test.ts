import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import { decidedText, heldText, Moderator, refusalOf } from '../../cli/moderate.js'
import { Output, paint, Problem } from '../../cli/output.js'
import { actLine } from '../../cli/tail.js'
import { DEFAULT_SETTINGS } from '../../protocol/entry.js'
import { View } from '../../registry/view.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'

function setUp(t: Test, count = 1) {
  const view = new View()
  const dispatchers = Array.from({ length: count }, (_, i) => fakeDispatcher(t, `d${i + 1}`))
  for (const { node } of dispatchers) view.apply({ kind: 'dispatcher', id: node.id, node }, 0)
  const client = new InternalClient(undefined)
  t.after(() => client.close())
  return { dispatchers, moderator: new Moderator(view, client) }
}

const refused = (task: Promise<unknown>) => task.then(() => undefined, (error: unknown) => (error instanceof Problem ? error.code : error))

t.test('an act goes to a dispatcher in the operator\'s name', async t => {
  const { dispatchers, moderator } = setUp(t)
  t.same(await moderator.act('demo', { type: 'deleted', target: 20 }), { id: '1', videoId: 'demo' })
  t.match(dispatchers[0]!.acts, [{ passedOn: false, order: { videoId: 'demo', actorId: 'operator', asModerator: true, act: { type: 'deleted', target: 20 } } }])
})

t.test('a dispatcher that is away is passed over; a refusal is not', async t => {
  const { dispatchers, moderator } = setUp(t, 2)
  dispatchers[0]!.close()
  for (let i = 0; i < 4; i++) t.ok(await moderator.act(`video-${i}`, { type: 'pinned', target: undefined }))
  t.equal(dispatchers[1]!.acts.length, 4)
  dispatchers[1]!.answerAct = () => ({ error: { code: 'COMMENT_NOT_FOUND', message: 'no such comment' } })
  t.equal(await refused(moderator.act('demo', { type: 'deleted', target: 20 })), 'COMMENT_NOT_FOUND')
  t.equal(await refused(moderator.act('demo', { type: 'author-banned', authorId: 'x'.repeat(65), until: 0 })), 'BAD_ACT')
  dispatchers[1]!.close()
  t.equal(await refused(moderator.act('demo', { type: 'pinned', target: undefined })), 'DISPATCHER_AWAY')
  t.equal(await refused(setUp(t, 0).moderator.state('demo')), 'NO_DISPATCHER')
})

t.test('settings are changed one by one, and shown with what is pinned', async t => {
  const { dispatchers: [dispatcher], moderator } = setUp(t)
  dispatcher!.state = { settings: { ...DEFAULT_SETTINGS, closed: true }, pinned: { id: 20, videoId: 'demo', authorId: 'ann', content: 'hi', createdAt: 5 } }
  t.match(await moderator.state('demo'), { videoId: 'demo', settings: { closed: true }, pinned: { id: '20' } })
  await moderator.set('demo', { slowModeSeconds: 5 })
  t.same(dispatcher!.acts.map(({ order }) => order.act), [{ type: 'settings', settings: { slowModeSeconds: 5, closed: true, signedInOnly: false } }])
})

t.test('what is held is listed, and decided in the operator\'s name', async t => {
  const { dispatchers: [dispatcher], moderator } = setUp(t)
  const id = '0f1e2d3c4b5a69788796a5b4c3d2e1f0'
  t.equal(heldText(await moderator.held('demo'), false), 'Nothing is held in demo.\n')
  dispatcher!.held = [{ id, videoId: 'demo', authorId: 'ann', content: 'two\nlines', heldAt: 5 }]
  const list = await moderator.held('demo')
  t.match(list, { videoId: 'demo', held: [{ id, content: 'two\nlines' }] })
  t.match(heldText(list, false), new RegExp(`${id} +1970-01-01T00:00:00.005Z +ann +two lines`))
  t.equal(decidedText(await moderator.decide('demo', id, { kind: 'approve' })), `${id} is published in demo; the comment's id is 1.\n`)
  t.equal(decidedText(await moderator.decide('demo', id, refusalOf(' no '))), `${id} in demo is refused.\n`)
  t.match(dispatcher!.decisions, [{ actorId: 'operator', decision: { kind: 'approve' } }, { actorId: 'operator', decision: { kind: 'refuse', reason: 'no' } }])
  dispatcher!.answerDecision = () => ({ error: { code: 'ALREADY_DECIDED', message: 'before' } })
  t.equal(await refused(moderator.decide('demo', id, { kind: 'approve' })), 'ALREADY_DECIDED')
  t.throws(() => refusalOf('a\nb'), { code: 'BAD_ACT', message: /one line/ })
})

t.test('an erasure goes on until nothing is left', async t => {
  const { dispatchers: [dispatcher], moderator } = setUp(t)
  dispatcher!.erase = after => (after === undefined ? { erased: 3, after: 'demo 20' } : { erased: 2, after: null })
  t.same(await moderator.erase('ann'), { authorId: 'ann', erased: 5 })
})

t.test('nothing is erased without a yes, or the author\'s id typed again at a terminal', async t => {
  const asked = async (typed: string, isTTY = true) => {
    const stdin = Object.assign(new PassThrough(), { isTTY })
    stdin.end(`${typed}\n`)
    const stderr = new PassThrough()
    const said = new Output({ env: {}, folder: '/', stdin, stdout: new PassThrough(), stderr, signals: process })
    return said.confirms('sure? ', 'ann')
  }
  t.same([await asked('ann'), await asked('bob'), await asked(''), await asked('ann', false)], [true, false, false, false])
})

t.test('tail says what moderators do in a line each, which other people\'s text cannot end', async t => {
  const line = (act: Parameters<typeof actLine>[0]) => actLine(act, paint(false)).trim()
  t.equal(line({ act: 'deleted', id: '21', target: '20' }), 'deleted: 20')
  t.equal(line({ act: 'pinned', id: '21', comment: { id: '20\n\x1b[2J' } }), 'pinned: 20 \ufffd[2J')
  t.equal(line({ act: 'pinned', id: '21', comment: null }), 'nothing is pinned any more')
  t.equal(line({ act: 'settings', id: '21', slowModeSeconds: 5, closed: false, signedInOnly: true }), 'open, slow mode of 5 s, signed-in authors only')
  t.equal(line({ act: 'settings', id: '21', slowModeSeconds: 0, closed: true, signedInOnly: false }), 'closed, no slow mode, any author')
})
