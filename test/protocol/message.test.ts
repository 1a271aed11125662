import t from 'tap'
import { LiveError } from '../../protocol/errors.js'
import { CLOSE_CODES, closeText, errorMessage, heldMessage, MessageError, messagesOf, parsePostMessage, postedMessage, protocolsOf, type CloseReason } from '../../protocol/message.js'
import { commentEvent, viewersEvent } from '../../protocol/sse.js'

t.test('events of any name are copied, with their ids where they have one', async t => {
  const json = JSON.stringify({ id: '7', content: 'a\u2028b\u0085c\n\nevent: x\ndata: y' })
  const events = `${commentEvent(7, json)}event: deleted\nid: 9\ndata: {"target":"7"}\n\nevent: odd\ndata: {}\n\n${viewersEvent(3)}`
  t.same(JSON.parse(messagesOf(events)), [
    { event: 'message', id: '7', data: JSON.parse(json) as unknown },
    { event: 'deleted', id: '9', data: { target: '7' } },
    { event: 'odd', data: {} },
    { event: 'viewers', data: { viewers: 3 } },
  ])
  t.equal(messagesOf(''), '[]')
})

t.test('a post is read with its key, its ref and the body that it would have over HTTP', async t => {
  const { ref, key, body } = parsePostMessage('{"ref":"a","post":{"content":" x ","authorId":"ann","key":"k"}}')
  t.same([ref, key, body.toString()], ['a', 'k', '{"content":" x ","authorId":"ann"}'])
  t.same(parsePostMessage('{"post":{"content":7}}'), { ref: undefined, key: undefined, body: Buffer.from('{"content":7}') }, 'what a body holds is for others to judge')
})

t.test('a post by a connection of several videos names one of them', async t => {
  const { videoId, body } = parsePostMessage('{"post":{"videoId":"b","content":"x"}}', ['a', 'b'])
  t.same([videoId, body.toString()], ['b', '{"content":"x"}'])
  for (const post of ['{"content":"x"}', '{"videoId":"c","content":"x"}', '{"videoId":["a"],"content":"x"}']) t.throws(() => parsePostMessage(`{"post":${post}}`, ['a', 'b']), /^post\.videoId must be one of the videos/)
  t.throws(() => parsePostMessage('{"post":{"videoId":"b","content":"x","autorId":"y"}}', ['a', 'b']), /^post has content, authorId, videoId and key, and nothing else$/)
})

t.test('what cannot be used is refused, by its ref where that can be read, and quoted nowhere', async t => {
  const cases = [
    ['{', undefined, /must be JSON/],
    ['', undefined, /must be JSON/],
    ['[]', undefined, /JSON object/],
    ['7', undefined, /JSON object/],
    ['null', undefined, /JSON object/],
    ['{"ref":1}', 1, /must have a post/],
    ['{"ref":{},"post":{"content":"secret"}}', undefined, /ref must be/],
    [`{"ref":"${'x'.repeat(65)}","post":{}}`, undefined, /ref must be/],
    ['{"ref":1,"post":{"content":"secret"},"delete":7}', 1, /nothing else/],
    ['{"ref":1,"post":{"content":"secret","autorId":"x"}}', 1, /nothing else/],
    ['{"ref":1,"post":{"content":"secret","videoId":"v"}}', 1, /nothing else/],
    ['{"ref":1,"post":"secret"}', 1, /post must be a JSON object/],
    ['{"ref":1,"post":{"content":"secret","key":7}}', 1, /key must be a string/],
  ] as const
  for (const [text, ref, says] of cases) {
    try {
      parsePostMessage(text)
      t.fail(text)
    } catch (error) {
      t.ok(error instanceof MessageError, text)
      t.match(error, { ref, cause: { status: 400, message: says } }, text)
      t.notMatch((error as MessageError).message, /secret/)
    }
  }
})

t.test('an answer repeats the ref, and an error says how long to wait', async t => {
  t.equal(postedMessage('"', '{"id":"1"}'), '[{"ref":"\\"","posted":{"id":"1"}}]')
  t.equal(postedMessage(undefined, '{}'), '[{"posted":{}}]')
  t.same([heldMessage(1, '{}'), heldMessage(undefined, '{}')], ['[{"ref":1,"held":{}}]', '[{"held":{}}]'])
  t.same(JSON.parse(errorMessage(0, new LiveError('RATE_LIMITED', 'later', { headers: { 'retry-after': '3' } }))), [{ ref: 0, error: { code: 'RATE_LIMITED', message: 'later', retryAfter: 3 } }])
  t.same(JSON.parse(errorMessage(undefined, new LiveError('OUTCOME_UNKNOWN', 'x', { details: { idempotencyKey: 'k' } }))), [{ error: { code: 'OUTCOME_UNKNOWN', message: 'x', idempotencyKey: 'k' } }])
})

t.test('the text of a close is short enough for one', async t => {
  for (const reason of Object.keys(CLOSE_CODES) as CloseReason[]) t.ok(Buffer.byteLength(closeText(reason, 123_456_789)) <= 123, reason)
})

t.test('a token is offered beside our subprotocol', async t => {
  t.same(protocolsOf(''), { ours: false, token: undefined })
  t.same(protocolsOf('live-comments'), { ours: true, token: undefined })
  t.same(protocolsOf('chat,  live-comments , bearer.a.b.c'), { ours: true, token: 'a.b.c' })
})
