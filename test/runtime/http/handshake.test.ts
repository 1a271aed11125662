import t from 'tap'
import { handshake } from '../../../runtime/http/handshake.js'
import type { AllowedOrigins } from '../../../runtime/http/public-headers.js'

function ask(headers: Readonly<Record<string, string | readonly string[]>>, allowed: AllowedOrigins = '*'): string {
  const lines: Readonly<Record<string, string | readonly string[]>> = { host: 'live.example', 'sec-websocket-version': '13', ...headers }
  const values = (name: string) => [lines[name] ?? []].flat()
  return handshake({ header: name => values(name)[0] ?? '', headers: values }, allowed)
}

t.test('our subprotocol is chosen where it is offered, in whatever form', t => {
  for (const [offered, chosen] of [[[], ''], ['live-comments', 'live-comments'], ['chat', ''], ['chat , live-comments,bearer.a.b.c', 'live-comments'], [['bearer.a.b.c', 'live-comments'], 'live-comments']] as const) {
    t.equal(ask({ 'sec-websocket-protocol': offered }), chosen, JSON.stringify(offered))
  }
  t.end()
})

t.test('another version is told which one it is to be', t => {
  for (const version of ['8', '', '13, 8']) t.throws(() => ask({ 'sec-websocket-version': version }), { code: 'BAD_REQUEST', message: /must be 13/, headers: { 'sec-websocket-version': '13' } }, version)
  t.end()
})

t.test('a page of another origin is refused, one of ours, of a listed origin, or no page is not', t => {
  const listed = new Set(['https://a.example'])
  for (const origin of [[], 'https://a.example', 'https://live.example', 'http://live.example']) t.equal(ask({ origin }, listed), '')
  for (const origin of ['https://b.example', 'https://a.example.b.example', 'https://a.example:8443', 'null', '', ['https://a.example', 'https://b.example'], ['https://a.example', 'https://a.example']]) {
    t.throws(() => ask({ origin }, listed), { code: 'FORBIDDEN' }, JSON.stringify(origin))
    t.equal(ask({ origin }), '', 'unless all are allowed')
  }
  t.end()
})
