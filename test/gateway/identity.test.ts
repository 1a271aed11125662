import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { KeySource } from '../../runtime/auth/identity.js'
import { KeyFile } from '../../runtime/auth/key-file.js'
import { parseJwks } from '../../runtime/auth/keys.js'
import { systemClock } from '../../runtime/clock.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { fakeEdge } from '../support/fake-edge.js'
import { runGateway, type GatewayGiven } from '../support/gateway.js'
import { badTokens, identityOf, Issuer } from '../support/issuer.js'
import { answers, sendRaw } from '../support/raw-request.js'
import { until } from '../support/until.js'
import { watch } from '../support/viewer.js'

const issuer = new Issuer()
const json = { 'content-type': 'application/json' }
const events = { accept: 'text/event-stream' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const post = (url: string, headers: Record<string, string>, body: unknown = { content: 'hello' }) => fetch(`${url}/comments/demo`, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) })

t.test('a post is by whom the token says, shown under the name it says', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], identity: identityOf(issuer, { requireToWatch: false }) })
  for (const kid of ['rsa', 'ec', 'ed']) {
    const response = await post(url, bearer(await issuer.token(kid)))
    t.equal(response.status, 201)
    t.match(await response.json(), { authorId: 'ann', authorName: 'Ann Example', content: 'hello' })
  }
  const nameless = await post(url, bearer(await issuer.token('ed', { name: undefined })))
  t.notOk('authorName' in ((await nameless.json()) as object))
  t.match(dispatcher.batches[0], [{ authorId: 'ann', authorName: 'Ann Example' }])
  const other = await post(url, bearer(await issuer.token('ed')), { content: 'hello', authorId: 'bob' })
  t.equal(other.status, 400)
  t.match(await other.json(), { error: { code: 'BAD_COMMENT', message: /authorId must not be given/ } })
  t.equal(dispatcher.batches.length, 4)
})

t.test('one author\'s posts and streams are limited, whatever name they show, and another\'s are not', async t => {
  const { url } = runGateway(t, { dispatchers: [fakeDispatcher(t, 'd').node], identity: identityOf(issuer), limits: { postsPerAuthor: 0.001, streamsPerAuthor: 1 } })
  const [ann, alsoAnn, bob] = await Promise.all([issuer.token('ed'), issuer.token('rsa', { name: 'Other' }), issuer.token('ed', { sub: 'bob' })])
  t.same([(await post(url, bearer(ann))).status, (await post(url, bearer(alsoAnn))).status, (await post(url, bearer(bob))).status], [201, 429, 201])
  const streams: number[] = []
  for (const token of [ann, alsoAnn, bob]) {
    const viewer = watch(t, `${url}/comments/demo?access_token=${token}`)
    streams.push((await until(() => viewer.status)))
  }
  t.same(streams, [200, 429, 200])
})

t.test('what must not get in gets neither to post nor to watch nor to read', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const edge = fakeEdge(t, 'e')
  const { url, gateway } = runGateway(t, { dispatchers: [dispatcher.node], edges: [edge.node], identity: identityOf(issuer) })
  const cases = { ...(await badTokens(issuer)), 'none at all': { token: '', status: 401, says: /a token is needed/ } }
  for (const [what, { token, status, says }] of Object.entries(cases)) {
    const headers: Record<string, string> = token === '' ? {} : bearer(token)
    const query = token === '' ? '' : `?access_token=${token}`
    const answers = [
      await post(url, headers),
      await fetch(`${url}/comments/demo`, { headers: { ...events, ...headers } }),
      await fetch(`${url}/comments/demo${query}`, { headers: events }),
      await fetch(`${url}/comments/demo`, { headers }),
      await fetch(`${url}/comments/demo/stats`, { headers }),
    ]
    for (const response of answers) {
      t.equal(response.status, status, what)
      t.match(response.headers.get('www-authenticate'), /^Bearer realm=/)
      t.match(await response.json(), { error: { code: status === 401 ? 'UNAUTHORIZED' : 'FORBIDDEN', message: says } }, what)
    }
  }
  const long = await issuer.token('ed', { more: 'x'.repeat(7_500) })
  t.ok(long.length > 10_000)
  for (const response of [await post(url, bearer(long)), await fetch(`${url}/comments/demo?access_token=${long}`, { headers: events })]) t.equal(response.status, 401, '10 KB')
  t.same([dispatcher.batches.length, edge.streams.length, gateway.sessions.size], [0, 0, 0])
})

