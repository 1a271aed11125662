import fc from 'fast-check'
import t from 'tap'
import { toEventJson } from '../../protocol/comment.js'
import { commentEvent, gapEvent, HEARTBEAT, readyEvent, retryLine, SseParser, viewersEvent, type SseEvent } from '../../protocol/sse.js'

function read(text: string, cuts: readonly number[] = []): SseEvent[] {
  const bytes = Buffer.from(text)
  const parser = new SseParser()
  const ends = [...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return ends.flatMap((end, i) => parser.push(bytes.subarray(i === 0 ? 0 : ends[i - 1], end)))
}

t.test('what is printed is what a client sees, wherever the chunks end', async () => {
  const piece = fc.oneof(
    fc.tuple(fc.maxSafeNat(), fc.string({ unit: 'binary' })).map(([id, content]) => ({ id, event: 'message', text: commentEvent(id, toEventJson({ id, videoId: 'v', authorId: 'a', content, createdAt: 1 })) })),
    fc.tuple(fc.maxSafeNat(), fc.nat()).map(([id, viewers]) => ({ id, event: 'ready', text: readyEvent(id, 'v', viewers) })),
    fc.nat().map(viewers => ({ id: undefined, event: 'viewers', text: viewersEvent(viewers) })),
    fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()).map(([from, to]) => ({ id: to, event: 'gap', text: gapEvent(from, to) })),
    fc.constantFrom(HEARTBEAT, retryLine()).map(text => ({ id: undefined, event: undefined, text })),
  )
  fc.assert(
    fc.property(fc.array(piece), fc.array(fc.nat(), { maxLength: 30 }), (pieces, cuts) => {
      const events = read(pieces.map(({ text }) => text).join(''), cuts)
      let id = ''
      const expected: string[] = []
      for (const piece of pieces) {
        if (piece.id !== undefined) id = String(piece.id)
        if (piece.event) expected.push(`${piece.event} ${id}`)
      }
      if (events.map(({ event, id }) => `${event} ${id}`).join() !== expected.join()) throw new Error(`${JSON.stringify(events)} is not ${expected.join()}`)
      for (const { data } of events) JSON.parse(data)
    }),
  )
})

t.test("a comment's text comes back as it was, line ends and all", async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), content => {
      const [event] = read(commentEvent(5, toEventJson({ id: 5, videoId: 'v', authorId: 'a', content, createdAt: 1 })))
      return (JSON.parse(event!.data) as { content: string }).content === content
    }),
  )
})

t.test('no client that splits at a line break of Unicode finds one within an event', async () => {
  const breaks = fc.constantFrom('\u0085', '\u2028', '\u2029', '\n', '\r', '\v', '\f', '\x1c', '\x1d', '\x1e', '\\u2028')
  fc.assert(
    fc.property(fc.array(fc.oneof(breaks, fc.string({ unit: 'binary' }))), parts => {
      const content = parts.join('')
      const text = commentEvent(5, toEventJson({ id: 5, videoId: 'v', authorId: content, content, createdAt: 1 }))
      const [event] = read(text)
      const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\u0085\u2028\u2029]/)
      return lines.length === 4 && (JSON.parse(event!.data) as { content: string }).content === content && (JSON.parse(lines[1]!.slice(6)) as { content: string }).content === content
    }),
  )
})

t.test('what is no event leaves no block without data', async t => {
  const [end, ...blocks] = `${retryLine()}${HEARTBEAT}${commentEvent(1, '{}')}${HEARTBEAT}${HEARTBEAT}${readyEvent(1, 'v', 1)}${viewersEvent(1)}${gapEvent(1, 2)}${retryLine()}`.split('\n\n').reverse()
  t.match(end, /^retry: \d+\n$/)
  t.equal(blocks.length, 4)
  for (const block of blocks) t.match(block, /^data: /m)
})

t.test('the named events hold what the stream promises', async t => {
  t.same(read(readyEvent(7, 'v', 3)), [{ event: 'ready', id: '7', data: '{"videoId":"v","viewers":3}' }])
  t.same(read(viewersEvent(3)), [{ event: 'viewers', id: '', data: '{"viewers":3}' }])
  t.same(read(gapEvent(1, 9)), [{ event: 'gap', id: '9', data: '{"from":"1","to":"9"}' }])
})

t.test('retry is half a second to 2.5 s, spread', async t => {
  const retryMs = (random: number) => {
    const parser = new SseParser()
    parser.push(Buffer.from(retryLine(() => random)))
    return parser.retryMs
  }
  t.same([retryMs(0), retryMs(0.5), retryMs(0.9999)], [500, 1_500, 2_499])
})

t.test('the parser reads what the standard allows', async t => {
  const message = (data: string, id = '') => ({ event: 'message', id, data })
  t.same(read('data: a\r\ndata: b\r\n\r\ndata:c\r\rdata\n\n'), [message('a\nb'), message('c'), message('')])
  t.same(read('\ufeffdata: x\n\n'), [message('x')], 'a byte order mark')
  t.same(read('event: e\n\ndata: x\n\n'), [message('x')], 'an event without data is none, and its name is forgotten')
  t.same(read('id: 1\ndata: x\n\nid\ndata: y\n\nid: 2\0\ndata: z\n\n'), [message('x', '1'), message('y'), message('z')])
  t.same(read('data: cut short'), [])
})

t.test('an event cut off before its end moves no place', async t => {
  const parser = new SseParser()
  parser.push(Buffer.from('id: 1\ndata: x\n\nid: 2\nda'))
  t.equal(parser.lastEventId, '1')
})
