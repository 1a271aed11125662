import fc from 'fast-check'
import t from 'tap'
import { parseActRequest, printActRequest } from '../../protocol/acts.js'
import { toEventJson, type Comment } from '../../protocol/comment.js'
import { checkAct, checkOrder, DEFAULT_SETTINGS, DEFAULT_STATE, erased, parseState, printState, readEntry, stateAfter, toActJson, toTombstoneJson, type Act, type ActOrder } from '../../protocol/entry.js'
import { parseAnswers, printAnswers } from '../../protocol/wire.js'

const comment: Comment = { id: 5, videoId: 'v', authorId: 'ann', authorName: 'Ann', content: 'hello', createdAt: 9 }
const json = toEventJson(comment)

t.test('every act is read as it was printed, in a line and in a request', async t => {
  const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
  const settings = fc.record({ slowModeSeconds: fc.integer({ min: 0, max: 3_600 }), closed: fc.boolean(), signedInOnly: fc.boolean() })
  const act: fc.Arbitrary<Act> = fc.oneof(
    fc.record({ type: fc.constant('deleted' as const), target: id }),
    fc.record({ type: fc.constant('pinned' as const), target: fc.option(id, { nil: undefined }) }),
    fc.record({ type: fc.constant('settings' as const), settings }),
    fc.record({ type: fc.constant('author-banned' as const), authorId: fc.constantFrom('eve', 'Zoë'), until: fc.nat() }),
  )
  fc.assert(
    fc.property(act, id, (act, id) => {
      t.same(readEntry('v', toActJson(id, act)), { kind: 'act', act, pinned: undefined })
      const order: ActOrder = { videoId: 'v', key: 'k', actorId: 'mod', asModerator: true, act }
      t.same(parseActRequest(Buffer.from(printActRequest({ passedOn: false, order, leftMs: 5 }))), { passedOn: false, order, leftMs: 5 })
    }),
  )
  t.same(readEntry('v', toActJson(7, { type: 'pinned', target: 5 }, comment)), { kind: 'act', act: { type: 'pinned', target: 5 }, pinned: comment })
})

t.test('a comment, a tombstone and what a later version may send are told apart', async t => {
  t.same(readEntry('v', json), { kind: 'comment' })
  t.same(readEntry('v', '{"content":"x","id":"5","authorId":"a","createdAt":1}'), { kind: 'comment' }, 'in any order of fields')
  t.same(readEntry('v', toTombstoneJson(5, 9)), { kind: 'tombstone' })
  for (const later of ['{"id":"5","type":"poll","options":[]}', '{"id":"5"}', '{"id":"5","type":"settings","settings":{}}']) t.same(readEntry('v', later), { kind: 'unknown' }, later)
})

t.test('an act that breaks a rule is refused by field and rule', async t => {
  for (const [act, message] of [
    [null, 'the act must be a JSON object'],
    [{}, 'type must be deleted, pinned, settings or author-banned'],
    [{ type: 'deleted' }, 'target must be the id of a comment, in decimal'],
    [{ type: 'deleted', target: '0' }, 'target must be the id of a comment, in decimal'],
    [{ type: 'deleted', target: '99999999999999999' }, 'target must be the id of a comment, in decimal'],
    [{ type: 'settings', settings: { ...DEFAULT_SETTINGS, slowModeSeconds: 31_536_000 } }, 'settings.slowModeSeconds must be a whole number from 0 to 3600'],
    [{ type: 'settings', settings: { ...DEFAULT_SETTINGS, slowModeSeconds: 1.5 } }, 'settings.slowModeSeconds must be a whole number from 0 to 3600'],
    [{ type: 'settings', settings: { ...DEFAULT_SETTINGS, closed: 'yes' } }, 'settings.closed must be true or false'],
    [{ type: 'settings' }, 'settings must be an object'],
    [{ type: 'author-banned', authorId: 'eve', until: -1 }, 'until must be a time in Unix milliseconds, or 0'],
    [{ type: 'author-banned', authorId: ' ', until: 1 }, 'authorId must be 1 to 64 characters'],
  ] as const) t.throws(() => checkAct(act), { code: 'BAD_ACT', status: 400, message }, message)
  const order: ActOrder = { videoId: 'v', key: 'k', actorId: 'mod', asModerator: true, act: { type: 'author-banned', authorId: 'mod', until: 1 } }
  t.throws(() => checkOrder(order), { code: 'BAD_ACT', message: /own/ }, 'a ban of oneself')
  t.throws(() => checkOrder({ ...order, act: { type: 'author-banned', authorId: 'anonymous', until: 1 } }), { code: 'BAD_ACT' })
  t.throws(() => checkOrder({ ...order, actorId: '' }), { code: 'BAD_ACT', message: /actorId/ })
  t.throws(() => checkOrder({ ...order, key: '' }), { code: 'BAD_IDEMPOTENCY_KEY' })
})

t.test('a deleted comment leaves nothing behind, as itself or in a pin', async t => {
  t.equal(erased('v', 5, json, 5), toTombstoneJson(5, 9))
  t.equal(erased('v', 6, json.replace('"5"', '"6"'), 5), undefined)
  const pin = toActJson(7, { type: 'pinned', target: 5 }, comment)
  t.equal(erased('v', 7, pin, 5), '{"id":"7","type":"pinned","target":"5","comment":null}')
  t.equal(erased('v', 7, pin, 4), undefined)
  t.equal(erased('v', 5, toTombstoneJson(5, 9), 5), undefined, 'once')
})

t.test('the state follows the acts, and travels in answers', async t => {
  const settings = { slowModeSeconds: 5, closed: true, signedInOnly: false }
  const acts: [Act, Comment?][] = [[{ type: 'settings', settings }], [{ type: 'author-banned', authorId: 'eve', until: 5 }], [{ type: 'pinned', target: 5 }, comment], [{ type: 'deleted', target: 4 }]]
  const state = acts.reduce((state, [act, pinned]) => stateAfter(state, act, pinned), DEFAULT_STATE)
  t.same(state, { settings, pinned: comment })
  t.same(stateAfter(state, { type: 'deleted', target: 5 }, undefined).pinned, undefined)
  t.equal(printState(DEFAULT_STATE), '{}')
  for (const each of [state, DEFAULT_STATE]) t.same(parseState('v', printState(each)), each)
  for (const bad of ['', '[]', '{"settings":1}', '{"pinned":{}}']) t.equal(parseState('v', bad), undefined, bad)
  const answers = [{ videoId: 'v', head: 5, others: 0, from: 'store' as const, more: false, state, comments: [{ videoId: 'v', prev: 0, id: 5, json }] }]
  t.same(parseAnswers(Buffer.from(printAnswers(answers))), answers)
  for (const text of ['T v {}\n', 'R v 5 0 store end\nT w {}\n', 'R v 5 0 store end\nT v {}\nT v {}\n', `R v 5 0 store end\nC v 0 5 ${json}\nT v {}\n`, 'R v 5 0 store end\nT v x\n']) {
    t.throws(() => parseAnswers(Buffer.from(text)), { name: 'WireError' }, text)
  }
})
