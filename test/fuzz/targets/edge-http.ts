import fc from 'fast-check'
import { internalRoutes, publicServer } from '../../../edge/server.js'
import { systemClock, type Clock } from '../../../runtime/clock.js'
import { StreamLimit } from '../../../runtime/limits/streams.js'
import { internalServer } from '../../../runtime/peers/internal-server.js'
import { EdgeStage } from '../../support/edge-stage.js'
import { clients, connections, refusals, replays, set } from '../../support/limits.js'
import { bytes, FRAMING_WORDS, requests, sockets, videoId } from '../grammar.js'
import { hostile } from '../mutate.js'
import { checkRaw } from '../raw-server.js'
import { must, type Target } from '../target.js'
import { wireBatch, WIRE_WORDS } from './wire.js'

const TOKEN = 'a token of the parts'
const query = fc.constantFrom('', '?recent=5', '?recent=201', '?lastEventId=7', '?lastEventId=x', '?after=3', '?after=-1', '?gzip=1', '?after=9&gzip=1', '?%', '?wait=1', '?wait=25&cursor=9', '?wait=x')
const paths = fc.oneof(
  fc.tuple(fc.constantFrom('/comments/', '/internal/stream/'), videoId, query).map(([route, video, query]) => `${route}${video}${query}`),
  fc.constantFrom('/internal/batch', '/internal/holdings', '/internal/ping', '/metrics', '/healthz', '/readyz', '/', '/internal/stream/%00', '/internal/../healthz'),
)
const HEADERS = ['Accept: text/event-stream', 'Accept-Encoding: gzip', 'Last-Event-ID: 12', 'Last-Event-ID: -', 'Authorization: Bearer wrong', 'X-Forwarded-For: 1.2.3.4', 'Forwarded: for="[::1]:5"', 'X-Live-Wire: 2', 'Origin: null', 'X-Live-Nonce: AAAAAAAAAAAAAAAAAAAAAAAA', 'X-Live-To: i1', 'X-Live-To: other']

/** Whole connections to both of an edge's ports. The first byte says which. */
export const edgeHttp: Target = {
  name: 'edge-http',
  what: "requests, as bytes, to an edge's public and internal ports",
  cases: 1_500,
  lanes: 16,
  inputs: fc
    .tuple(fc.boolean(), hostile(fc.oneof({ weight: 4, arbitrary: requests({ paths, headers: HEADERS, bodies: wireBatch.map(bytes), always: [`Authorization: Bearer ${TOKEN}`, 'X-Live-Wire: 1'] }) }, { weight: 1, arbitrary: sockets({ paths, headers: HEADERS, messages: wireBatch, always: [`Authorization: Bearer ${TOKEN}`, 'X-Live-Wire: 1'] }) }), [...FRAMING_WORDS, ...WIRE_WORDS]))
    .map(([open, bytes]) => Buffer.concat([Buffer.from(open ? 'o' : 'i'), bytes])),
  open() {
    const bugs: unknown[] = []
    const onBug = (error: unknown) => void bugs.push(error)
    const stage = new EdgeStage<Clock>({}, systemClock)
    stage.answer = ({ syncs, replay }) => (replay ? [replay] : syncs).map(({ videoId }) => ({ videoId, head: 0, others: 0, from: 'store', more: false, comments: [] }))
    const internal = internalServer({ token: TOKEN, metrics: stage.register, identity: { id: 'e1', instance: 'i1', version: '0' }, notReady: () => undefined, onBug })
    internalRoutes(internal, stage.edge)
    const open = publicServer(stage.edge, { connections: connections(), streamsPerAddress: new StreamLimit('address', set(), refusals()), replays: replays(), clients: clients('127.0.0.1'), allowedOrigins: '*', identity: undefined, onBug, notReady: () => undefined })
    const ports = { o: open.listen('127.0.0.1', 0), i: internal.listen('127.0.0.1', 0) }
    return {
      async check(input) {
        await checkRaw(input[0] === 0x6f ? ports.o : ports.i, input.subarray(1), () => false)
        stage.questions.length = stage.announced.length = stage.peerErrors.length = 0
        if (bugs.length > 0) throw bugs.splice(0)[0]
      },
      async close() {
        must(stage.edge.viewers === 0, 'viewers that left are still there')
        stage.edge.stop()
        open.close()
        internal.close()
      },
    }
  },
}
