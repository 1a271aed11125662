import t from 'tap'
import { tokenOf } from '../../../runtime/auth/credentials.js'
import type { AllowedOrigins } from '../../../runtime/http/public-headers.js'

const listed = new Set(['https://site.example'])
const rules = { cookie: 'live', allowedOrigins: listed, secure: false }
const NONE = { code: 'UNAUTHORIZED', message: 'a token is needed', headers: { 'www-authenticate': 'Bearer realm="live-comments"' } }

interface Given {
  readonly query?: boolean
  readonly allowedOrigins?: AllowedOrigins
  readonly secure?: boolean
}

function ask(headers: Record<string, string>, search = '', { query = true, ...given }: Given = {}): string {
  return tokenOf({ header: name => ({ host: 'live.example', ...headers })[name] ?? '', query: new URLSearchParams(search) }, { ...rules, ...given }, { query })
}

t.test('a token is found in the header, then in the query, then in the cookie', async t => {
  const cookie = { cookie: 'a=b; live=in-cookie; c=d', 'sec-fetch-site': 'same-origin' }
  t.equal(ask({ ...cookie, authorization: 'Bearer in-header' }, 'access_token=in-query'), 'in-header')
  t.equal(ask({ ...cookie, authorization: 'bearer  in-header' }), 'in-header')
  t.equal(ask(cookie, 'access_token=in-query'), 'in-query')
  t.equal(ask(cookie, 'access_token='), 'in-cookie')
  t.equal(ask({ ...cookie, authorization: 'Basic abc' }), 'in-cookie')
  t.equal(ask({ ...cookie, cookie: 'live="quoted"' }), 'quoted')
})

t.test('a Bearer without a token makes way for no other, and of two different cookies none counts', async t => {
  const cookie = { cookie: 'live=in-cookie', 'sec-fetch-site': 'same-origin' }
  for (const authorization of ['Bearer', 'bearer ', 'Bearer a b', 'Bearer\ta']) t.throws(() => ask({ ...cookie, authorization }, 'access_token=in-query'), { code: 'UNAUTHORIZED', message: /has no token/ }, authorization)
  t.equal(ask({ ...cookie, authorization: 'Bearers are bears' }), 'in-cookie', 'another scheme')
  t.throws(() => ask({ ...cookie, cookie: 'live=one; a=b; live=two' }), { code: 'UNAUTHORIZED', message: /two cookies/ })
  t.equal(ask({ ...cookie, cookie: 'live=one; live="one"; live=' }), 'one')
})

t.test('where there is none it says so, without an error in the challenge', async t => {
  t.throws(() => ask({}), NONE)
  t.throws(() => ask({}, 'access_token=x', { query: false }), NONE, 'an address is no place for it but for a stream')
  for (const cookie of ['', 'liv=x', 'xlive=x', 'live', 'live=', 'a=live=x']) t.throws(() => ask({ cookie, 'sec-fetch-site': 'same-origin' }), NONE, cookie)
})

t.test('a cookie counts from a page of ours or of a listed origin, and from nobody else', async t => {
  const cookie = 'live=token'
  const origin = 'https://live.example'
  for (const own of [
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'same-origin', origin },
    { origin },
    { origin: 'https://site.example' },
    { origin: 'https://site.example', 'sec-fetch-site': 'cross-site' },
  ]) t.equal(ask({ cookie, ...own } as Record<string, string>), 'token', JSON.stringify(own))
  for (const other of [
    {},
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: 'https://other.live.example' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'cross-site', origin },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'https://live.example.evil.example' },
    { origin: 'https://live.example:8443' },
  ]) t.throws(() => ask({ cookie, ...other } as Record<string, string>), { code: 'UNAUTHORIZED', message: /a cookie counts only from/ }, JSON.stringify(other))
  t.throws(() => ask({ cookie, origin: 'https://site.example' }, '', { allowedOrigins: '*' }), { code: 'UNAUTHORIZED' }, '* lists nobody')
})

t.test('over TLS, a page of this host that came over plain HTTP is not ours: anyone on the way could have written it', async t => {
  const cookie = 'live=token'
  t.equal(ask({ cookie, origin: 'http://live.example' }), 'token', 'without TLS a proxy in front may have it')
  t.equal(ask({ cookie, origin: 'https://live.example' }, '', { secure: true }), 'token')
  t.throws(() => ask({ cookie, origin: 'http://live.example' }, '', { secure: true }), { code: 'UNAUTHORIZED' })
})
