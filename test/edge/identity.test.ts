import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { publicServer } from '../../edge/server.js'
import type { KeySource } from '../../runtime/auth/identity.js'
import { parseJwks } from '../../runtime/auth/keys.js'
import { systemClock, type Clock } from '../../runtime/clock.js'
import type { AllowedOrigins } from '../../runtime/http/public-headers.js'
import { StreamLimit } from '../../runtime/limits/streams.js'
import { EdgeStage } from '../support/edge-stage.js'
import { badTokens, identityOf, Issuer } from '../support/issuer.js'
import { clients, connections, refusals, replays, set } from '../support/limits.js'
import { watch, watchReady } from '../support/viewer.js'

const issuer = new Issuer()
const events = { accept: 'text/event-stream' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

function serve(t: Test, requireToWatch = true, allowedOrigins: AllowedOrigins = '*', nowMs?: number, source: KeySource = { keys: parseJwks(issuer.jwks()), close() {} }) {
  const stage = new EdgeStage<Clock>({}, systemClock)
  t.after(() => stage.edge.stop())
  const unlimited = { connections: connections(), streamsPerAddress: new StreamLimit('address', set(), refusals()), replays: replays(), clients: clients() }
  const server = publicServer(stage.edge, { ...unlimited, allowedOrigins, identity: identityOf(issuer, { source, requireToWatch, allowedOrigins, ...(nowMs !== undefined && { clock: { wall: () => nowMs }, random: () => 0 }) }), onBug: error => void t.fail(String(error)), notReady: () => undefined })
  t.after(() => server.close())
  return { stage, url: `http://127.0.0.1:${server.listen('127.0.0.1', 0)}/comments/demo` }
}

t.test('what must not get in does not', async t => {
  const { stage, url } = serve(t)
  for (const [what, { token, status, says }] of Object.entries({ ...(await badTokens(issuer)), 'none at all': { token: '', status: 401, says: /a token is needed/ } })) {
    for (const response of [await fetch(url, { headers: { ...events, ...(token === '' ? {} : bearer(token)) } }), await fetch(token === '' ? url : `${url}?access_token=${token}`, { headers: events })]) {
      t.equal(response.status, status, what)
      t.match(response.headers.get('www-authenticate'), /^Bearer realm=/)
      t.match(await response.json(), { error: { code: status === 401 ? 'UNAUTHORIZED' : 'FORBIDDEN', message: says } }, what)
    }
  }
  const long = await issuer.token('ed', { more: 'x'.repeat(7_500) })
  t.equal((await fetch(url, { headers: { ...events, ...bearer(long) } })).status, 401, '10 KB')
  t.equal(stage.edge.viewers, 0)
})

t.test('a good token does, by header, address or cookie', async t => {
  const { url } = serve(t, true, new Set(['https://site.example']))
  const token = await issuer.token('rsa')
  await watchReady(t, url, { headers: bearer(token) })
  await watchReady(t, `${url}?access_token=${token}`)
  const viewer = await watchReady(t, url, { headers: { cookie: `live_comments_token=${token}`, origin: 'https://site.example' } })
  t.match(viewer.headers, { 'access-control-allow-origin': 'https://site.example', 'access-control-allow-credentials': 'true', 'referrer-policy': 'no-referrer' })
})

t.test('without AUTH_REQUIRE_TO_WATCH anyone watches', async t => {
  const { url } = serve(t, false)
  await watchReady(t, url)
})

t.test('a page of another origin than those listed opens no WebSocket', async t => {
  const { url } = serve(t, false, new Set(['https://a.example']))
  const open = (origin: string) => {
    const ws = new WebSocket(url.replace('http', 'ws'), { headers: { origin } })
    t.after(() => ws.terminate())
    return ws.on('error', () => {})
  }
  const [, refused] = (await once(open('https://b.example'), 'unexpected-response')) as [unknown, IncomingMessage]
  t.equal(refused.statusCode, 403)
  await once(open('https://a.example'), 'open')
})

t.test('a stream ends after its token, told to come back', async t => {
  const nowMs = Date.now() - 10_000 // to the gate the token is good for 10 s more, to the stream it is over
  const { stage, url } = serve(t, true, '*', nowMs)
  const viewer = watch(t, `${url}?access_token=${await issuer.token('ed', { exp: Math.floor(nowMs / 1000) - 20 })}`)
  await viewer.closed
  t.equal(viewer.status, 200)
  t.ok(viewer.retryMs! >= 500)
  t.equal(stage.edge.viewers, 0)
})

t.test('a stream ends with its key, told to come back', async t => {
  const source: KeySource = { keys: parseJwks(issuer.jwks()), close() {} }
  const { stage, url } = serve(t, true, '*', undefined, source)
  const [ends] = await Promise.all(['ed', 'ec'].map(async kid => watchReady(t, `${url}?access_token=${await issuer.token(kid)}`)))
  source.onChange!(parseJwks(issuer.jwks(['ec'])))
  await ends!.closed
  t.ok(ends!.retryMs! >= 500)
  t.equal(stage.edge.viewers, 1)
})

t.test('in virtual time: streams end within seconds of their key, and the others go on', async t => {
  const stage = new EdgeStage()
  const keysOf = new Issuer({ a: 'EdDSA', b: 'EdDSA' })
  const keys = parseJwks(keysOf.jwks())
  const endsAt = stage.clock.wall() + 3_600_000
  const [ends, stays] = ['a', 'b'].map(kid => stage.join('v', { endsAt, key: keys.find(kid) }))
  stage.edge.keysChanged(parseJwks(keysOf.jwks(['b'])))
  await stage.clock.advance(7_000)
  t.same([ends!.outlet.ended, stays!.outlet.ended, stage.edge.viewers], ['expired', undefined, 1])
  stage.edge.stop()
})

t.test('in virtual time: not before the token\'s end, and those without one never', async t => {
  const stage = new EdgeStage()
  const endsAt = stage.clock.wall() + 3_600_000
  const [ends, left, stays] = [stage.join('v', { endsAt }), stage.join('v', { endsAt }), stage.join('v')]
  stage.edge.leave(left.viewer!)
  await stage.clock.advance(3_600_000 - 100)
  t.equal(ends.outlet.ended, undefined)
  await stage.clock.advance(2_100)
  t.equal(ends.outlet.ended, 'expired')
  t.same([left.outlet.ended, stays.outlet.ended, stage.edge.viewers], [undefined, undefined, 1])
  stage.edge.stop()
})