t.test('who only watches needs a token only where it is asked for', async t => {
  const edge = fakeEdge(t, 'e')
  const given: GatewayGiven = { edges: [edge.node], dispatchers: [fakeDispatcher(t, 'd').node] }
  const open = runGateway(t, { ...given, identity: identityOf(issuer, { requireToWatch: false }) })
  const viewer = watch(t, `${open.url}/comments/demo?access_token=rubbish`)
  await until(() => viewer.status)
  t.equal(viewer.status, 200, 'nobody looks at it')
  t.equal((await fetch(`${open.url}/comments/demo/stats`)).status, 200)
  t.equal((await post(open.url, {})).status, 401)
  const off = runGateway(t, given)
  t.equal((await post(off.url, bearer('rubbish'), { content: 'x', authorId: 'bob' })).status, 201, 'off: as before')
})

t.test('a stream\'s token may come in the header, the address or a cookie, and goes no further', async t => {
  const edge = fakeEdge(t, 'e')
  const allowedOrigins = new Set(['https://site.example'])
  const { url, register } = runGateway(t, { edges: [edge.node], allowedOrigins, identity: identityOf(issuer, { allowedOrigins }) })
  const token = await issuer.token('ed')
  const cookie = `live_comments_token=${token}`
  const ways: [string, Record<string, string>][] = [
    ['', bearer(token)],
    [`&access_token=${token}`, {}],
    ['', { cookie, 'sec-fetch-site': 'same-origin' }],
    ['', { cookie, origin: 'https://site.example' }],
  ]
  for (const [i, [query, headers]] of ways.entries()) {
    const viewer = watch(t, `${url}/comments/demo?recent=2${query}`, { headers })
    const { query: asked } = await edge.stream(i)
    t.equal(asked, 'recent=2')
    t.equal(viewer.headers['referrer-policy'], 'no-referrer')
    t.equal(viewer.headers['access-control-allow-credentials'], i === 3 ? 'true' : undefined)
  }
  const elsewhere = watch(t, `${url}/comments/demo`, { headers: { cookie, origin: 'https://evil.example' } })
  await elsewhere.closed
  t.equal(elsewhere.status, 401)
  t.equal((await post(url, { cookie, origin: 'https://evil.example' })).status, 401, 'another site cannot post with it')
  t.notMatch(await register.metrics(), token.slice(-20))
})

t.test('to no page of * a browser shows an answer that a cookie got', async t => {
  const { url } = runGateway(t, { identity: identityOf(issuer) })
  for (const method of ['GET', 'OPTIONS']) {
    const response = await fetch(`${url}/comments/demo`, { method, headers: { origin: 'https://site.example' } })
    t.equal(response.headers.get('access-control-allow-origin'), '*')
    t.equal(response.headers.get('access-control-allow-credentials'), null)
  }
})

t.test('a viewer that leaves while its token is looked at is none', async t => {
  const { url, gateway } = runGateway(t, { identity: identityOf(issuer) })
  const token = await issuer.token('rsa')
  for (let i = 0; i < 50; i++) {
    const controller = new AbortController()
    const asked = fetch(`${url}/comments/demo`, { headers: { ...events, ...bearer(token) }, signal: controller.signal }).catch(() => {})
    setTimeout(() => controller.abort(), i / 5)
    await asked
  }
  await t.resolves(until(() => gateway.sessions.size === 0))
})

t.test('a key that is removed from the file ends its streams, told to come back, and lets nobody in again', async t => {
  const edge = fakeEdge(t, 'e')
  const path = join(t.testdir(), 'jwks.json')
  writeFileSync(path, issuer.jwks(['ed', 'ec']))
  const source = new KeyFile({ path, clock: systemClock, log: { info() {}, error() {} } })
  t.after(() => source.close())
  const { url, gateway } = runGateway(t, { edges: [edge.node], identity: identityOf(issuer, { source }) })
  const [removed, stays] = [await issuer.token('ed'), await issuer.token('ec')]
  const viewers = [removed, stays].map(token => watch(t, `${url}/comments/demo?access_token=${token}`))
  await edge.stream(1)
  writeFileSync(path, issuer.jwks(['ec']))
  await viewers[0]!.closed // 2 s until it is seen, and up to 6 s more
  t.ok(viewers[0]!.retryMs! >= 500)
  t.same([gateway.sessions.size, gateway.sessions.counts.endings.expired], [1, 1])
  t.match(await (await fetch(`${url}/comments/demo?access_token=${removed}`, { headers: events })).json(), { error: { code: 'UNAUTHORIZED', message: /key is not known/ } })
})

