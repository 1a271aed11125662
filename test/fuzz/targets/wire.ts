import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { commentEvent, SseParser } from '../../../protocol/sse.js'
import { parseAnswers, parseBatch, parsePeerSync, parseReplay, parseSync, printAnswers, printComment, printHint, printPeerSync, printReplay, printSync, type WireComment } from '../../../protocol/wire.js'
import { bytes, cursor, id, videoId, wireComment } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

export const wireBatch = fc.tuple(fc.array(fc.record({ videoId, id }), { maxLength: 3 }), fc.array(wireComment, { maxLength: 5 })).map(([hints, comments]) => hints.map(printHint).join('') + comments.map(printComment).join(''))
export const wireSync = fc.array(fc.record({ videoId, last: fc.option(cursor, { nil: undefined }), want: fc.option(id, { nil: undefined }) }), { maxLength: 5 }).map(printSync)
const wirePeerSync = fc.record({ sync: wireSync, viewers: fc.array(fc.tuple(videoId, fc.nat()), { maxLength: 5 }) }).map(({ sync, viewers }) => sync + printPeerSync({ requests: [], viewers: new Map(viewers) }))
export const wireReplay = fc.record({ videoId, after: cursor, until: id, limit: fc.nat({ max: 2_000 }) }).map(printReplay)
const answers = fc
  .array(fc.tuple(fc.record({ videoId, head: cursor, others: fc.nat(), from: fc.constantFrom('store' as const, 'memory' as const), more: fc.boolean() }), fc.uniqueArray(wireComment, { maxLength: 3, selector: ({ id }) => id })), { maxLength: 3 })
  .map(list => printAnswers(list.map(([answer, comments]) => ({ ...answer, comments: comments.map(comment => ({ ...comment, videoId: answer.videoId })).sort((a, b) => a.id - b.id) }))))

export const WIRE_WORDS = ['C ', 'H ', 'S ', 'V ', 'P ', 'R ', ' - ', 'C v 0 1 {}\n', 'R v 0 0 store end\n', 'H v 1\n', '{"id":"1"}', ' store ', ' memory ', ' more', ' end', '\n']

/** What a message was read as, printed again. */
const PRINTED: readonly ((input: Buffer) => string)[] = [
  input => {
    const { comments, hints } = parseBatch(input)
    comments.forEach(mustBeHarmless)
    return hints.map(printHint).join('') + comments.map(printComment).join('')
  },
  input => printSync(parseSync(input)),
  input => printPeerSync(parsePeerSync(input)),
  input => printReplay(parseReplay(input)),
  input => {
    const answers = parseAnswers(input)
    for (const { comments } of answers) comments.forEach(mustBeHarmless)
    return printAnswers(answers)
  },
]

/** Batches, syncs, replays and answers. What is read is read the same once it is printed. */
export const wire: Target = {
  name: 'wire',
  what: 'batches, syncs, replay requests and their answers',
  cases: 4_000,
  inputs: hostile(fc.oneof(wireBatch, wireSync, wirePeerSync, wireReplay, answers).map(bytes), WIRE_WORDS),
  open: () => ({
    check(input) {
      for (const printed of PRINTED) {
        const once = readOrRefuse(() => printed(input), 'WireError')
        if (once !== undefined) must(printed(Buffer.from(once)) === once, 'read otherwise once it was printed')
      }
    },
  }),
}

/** A comment's JSON is copied into history as it is, and into a stream with its line breaks escaped. */
function mustBeHarmless({ id, json }: WireComment): void {
  const text = commentEvent(id, json)
  const events = new SseParser().push(Buffer.from(`${text}data: after\n\n`))
  must(events.length === 2 && events[0]!.id === String(id) && !/[\u0085\u2028\u2029]/.test(text), "a comment's JSON breaks its event")
  const read = readOrRefuse(() => JSON.parse(json) as unknown, 'SyntaxError')
  must(isDeepStrictEqual(JSON.parse(events[0]!.data), read), "a comment's event says something else")
  must(typeof read === 'object' && read !== null && !Array.isArray(read), "a comment's JSON is no object")
}
