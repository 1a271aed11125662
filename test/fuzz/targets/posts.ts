import fc from 'fast-check'
import { parseActRequest, parseActResult, printActRequest, printActResult } from '../../../protocol/acts.js'
import { parsePosts, parseResults, printPosts, printResults } from '../../../protocol/posts.js'
import { bytes, draft, id, text, videoId } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

export const postBatch = fc.record({ passedOn: fc.boolean(), posts: fc.array(draft, { maxLength: 4 }) }).map(printPosts)
const results = fc.array(
  fc.oneof(
    fc.record({ comment: fc.record({ id, videoId, authorId: text, content: text, createdAt: fc.nat() }), created: fc.boolean() }),
    fc.record({ error: fc.record({ code: fc.constantFrom('KEY_REUSED' as const, 'OVERLOADED' as const), message: text }) }),
  ),
  { maxLength: 4 },
)

const actRequest = fc
  .record({ videoId, key: text, actorId: text, target: id })
  .map(({ target, ...order }) => printActRequest({ passedOn: false, order: { ...order, asModerator: true, act: { type: 'deleted', target } }, leftMs: 5 }))

export const POST_WORDS = ['{"passedOn":false,"posts":[]}', '"posts":', '"videoId":', '"key":', '"content":""', '"__proto__":', '"error":', '"code":"INTERNAL"', '"act":', '"type":"settings"', '"type":"pinned"', '"target":null', '"until":', '"entryId":7,"created":true', '"id":', 'null', '[[[[[[[[', '1e999', '-0']

export const posts: Target = {
  name: 'posts',
  what: 'internal posts and acts, and their results',
  cases: 3_000,
  inputs: hostile(fc.oneof(postBatch, results.map(printResults), actRequest).map(bytes), POST_WORDS),
  open: () => ({
    check(input) {
      const batch = readOrRefuse(() => printPosts(parsePosts(input)), 'LiveError')
      if (batch !== undefined) must(printPosts(parsePosts(Buffer.from(batch))) === batch, 'posts are read otherwise once they were printed')
      const act = readOrRefuse(() => printActRequest(parseActRequest(input)), 'LiveError')
      if (act !== undefined) must(printActRequest(parseActRequest(Buffer.from(act))) === act, 'an act is read otherwise once it was printed')
      const acted = readOrRefuse(() => printActResult(parseActResult(input)), 'LiveError')
      if (acted !== undefined) must(printActResult(parseActResult(Buffer.from(acted))) === acted, 'a result of an act is read otherwise once it was printed')
      const answers = readOrRefuse(() => printResults(parseResults(input)), 'LiveError')
      if (answers !== undefined) must(printResults(parseResults(Buffer.from(answers))) === answers, 'results are read otherwise once they were printed')
    },
  }),
}
