import t from 'tap'
import { LiveError } from '../../../protocol/errors.js'
import type { Exchange } from '../../../runtime/http/exchange.js'
import { acceptsGzip, maxRateAsked, pollAsked, streamAsked, wantsStream } from '../../../runtime/http/stream-request.js'

function exchange(query: string, lastEventId: readonly string[]): Exchange {
  return { query: new URLSearchParams(query), headers: (name: string) => (name === 'last-event-id' ? [...lastEventId] : []) } as Partial<Exchange> as Exchange
}

const asked = (query: string, lastEventId: readonly string[] = []) => streamAsked(exchange(query, lastEventId))

t.test('the newest of all cursors in the header counts, and beats the query', async t => {
  const cases: [query: string, header: string[], after: number | undefined][] = [
    ['', [], undefined],
    ['', ['5'], 5],
    ['', ['0'], 0],
    ['', ['5', '9'], 9],
    ['', ['9', '5'], 9],
    ['', ['5, 9,7'], 9],
    ['', ['5,9', '7'], 9],
    ['', ['', '5'], 5],
    ['', ['undefined, 5', 'null'], 5],
    ['lastEventId=', [], undefined],
    ['lastEventId=3', [], 3],
    ['lastEventId=3&lastEventId=5', [], 5],
    ['lastEventId=5&lastEventId=3', [], 5],
    ['lastEventId=&lastEventId=3', [], 3],
    ['lastEventId=null&lastEventId=3', [], 3],
    ['lastEventId=3,5', [], 5],
    ['lastEventId=3', [''], 3],
    ['lastEventId=9', ['5'], 5],
    ['lastEventId=x', ['5'], 5],
    ['lastEventId=3', ['null'], 3],
    ['lastEventId=9007199254740991', [], 9_007_199_254_740_991],
  ]
  for (const [query, header, after] of cases) t.equal(asked(query, header).after, after, `${query} ${JSON.stringify(header)}`)
})

t.test('a cursor that is none is refused by name, in header and query alike', async t => {
  const bad = ['', ' ', ',', 'x', '-1', '+5', '5.0', '1e3', '0x10', '9007199254740992', '99999999999999999999', 'null', '5 6', '"5"', '５']
  for (const value of bad) {
    t.throws(() => asked('', [value]), { code: 'BAD_CURSOR', message: /^Last-Event-ID must be / }, value)
    t.throws(() => asked('', ['', `${value}, ${value}`]), LiveError, value)
    if (value !== '') t.throws(() => asked(new URLSearchParams({ lastEventId: value }).toString()), { code: 'BAD_CURSOR', message: /^lastEventId must be / }, value)
    if (value !== '') t.throws(() => asked(`lastEventId=&${new URLSearchParams({ lastEventId: value }).toString()}`), { code: 'BAD_CURSOR', message: /^lastEventId must be / }, value)
  }
})

t.test('a long-poll goes on from its cursor, or from where an event stream would: never silently from now on', async t => {
  const cases: [query: string, header: string[], after: number | undefined][] = [
    ['', [], undefined],
    ['&cursor=', [], undefined],
    ['&cursor=0', [], 0],
    ['&cursor=5', ['9'], 5],
    ['&cursor=', ['9', '7'], 9],
    ['&lastEventId=3', [], 3],
  ]
  for (const [query, header, after] of cases) t.equal(pollAsked(exchange(`wait=5${query}`, header)).after, after, `${query} ${JSON.stringify(header)}`)
  for (const [query, header] of [['&cursor=x', ['5']], ['', ['null']], ['&lastEventId=x', []]] as [string, string[]][]) t.throws(() => pollAsked(exchange(`wait=5${query}`, header)), { code: 'BAD_CURSOR' }, query)
})

t.test('recent is a number to 200; an empty one is none', async t => {
  for (const [query, recent] of [['', undefined], ['recent=', undefined], ['recent=0', 0], ['recent=200', 200]] as const) t.equal(asked(query).recent, recent, query)
  for (const query of ['recent=201', 'recent=-1', 'recent=1.5', 'recent=x']) t.throws(() => asked(query), { code: 'BAD_RECENT', message: /^recent must be / }, query)
})

t.test('maxRate is one of three numbers, and nothing else', async t => {
  for (const [query, rate] of [['', undefined], ['maxRate=5', 5], ['maxRate=10', 10], ['maxRate=20', 20]] as const) t.equal(maxRateAsked(exchange(query, [])), rate, query)
  for (const query of ['maxRate=', 'maxRate=0', 'maxRate=7', 'maxRate=05', 'maxRate=5.0', 'maxRate=all']) t.throws(() => maxRateAsked(exchange(query, [])), { code: 'BAD_MAX_RATE', status: 400, message: /^maxRate must be 5, 10 or 20, comments per second$/ }, query)
})

t.test('a stream is for those that name it and prefer nothing to it', async t => {
  for (const accept of [['text/event-stream'], ['Text/Event-Stream'], ['text/html', 'TEXT/EVENT-STREAM'], ['text/event-stream;q=0.5'], ['text/event-stream; charset=utf-8'], ['application/json, text/event-stream'], ['text/event-stream, */*;q=0.1'], ['*/*, text/event-stream'], ['text/event-stream ;Q=1.0']]) t.ok(wantsStream(accept), accept.join(' | '))
  for (const accept of [[], [''], ['*/*'], ['text/*'], ['application/json'], ['text/event-stream;q=0'], ['text/event-stream; q=0.000, */*'], ['xtext/event-stream'], ['text/event-streams'], ['application/json, text/event-stream;q=0.9'], ['text/event-stream;q=0.2', '*/*;q=0.8']]) t.notOk(wantsStream(accept), accept.join(' | '))
})

t.test('gzip is sent to who accepts it, and does not prefer none', async t => {
  for (const header of [['gzip'], ['gzip, deflate, br'], ['br;q=1.0, gzip;q=0.8, *;q=0.1'], ['GZIP'], ['gzip;q=1'], ['gzip; q=0.01'], ['br', 'gzip'], ['x-gzip'], ['gzip, identity']]) t.ok(acceptsGzip(header), header.join(' | '))
  for (const header of [[], [''], ['br'], ['identity'], ['gzip;q=0'], ['gzip;q=0.000'], ['x-gzip-not'], ['*;q=0'], ['gzip;q=0.5, identity'], ['identity;q=0.5', 'gzip;q=0.4']]) t.notOk(acceptsGzip(header), header.join(' | '))
})