t.test('a key that is removed while its token is looked at lets nobody in', async t => {
  const source: KeySource = { keys: parseJwks(issuer.jwks()), close() {} }
  const { url, gateway } = runGateway(t, { identity: identityOf(issuer, { source }) })
  const token = await issuer.token('rsa')
  let looks = 0
  const keys = source.keys
  Object.defineProperty(source, 'keys', { get: () => (looks++ < 2 ? keys : parseJwks(issuer.jwks(['ed']))) })
  t.equal((await fetch(`${url}/comments/demo?access_token=${token}`, { headers: events })).status, 401)
  t.equal(gateway.sessions.size, 0)
})

t.test('a header that says who asks and cannot be read makes way for no other', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const allowedOrigins = new Set(['https://site.example'])
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], allowedOrigins, identity: identityOf(issuer, { allowedOrigins }) })
  const port = Number(new URL(url).port)
  const [ann, bob] = [await issuer.token('ed'), await issuer.token('ed', { sub: 'bob' })]
  const cookie = `Cookie: live_comments_token=${ann}\r\n`
  const own = `${cookie}Origin: https://site.example\r\n`
  const send = (headers: string) => sendRaw(port, `POST /comments/demo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n${headers}\r\n{"content":"x"}`, answers(1))
  for (const [what, headers] of Object.entries({
    'a cookie': own,
    'a header for a proxy in front': `${own}Authorization: Basic YTpi\r\n`,
    'cookies in two lines': `Cookie: a=b\r\n${own}`,
    'the same cookie twice': own + cookie,
    'the same token twice': `Authorization: Bearer ${ann}\r\nAuthorization: Bearer ${ann}\r\n`,
  })) t.same((await send(headers)).statuses, [201], what)
  for (const [what, headers] of Object.entries({
    'an empty one': `${own}Authorization:\r\n`,
    'blanks': `${own}Authorization: \t \r\n`,
    'bytes that the library cuts off': `${own}Authorization: \xc3\xa9\r\n`,
    'a scheme without a token': `${own}Authorization: Bearer\r\n`,
    'a token with a blank in it': `${own}Authorization: Bearer a b\r\n`,
    'two tokens': `Authorization: Bearer ${ann}\r\nAuthorization: Bearer ${bob}\r\n`,
    'a token and an empty one': `Authorization: Bearer ${ann}\r\nAuthorization: \r\n`,
    'two cookies of that name': `${own}Cookie: live_comments_token=${bob}\r\n`,
    'two of them in one line': `Cookie: live_comments_token=${bob}; live_comments_token=${ann}\r\nOrigin: https://site.example\r\n`,
    'two origins': `${own}Origin: https://evil.example\r\n`,
    'an empty origin beside it': `${own}Origin:\r\n`,
    'a site that cannot be read': `${own.replace('https://site.example', 'http://x')}Sec-Fetch-Site: \xff\r\n`,
  })) t.same((await send(headers)).statuses, [401], what)
  t.same(dispatcher.batches.flat().map(({ authorId }) => authorId), Array(5).fill('ann'))
})

t.test('a stream ends after its token, told to come back, and an older token does not let it in again', async t => {
  const edge = fakeEdge(t, 'e')
  const now = { ms: Date.now() - 10_000 } // to the gate the token is good for 10 s more, to the stream it is over
  const { url, gateway } = runGateway(t, { edges: [edge.node], identity: identityOf(issuer, { clock: { wall: () => now.ms }, random: () => 0 }) })
  const token = await issuer.token('ed', { exp: Math.floor(now.ms / 1000) - 20 })
  const viewer = watch(t, `${url}/comments/demo?access_token=${token}`)
  await edge.stream()
  await viewer.closed
  t.ok(viewer.retryMs! >= 500)
  t.equal(gateway.sessions.counts.endings.expired, 1)
  now.ms += 15_000
  t.equal((await fetch(`${url}/comments/demo?access_token=${token}`, { headers: events })).status, 401)
})
