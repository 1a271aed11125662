import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { checkBody, toEventJson, toPublic, MAX_AUTHOR, MAX_CONTENT } from '../../../protocol/comment.js'
import { commentEvent, SseParser } from '../../../protocol/sse.js'
import { parseBatch, printComment } from '../../../protocol/wire.js'
import { odd, text } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

const long = fc.tuple(fc.oneof(text, odd), fc.integer({ min: 1, max: 600 }), text).map(([piece, times, end]) => piece.repeat(times) + end)
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
      for (const each of [content, authorId]) mustBeReadable(each)
      const comment = { id: 7, videoId: 'v', authorId, content, createdAt: 1 }
      const json = toEventJson(comment)
      const [event, ...more] = new SseParser().push(Buffer.from(commentEvent(7, json) + 'data: after\n\n'))
      must(event?.id === '7' && isDeepStrictEqual(JSON.parse(event.data), JSON.parse(json)) && more.length === 1, 'another event than was sent')
      const { comments } = parseBatch(Buffer.from(printComment({ videoId: 'v', prev: 0, id: 7, json })))
      must(comments.length === 1 && comments[0]!.json === json, 'another comment than was sent')
      must(JSON.stringify({ ...(JSON.parse(json) as object), videoId: 'v' }).length === JSON.stringify(toPublic(comment)).length, 'the stream and the API say different things')
      const again = checkBody(JSON.parse(json))
      must(again.content === content && again.authorId === authorId, 'not taken as it was printed')
    },
  }),
}

/** Another way to the rules, character by character. */
function mustBeReadable(text: string): void {
  must([...text].some(isSeen), 'nothing to see')
  const lines = text.split(/[\n\u2028\u2029]/)
  const isBlank = (line: string | undefined) => line !== undefined && ![...line].some(isSeen)
  for (let i = 1; i < lines.length - 2; i++) must(!(isBlank(lines[i]) && isBlank(lines[i + 1])), 'three line breaks in a row')
  let [marks, foreign] = [0, 0]
  for (const sign of text) {
    if (/\p{Default_Ignorable_Code_Point}/u.test(sign)) continue
    const isMark = /[\p{Mn}\p{Me}]/u.test(sign)
    marks = isMark ? marks + 1 : 0
    foreign = isMark && /\p{Script=Inherited}/u.test(sign) ? foreign + 1 : 0
    must(marks <= 8 && foreign <= 4, 'a tower of marks')
  }
  for (const line of lines) {
    const open: string[] = []
    for (const sign of line) {
      must(sign !== '\u202d' && sign !== '\u202e', 'an override')
      if ('\u202a\u202b'.includes(sign)) open.push('\u202c')
      else if ('\u2066\u2067\u2068'.includes(sign)) open.push('\u2069')
      else if ('\u202c\u2069'.includes(sign)) must(open.pop() === sign, 'an end that closes nothing')
    }
    must(open.length === 0, 'a direction that is left open')
  }
}

/** Letters, digits, signs and pictures, but for those that fonts leave blank. */
function isSeen(sign: string): boolean {
  if (/\p{Default_Ignorable_Code_Point}/u.test(sign) || [0x2800, 0xfffc, 0x1d159, 0x13441, 0x13442].includes(sign.codePointAt(0)!)) return false
  return /\p{Extended_Pictographic}/u.test(sign) || !/[\p{C}\p{Z}\p{M}]/u.test(sign)
}
