import fc from 'fast-check'
import t from 'tap'
import { Parser, type ServerEvent } from '../../client/parser.js'
import { SseParser } from '../../protocol/sse.js'

const bytes = (text: string) => new TextEncoder().encode(text)
const STREAM = 'retry: 1500\n:\nid: 7\ndata: {"content":"grüß 👋"}\n\nevent: ready\r\nid: 9\r\ndata: {}\r\n\r\n:heartbeat\nevent: viewers\rdata:{"viewers":2}\r\rdata: a\ndata\ndata:  b\n\nid: x\0y\nid\ndata: last\n\ndata: cut o'
const EVENTS: ServerEvent[] = [
  { name: 'message', id: '7', data: '{"content":"grüß 👋"}' },
  { name: 'ready', id: '9', data: '{}' },
  { name: 'viewers', id: '9', data: '{"viewers":2}' },
  { name: 'message', id: '9', data: 'a\n\n b' },
  { name: 'message', id: '', data: 'last' },
]

t.test('a stream is read alike wherever its chunks end', async t => {
  const whole = bytes(STREAM)
  for (let at = 0; at <= whole.length; at++) {
    const parser = new Parser()
    const events = [...parser.push(whole.subarray(0, at)), ...parser.push(whole.subarray(at))]
    if (JSON.stringify(events) !== JSON.stringify(EVENTS)) t.same(events, EVENTS, `split at ${at}`)
    if (parser.retryMs !== 1500) t.equal(parser.retryMs, 1500, `split at ${at}`)
  }
  const parser = new Parser()
  t.same([...whole].flatMap(byte => parser.push(Uint8Array.of(byte))), EVENTS, 'byte by byte')
})

t.test('any text is read as the protocol\'s own parser reads it', async t => {
  const piece = fc.constantFrom('data', 'event', 'id', 'retry', ':', ': ', ' ', '\n', '\r', '\r\n', '\n\n', '12', 'ü', '\0', 'x')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(80), { maxLength: 4 }), (pieces, cuts) => {
      const whole = bytes(pieces.join(''))
      const parser = new Parser()
      const known = new SseParser()
      let at = 0
      for (const end of [...cuts.filter(cut => cut < whole.length).sort((a, b) => a - b), whole.length]) {
        const chunk = whole.subarray(at, end)
        at = end
        const expected = known.push(chunk).map(({ event, id, data }) => ({ name: event, id, data }))
        if (JSON.stringify(parser.push(chunk)) !== JSON.stringify(expected)) return false
      }
      return parser.retryMs === known.retryMs
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})
