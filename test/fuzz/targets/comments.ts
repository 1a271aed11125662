import fc from 'fast-check'
import { checkBody, toEventJson, toPublic, MAX_AUTHOR, MAX_CONTENT } from '../../../protocol/comment.js'
import { commentEvent, SseParser } from '../../../protocol/sse.js'
import { parseBatch, printComment } from '../../../protocol/wire.js'
import { text } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

const long = fc.tuple(text, fc.integer({ min: 1, max: 600 })).map(([piece, times]) => piece.repeat(times))
const body = fc.record({ content: fc.oneof({ weight: 5, arbitrary: text }, { weight: 1, arbitrary: long }, { weight: 1, arbitrary: fc.anything() }), authorId: fc.oneof(text, long, fc.anything()) }, { requiredKeys: ['content'] })

/** A body that is taken must come out of every wire as it went in: it cannot break a line, an event or a frame. */
export const comments: Target = {
  name: 'comments',
  what: "a post's body, and the comment on every wire after it",
  cases: 3_000,
  inputs: hostile(body.map(value => Buffer.from(JSON.stringify(value))), ['"content":', '"authorId":', '"__proto__":', '{"content":"x"}', 'null', 'true', '\\ud83d', '\\ude00', '\\r\\n', '\\u2028']),
  open: () => ({
    check(input) {
      const read = readOrRefuse(() => checkBody(JSON.parse(input.toString())), 'SyntaxError', 'LiveError')
      if (!read) return
      const { content, authorId } = read
      must(content === content.trim() && content !== '' && [...content].length <= MAX_CONTENT, 'content outside its rules')
      must(authorId !== '' && [...authorId].length <= MAX_AUTHOR && !/[\r\n\0]/.test(authorId), 'author outside its rules')
      must(!/[^\P{Cc}\n\t]/u.test(content), 'a control character')
      const comment = { id: 7, videoId: 'v', authorId, content, createdAt: 1 }
      const json = toEventJson(comment)
      const [event, ...more] = new SseParser().push(Buffer.from(commentEvent(7, json) + 'data: after\n\n'))
      must(event?.data === json && event.id === '7' && more.length === 1, 'another event than was sent')
      const { comments } = parseBatch(Buffer.from(printComment({ videoId: 'v', prev: 0, id: 7, json })))
      must(comments.length === 1 && comments[0]!.json === json, 'another comment than was sent')
      must(JSON.stringify({ ...(JSON.parse(json) as object), videoId: 'v' }).length === JSON.stringify(toPublic(comment)).length, 'the stream and the API say different things')
      const again = checkBody(JSON.parse(json))
      must(again.content === content && again.authorId === authorId, 'not taken as it was printed')
    },
  }),
}
