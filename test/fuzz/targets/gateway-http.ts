import fc from 'fast-check'
import { Registry } from 'prom-client'
import { GatewayPart } from '../../../gateway/assemble.js'
import { Limits } from '../../../gateway/limits.js'
import { linkWith } from '../../../gateway/link-socket.js'
import { connectWith } from '../../../gateway/relay.js'
import { View } from '../../../registry/view.js'
import { systemClock } from '../../../runtime/clock.js'
import { HttpServer } from '../../../runtime/http/server.js'
import { InternalClient } from '../../../runtime/peers/client.js'
import { FakeDispatcher } from '../../support/fake-dispatcher.js'
import { identityOf, Issuer } from '../../support/issuer.js'
import { clients, connections, refusals, set } from '../../support/limits.js'
import { bytes, FRAMING_WORDS, requests, sockets, text, videoId } from '../grammar.js'
import { hostile } from '../mutate.js'
import { checkRaw } from '../raw-server.js'
import { must, type Target } from '../target.js'

const query = fc.constantFrom('', '?recent=5', '?recent=201', '?maxRate=5', '?maxRate=x', '?wait=1&cursor=7&maxRate=10', '?lastEventId=7', '?lastEventId=x', '?cursor=9&direction=after&pageSize=3', '?pageSize=0', '?cursor=%00', '?a=b&a=c', '?%', '?access_token=x.y.z', '?wait=1', '?wait=0', '?wait=25&cursor=9', '?wait=x', '?at=5', '?at=-1', '?recent=5&recent=6', '?maxRate=x')
const several = fc.tuple(fc.constantFrom('/comments', '/counts'), fc.array(fc.tuple(videoId, fc.constantFrom('', ':5', ':x', ':', ':9007199254740992')).map(([video, at]) => video + at), { maxLength: 55 }), fc.constantFrom('', '&recent=5', '&lastEventId=v:5', '&videos=x')).map(([path, videos, rest]) => `${path}?videos=${videos.join()}${rest}`)
const paths = fc.oneof(
  several,
  fc.tuple(videoId, fc.constantFrom('', '', '', '/stats', '/', '/../x', '%2f', '//', '/12', '/x', '/pin', '/settings', '/bans/ann', '/bans/', '/held', '/held/x', '/held/'), query).map(([video, rest, query]) => `/comments/${video}${rest}${query}`),
  fc.constantFrom('/', '/embed', '/docs', '/openapi.json', '/healthz', '/readyz', '/metrics', '/internal/ping', '/page/x/page.js', '/page/x/..', '*', 'http://x/healthz', '/%ff', '/comments/'),
)
const HEADERS = [
  'Accept: text/event-stream', 'Accept-Encoding: gzip', 'Accept-Encoding: gzip;q=0, *', 'Content-Type: application/json', 'Content-Type: text/plain', 'Idempotency-Key: k', 'Idempotency-Key: a b', 'Idempotency-Key: \u00e9', 'Idempotency-Key:', 'Content-Type: \u00e9', 'Origin:', 'Sec-Fetch-Site: \u200b', 'Authorization: \u00e9', 'Cookie: live_comments_token=x.y.z', 'Last-Event-ID: 12', 'Last-Event-ID: \u{1f600}', 'Origin: https://a.example',
  'If-None-Match: "x", W/"y"', 'Authorization: Bearer x.y.z', 'Cookie: access_token=x.y.z; a', 'X-Forwarded-For: 1.2.3.4, ::1', 'X-Forwarded-For: unknown, 1.2.3.4:5, [2001:db8::1]:9', 'X-Forwarded-For: ,, ,', 'Forwarded: for="[::1]:5"', 'Forwarded: for=_x;by="\\"",for=1.2.3.4', 'Connection: close', 'Expect: 100-continue', 'Range: bytes=0-', 'Access-Control-Request-Method: POST',
]
const bodies = fc.oneof(fc.record({ content: text, authorId: text }).map(body => bytes(JSON.stringify(body))), fc.constantFrom(bytes(''), bytes('{}'), bytes('{"content":'), Buffer.alloc(9_000, 'x'), bytes('{"content":7}'), bytes('{"commentId":"1"}'), bytes('{"commentId":null}'), bytes('{"slowModeSeconds":1e9,"closed":1}'), bytes('{"forSeconds":-1}'), bytes('{"decision":"approve"}'), bytes('{"decision":"refuse","reason":7}')))
const socketPaths = fc.oneof(several, fc.tuple(videoId, query).map(([video, query]) => `/comments/${video}${query}`), fc.constantFrom('/', '/counts', '/healthz', '/comments/'))
const messages = fc.oneof(fc.record({ ref: fc.oneof(fc.nat(), text), post: fc.record({ content: text, authorId: text }) }).map(message => JSON.stringify(message)), fc.constantFrom('', '[', '{}', '{"post":7}', '{"ref":1,"post":{"content":"x","key":"k"}}', 'x'.repeat(70_000)))

/** Whole connections to a gateway's public server, before a dispatcher that stores. */
export const gatewayHttp: Target = target({ name: 'gateway-http', what: "requests, as bytes, to a gateway's public port", cases: 1_500 })

/** The same where everything wants a token. */
export const gatewayIdentity: Target = target({ name: 'gateway-identity', what: 'the same, where all of it wants a token', cases: 500, issuer: new Issuer({ ed: 'EdDSA' }) })

function target({ issuer, ...named }: { readonly name: string; readonly what: string; readonly cases: number; readonly issuer?: Issuer }): Target {
  return {
    ...named,
    lanes: 16,
    inputs: hostile(fc.oneof({ weight: 4, arbitrary: requests({ paths, headers: HEADERS, bodies }) }, { weight: 1, arbitrary: sockets({ paths: socketPaths, headers: HEADERS, messages }) }), [...FRAMING_WORDS, ...HEADERS.map(line => `${line}\r\n`)]),
    open() {
      const bugs: unknown[] = []
      const dispatcher = new FakeDispatcher('d')
      const view = new View()
      view.apply({ kind: 'dispatcher', id: 'd', node: dispatcher.node }, 0)
      const client = new InternalClient(undefined)
      // Behind a proxy that is believed, so that what it says of its clients is read as well.
      const part = new GatewayPart({
        gzip: { level: 6, minViewers: 4 },
        clock: systemClock, random: Math.random, view, viewLoaded: () => true, viewStaleMs: () => 0, client, connectLink: linkWith(client), connect: connectWith(client), metrics: new Registry(), videoShare: 10, joinRate: 500,
        limits: new Limits({ clock: systemClock, refusals: refusals(), postsPerAuthor: set(), postsPerAddress: set(), streamsPerAuthor: set(), streamsPerAddress: set() }),
        clients: clients('127.0.0.1'),
        allowedOrigins: new Set(['https://a.example']), viewerLimit: 1_000, identity: issuer && identityOf(issuer),
      })
      const { gateway } = part
      const server = new HttpServer({ headers: part.headers, connections: connections({ trusted: '127.0.0.1' }), onBug: error => bugs.push(error) })
      part.route(server)
      const port = server.listen('127.0.0.1', 0)
      return {
        async check(input) {
          await checkRaw(port, input, () => gateway.poster.inFlight > 0)
          dispatcher.batches.length = dispatcher.histories.length = 0
          if (bugs.length > 0) throw bugs.splice(0)[0]
        },
        async close() {
          must(gateway.poster.inFlight === 0, 'posts that are never answered')
        must(gateway.sessions.size === 0, 'viewers that left are still there')
          server.close()
          gateway.close()
          await client.close()
          dispatcher.close()
        },
      }
    },
  }
}
