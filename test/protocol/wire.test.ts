import fc from 'fast-check'
import t from 'tap'
import { toEventJson } from '../../protocol/comment.js'
import {
  parseAnswers, parseBatch, parsePeerSync, parseReplay, parseSync, printAnswers, printComment, printHint, printPeerSync, printReplay, printSync, WireError,
  type RoomAnswer, type WireComment,
} from '../../protocol/wire.js'

const videoId = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
const cursor = fc.maxSafeNat()
const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const text = fc.string({ unit: 'grapheme', minLength: 1 })
const commentOf = (video: fc.Arbitrary<string>): fc.Arbitrary<WireComment> =>
  fc.tuple(video, cursor, id, text, text).map(([videoId, before, id, authorId, content]) => ({ videoId, prev: Math.min(before, id - 1), id, json: toEventJson({ id, videoId, authorId, content, createdAt: 1 }) }))
const bytes = (text: string) => Buffer.from(text)
/** Equal but for prototypes. */
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

t.test('a batch is read as it was printed', async () => {
  fc.assert(
    fc.property(fc.array(commentOf(videoId)), fc.array(fc.record({ videoId, id })), (comments, hints) =>
      same(parseBatch(bytes(hints.map(printHint).join('') + comments.map(printComment).join(''))), { comments, hints }),
    ),
  )
})

t.test('a sync is read as it was printed', async t => {
  const optional = fc.option(cursor, { nil: undefined })
  fc.assert(fc.property(fc.array(fc.record({ videoId, last: optional, want: optional })), requests => same(parseSync(bytes(printSync(requests))), requests)))
  t.same(parseSync(bytes(printSync([{ videoId: 'v', last: undefined, want: 0 }]))), [{ videoId: 'v', last: undefined, want: 0 }])
  const sync = { requests: [{ videoId: 'v', last: 5, want: undefined }, { videoId: 'w', last: undefined, want: undefined }], viewers: new Map([['w', 3]]) }
  t.equal(printPeerSync(sync), 'S v 5 -\nS w - -\nV w 3\n')
  t.same(parsePeerSync(bytes(printPeerSync(sync))), sync)
})

t.test('a replay is read as it was printed', async () => {
  fc.assert(fc.property(fc.record({ videoId, after: cursor, until: id, limit: fc.nat() }), request => same(parseReplay(bytes(printReplay(request))), request)))
})

t.test('answers are read as they were printed, each comment in its own answer', async () => {
  const answer: fc.Arbitrary<RoomAnswer> = videoId.chain(video =>
    fc.record({
      videoId: fc.constant(video), head: cursor, others: fc.nat(), from: fc.constantFrom('store' as const, 'memory' as const), more: fc.boolean(),
      comments: fc.uniqueArray(commentOf(fc.constant(video)), { maxLength: 4, selector: ({ id }) => id }).map(comments => comments.sort((a, b) => a.id - b.id)),
    }),
  )
  fc.assert(fc.property(fc.array(answer), answers => same(parseAnswers(bytes(printAnswers(answers))), answers)))
})

t.test('a line that is none of ours refuses the whole message', async t => {
  const good = 'C v 0 1 {}\n'
  const batches = [
    'X v 1', 'C', 'C ', 'C v', 'C v 0', 'C v 0 1', 'C v 0 1 ', 'C v 0 1 text', 'C v 0 1 {', 'C  0 1 {}', 'C a.b 0 1 {}', 'C v -1 1 {}', 'C v 0 1.5 {}',
    'C v 0 9007199254740992 {}', 'H v', 'H v x', 'H v 1 2', 'H  1', 'h v 1', '', ' ', 'S v - -', 'C v 0 1 {}\r',
    // Copied into a stream and into history as it is: it must be the JSON of an object, on one line of every kind.
    'C v 0 1 {x}', 'C v 0 1 {"a":1}}', 'C v 0 1 {\r"a":1}', 'C v 0 1 {"a":"\u0001"}', 'C v 0 1 []', 'C v 0 1 1',
    // What follows itself, or a later one, would lead a chain back.
    'C v 0 0 {}', 'C v 1 1 {}', 'C v 2 1 {}',
  ]
  for (const line of batches) t.throws(() => parseBatch(bytes(`${good}${line}\n`)), { name: 'WireError' }, JSON.stringify(line))
  for (const line of ['', 'S', 'S v', 'S v -', 'S v - - -', 'S v x -', 'P v 0 1 1', 'S a/b - -', 'S v -1 -']) t.throws(() => parseSync(bytes(`${line}\n`)), { name: 'WireError' }, line)
  for (const line of ['', 'V v', 'V v x', 'V v 1 2', 'V a/b 1', 'V v -1', 'S v -', 'H v 1']) t.throws(() => parsePeerSync(bytes(`${line}\n`)), { name: 'WireError' }, line)
  for (const text of ['', 'P v 0 1\n', 'P v 0 1 x\n', 'S v 0 1 1\n', 'P v 0 1 1\nP v 0 1 1\n']) t.throws(() => parseReplay(bytes(text)), { name: 'WireError' }, text)
  for (const text of ['R v 0 0 disk end\n', 'R v 0 0 store maybe\n', 'R v 0 0 store\n', good, `R w 0 0 store end\n${good}`, `R v 0 0 store end\n${good}${good}`, `R v 0 0 store end\nC v 0 2 {}\n${good}`, 'H v 1\n']) t.throws(() => parseAnswers(bytes(text)), { name: 'WireError' }, text)
})

t.test('a message cut anywhere but between lines is refused', async t => {
  const message = bytes('H v 12\nC v 0 1 {"content":"ä"}\n')
  for (let cut = 1; cut < message.length; cut++) {
    if (message[cut - 1] === 10) continue
    t.throws(() => parseBatch(message.subarray(0, cut)), { name: 'WireError' }, String(cut))
  }
})

t.test('rubbish is refused and nothing else is thrown', async () => {
  const parsers = [parseBatch, parseSync, parsePeerSync, parseReplay, parseAnswers]
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), fc.string().map(text => bytes(`C v 0 1 ${text}\n`)), fc.string().map(text => bytes(`R ${text}\n`))), rubbish => {
      for (const parse of parsers) {
        try {
          parse(Buffer.from(rubbish))
        } catch (error) {
          if (!(error instanceof WireError)) throw error
        }
      }
    }),
  )
})

t.test('an error does not hold what a comment says', async t => {
  t.throws(() => parseBatch(bytes('C v 0 x {"content":"secret"}\n')), { message: /^(?!.*secret)/ })
})
