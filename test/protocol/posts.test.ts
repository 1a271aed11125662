import fc from 'fast-check'
import t from 'tap'
import { asRead, parsePosts, parseResults, printPosts, printResults, READS_OUTCOME_UNKNOWN, type PostBatch, type PostResult } from '../../protocol/posts.js'

const text = fc.string({ unit: 'grapheme' })
const draft = fc.record({ videoId: text, authorId: text, authorName: text, content: text, key: text, leftMs: fc.nat(), exempt: fc.boolean(), signedIn: fc.boolean() }, { requiredKeys: ['videoId', 'authorId', 'content', 'key'] })
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

t.test('posts are read as they were printed', async () => {
  const batch: fc.Arbitrary<PostBatch> = fc.record({ passedOn: fc.boolean(), entries: fc.boolean(), posts: fc.array(draft) }, { requiredKeys: ['passedOn', 'posts'] })
  fc.assert(fc.property(batch, posts => same(parsePosts(Buffer.from(printPosts(posts))), posts)))
})

t.test('results are read as they were printed', async () => {
  const comment = fc.record({ id: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), videoId: text, authorId: text, authorName: fc.option(text, { nil: undefined }), content: text, createdAt: fc.nat() })
  const result: fc.Arbitrary<PostResult> = fc.oneof(
    fc.record({ comment, created: fc.boolean() }),
    fc.constant({ held: true as const }),
    fc.record({ error: fc.record({ code: fc.constantFrom('KEY_REUSED' as const, 'OVERLOADED' as const), message: text, retryAfterSeconds: fc.nat() }, { requiredKeys: ['code', 'message'] }) }),
  )
  fc.assert(fc.property(fc.array(result), results => same(parseResults(Buffer.from(printResults(results))), results)))
})

t.test('what is not of this shape is refused', async t => {
  const bad = { code: 'BAD_REQUEST', status: 400 }
  for (const text of ['', '{', 'null', '[]', '{"posts":[]}', '{"passedOn":1,"posts":[]}', '{"passedOn":true,"posts":[{"videoId":"v"}]}']) t.throws(() => parsePosts(Buffer.from(text)), bad, text)
  const comment = '"comment":{"id":0,"videoId":"v","authorId":"a","content":"c","createdAt":1}'
  for (const text of ['{}', '[{}]', `[{${comment},"created":true}]`, '[{"error":{"code":"NO_SUCH_CODE","message":""}}]', '[{"error":{"code":"OVERLOADED"}}]']) t.throws(() => parseResults(Buffer.from(text)), bad, text)
})

t.test('who does not read OUTCOME_UNKNOWN gets what it reads in its place', async t => {
  const results: PostResult[] = [{ error: { code: 'OUTCOME_UNKNOWN', message: 'm' } }, { error: { code: 'KEY_REUSED', message: 'n' } }]
  t.same(asRead(results, READS_OUTCOME_UNKNOWN), results)
  t.same(asRead(results, ''), [{ error: { code: 'STORE_UNAVAILABLE', message: 'm' } }, results[1]])
  t.same(asRead(results, `entries, ${READS_OUTCOME_UNKNOWN}`), results)
})

t.test('who does not read the codes of a video\'s state and of reviews gets what it reads in their place', async t => {
  const results: PostResult[] = [
    { error: { code: 'BANNED', message: 'a' } },
    { error: { code: 'SLOW_MODE', message: 'b', retryAfterSeconds: 7 } },
    { error: { code: 'SIGN_IN_REQUIRED', message: 'c' } },
    { error: { code: 'OUTCOME_UNKNOWN', message: 'd' } },
    { error: { code: 'REVIEW_REFUSED', message: 'e' } },
    { error: { code: 'REVIEW_UNAVAILABLE', message: 'f' } },
    { error: { code: 'UPGRADE_UNFINISHED', message: 'g' } },
    { held: true },
  ]
  t.same(asRead(results, READS_OUTCOME_UNKNOWN, true), results)
  const former = asRead(results, READS_OUTCOME_UNKNOWN)
  t.same(former.map(result => 'error' in result && result.error.code), ['FORBIDDEN', 'RATE_LIMITED', 'UNAUTHORIZED', 'OUTCOME_UNKNOWN', 'FORBIDDEN', 'UNAVAILABLE', 'UNAVAILABLE', 'FORBIDDEN'])
  t.match(former.at(-1), { error: { message: /held for review/ } })
  t.same(parseResults(Buffer.from(printResults(results))), results)
})
