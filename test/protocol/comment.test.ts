import fc from 'fast-check'
import t from 'tap'
import { ANONYMOUS, checkAuthoredBody, checkBody, checkKey, checkVideoId, toEventJson, toPublic, type Comment } from '../../protocol/comment.js'

const bad = (message: RegExp) => ({ code: 'BAD_COMMENT', status: 400, message })

t.test('a body is an object', async t => {
  for (const body of [null, undefined, 1, 'text', true, [], [{ content: 'x' }]]) t.throws(() => checkBody(body), bad(/the body must be a JSON object/), JSON.stringify(body))
})

t.test('each rule of content is named', async t => {
  t.throws(() => checkBody({}), bad(/content is missing/))
  for (const content of [null, 1, true, {}, ['x']]) t.throws(() => checkBody({ content }), bad(/content must be a string/))
  for (const content of ['', ' ', '\n\t ', '\u00a0\u3000', '\ufeff']) t.throws(() => checkBody({ content }), bad(/content must not be empty/), JSON.stringify(content))
  t.throws(() => checkBody({ content: 'x'.repeat(1_001) }), bad(/content must be at most 1000 characters/))
  for (const sign of ['\0', '\r', '\x07', '\x1b', '\x7f', '\x85', '\ud800', '\udc00']) t.throws(() => checkBody({ content: `a${sign}b` }), bad(/content must not hold control characters but newline and tab/), JSON.stringify(sign))
})

t.test('each rule of authorId is named', async t => {
  const content = 'x'
  for (const authorId of [null, 1, {}]) t.throws(() => checkBody({ content, authorId }), bad(/authorId must be a string/))
  for (const authorId of ['', '  ', 'x'.repeat(65)]) t.throws(() => checkBody({ content, authorId }), bad(/authorId must be 1 to 64 characters/))
  for (const authorId of ['a\nb', 'a\tb', 'a\0b', 'a\ud800b']) t.throws(() => checkBody({ content, authorId }), bad(/authorId must not hold control characters/))
})

t.test('where the author is known otherwise, a body that names one is refused', async t => {
  t.same(checkAuthoredBody({ content: ' hi ', more: 1 }), { content: 'hi' })
  for (const authorId of ['me', '', null, 1]) t.throws(() => checkAuthoredBody({ content: 'x', authorId }), bad(/authorId must not be given/))
  t.throws(() => checkAuthoredBody({}), bad(/content is missing/))
  t.throws(() => checkAuthoredBody([]), bad(/the body must be a JSON object/))
})

t.test('the limits themselves are allowed, in code points', async t => {
  t.equal(checkBody({ content: '🎉'.repeat(1_000) }).content.length, 2_000)
  t.equal(checkBody({ content: 'x', authorId: '🎉'.repeat(64) }).authorId.length, 128)
  t.equal(checkBody({ content: ` ${'x'.repeat(1_000)} \n` }).content.length, 1_000, 'counted after trimming')
  t.same(checkBody({ content: 'a\n\tb' }), { content: 'a\n\tb', authorId: ANONYMOUS })
  t.same(checkBody({ content: ' hi ', authorId: ' me ', more: 1 }), { content: 'hi', authorId: 'me' })
})

t.test('what is accepted obeys every rule, whatever was sent', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 1_100 }), text => {
      let content: string
      try {
        ;({ content } = checkBody({ content: text }))
      } catch {
        return
      }
      if (content === '' || content !== content.trim() || [...content].length > 1_000 || /[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(content)) throw new Error(JSON.stringify(content))
      if (Buffer.from(content).toString() !== content) throw new Error('not UTF-8')
    }),
  )
})

t.test('a video id is 1 to 64 of A-Z a-z 0-9 _ -', async t => {
  for (const id of ['a', 'A-z_09', 'x'.repeat(64)]) t.equal(checkVideoId(id), id)
  for (const id of ['', 'x'.repeat(65), 'a.b', 'a/b', 'a b', 'ä', 'a\n', '..']) t.throws(() => checkVideoId(id), { code: 'BAD_VIDEO_ID' }, JSON.stringify(id))
})

t.test('an idempotency key is 1 to 128 visible ASCII characters', async t => {
  for (const key of ['k', '!~', 'x'.repeat(128)]) t.equal(checkKey(key), key)
  for (const key of ['', 'x'.repeat(129), 'a b', 'a\tb', 'ä', 'a\n', '\x7f']) t.throws(() => checkKey(key), { code: 'BAD_IDEMPOTENCY_KEY' }, JSON.stringify(key))
})

t.test('a comment leaves with its id as a string, its JSON in one line', async t => {
  const comment: Comment = { id: 2 ** 53 - 1, videoId: 'v', authorId: 'a', content: 'one\ntwo', createdAt: 5 }
  t.same(toPublic(comment), { id: '9007199254740991', videoId: 'v', authorId: 'a', content: 'one\ntwo', createdAt: 5 })
  t.equal(toEventJson(comment), '{"id":"9007199254740991","authorId":"a","content":"one\\ntwo","createdAt":5}')
  const named: Comment = { ...comment, authorName: 'Ann' }
  t.same(toPublic(named), { id: '9007199254740991', videoId: 'v', authorId: 'a', authorName: 'Ann', content: 'one\ntwo', createdAt: 5 })
  t.match(toEventJson(named), '"authorId":"a","authorName":"Ann","content"')
})
