import fc from 'fast-check'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import t from 'tap'
import { readConfig } from '../../runtime/config.js'
import { openTraces, tracesVariables } from '../../runtime/traces/open.js'
import { MOST_WAITING, Traces } from '../../runtime/traces/traces.js'
import { Collector, type CollectedSpan } from '../support/collector.js'
import { FakeClock } from '../support/fake-clock.js'

interface Sent {
  readonly resourceSpans: readonly { readonly resource: object; readonly scopeSpans: readonly { readonly spans: readonly CollectedSpan[] }[] }[]
}

function traced(role: string, id: string, share = 1) {
  const clock = new FakeClock(1_767_225_600_000)
  const metrics = new Registry()
  const bodies: string[] = []
  const told: (string | undefined)[] = []
  const at = { failure: undefined as Error | undefined }
  const traces = new Traces({
    clock, share, metrics, role, node: { id, version: '1.2.3' },
    send: body => (at.failure ? Promise.reject(at.failure) : Promise.resolve(void bodies.push(body))),
    onTrouble: reason => told.push(reason),
  })
  const spans = () => bodies.flatMap(body => (JSON.parse(body) as Sent).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)))
  const total = async (): Promise<Record<string, number>> => Object.fromEntries((await metrics.getSingleMetric('live_trace_spans_total')!.get()).values.map(({ labels, value }) => [labels['outcome'], value])) as Record<string, number>
  return { clock, traces, bodies, told, at, spans, total }
}

const comment = { videoId: 'demo', id: 243_901_510_635_520 }

t.test('every part makes its own spans of one trace, without a word between them', async t => {
  const gateway = traced('gateway', 'g1')
  const dispatcher = traced('dispatcher', 'd1')
  const edge = traced('edge', 'e1')
  for (const { clock } of [gateway, dispatcher, edge]) await clock.advance(100)
  gateway.traces.post(comment, 95)
  dispatcher.traces.store(comment, 97, 3)
  dispatcher.traces.forward(comment, 'e1', 98)
  dispatcher.traces.forward(comment, 'e2', 98)
  edge.traces.flush(comment, 98.5, 2, 700)
  gateway.traces.fanOut(comment, 'e1', 99, 350)
  await Promise.all([gateway, dispatcher, edge].map(({ traces }) => traces.close()))
  const spans = [gateway, dispatcher, edge].flatMap(each => each.spans())
  const [post, fanOut, store, forward, other, flush] = spans as [CollectedSpan, CollectedSpan, CollectedSpan, CollectedSpan, CollectedSpan, CollectedSpan]
  t.same(spans.map(({ name, kind }) => [name, kind]), [['post', 2], ['fan-out', 5], ['store', 2], ['forward', 3], ['forward', 3], ['flush', 2]])
  t.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1)
  t.match(post.traceId, /^[0-9a-f]{32}$/)
  t.equal(new Set(spans.map(({ spanId }) => spanId)).size, 6)
  for (const { spanId } of spans) t.match(spanId, /^[0-9a-f]{16}$/)
  t.same([post, store, forward, other, flush, fanOut].map(({ parentSpanId }) => parentSpanId), [undefined, post.spanId, store.spanId, store.spanId, forward.spanId, flush.spanId])
  t.same([flush.startTimeUnixNano, flush.endTimeUnixNano], ['1767225600098500000', '1767225600100000000'])
  t.same(fanOut.attributes, [
    { key: 'live.video', value: { stringValue: 'demo' } },
    { key: 'live.entry', value: { stringValue: '243901510635520' } },
    { key: 'live.edge', value: { stringValue: 'e1' } },
    { key: 'live.viewers', value: { intValue: '350' } },
  ])
  t.same((JSON.parse(edge.bodies[0]!) as Sent).resourceSpans[0]!.resource, {
    attributes: [['service.name', 'live-comments-edge'], ['service.instance.id', 'e1'], ['service.version', '1.2.3']].map(([key, stringValue]) => ({ key, value: { stringValue } })),
  })
})

t.test('a share of all comments is traced, the same at every part', async t => {
  const [few, many] = [traced('edge', 'e1', 0.1), traced('gateway', 'g1', 0.3)]
  const ids = Array.from({ length: 20_000 }, (_, i) => comment.id + 4_096 * i)
  const byFew = ids.filter(id => few.traces.samples(id))
  t.ok(byFew.length > 1_800 && byFew.length < 2_200, `${byFew.length}`)
  t.ok(byFew.every(id => many.traces.samples(id)), 'a smaller share is part of a larger one')
  fc.assert(fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), id => traced('x', 'x').traces.samples(id)), { numRuns: 100 })
  few.traces.flush({ videoId: 'demo', id: ids.find(id => !byFew.includes(id))! }, 0, 1, 1)
  await few.traces.close()
  t.same(few.bodies, [])
})

t.test('spans are sent once a second; what a collector does not take is dropped, counted and said once', async t => {
  const { clock, traces, bodies, told, at, spans, total } = traced('edge', 'e1')
  t.same(await total(), { sent: 0, dropped: 0 })
  traces.flush(comment, 0, 1, 1)
  traces.flush({ ...comment, id: comment.id + 1 }, 0, 1, 1)
  await clock.advance(1_000)
  t.equal(bodies.length, 1)
  t.equal(spans().length, 2)
  at.failure = new Error('status 503')
  for (let i = 0; i < 3; i++) {
    traces.flush(comment, 0, 1, 1)
    await clock.advance(1_000)
  }
  at.failure = undefined
  traces.flush(comment, 0, 1, 1)
  await clock.advance(1_000)
  t.same(told, ['status 503', undefined])
  t.same(await total(), { sent: 3, dropped: 3 })

  for (let i = 0; i < MOST_WAITING + 5; i++) traces.flush(comment, 0, 1, 1)
  await traces.close()
  t.same(await total(), { sent: 3 + MOST_WAITING, dropped: 8 })
  t.equal(clock.pending, 0)
})

t.test('the variables', async t => {
  const read = (env: NodeJS.ProcessEnv) => readConfig(env, tracesVariables)
  t.same(read({}), { OTEL_TRACES_SAMPLER_ARG: 0.01 })
  t.same(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example/otlp/', OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%2Cb, x-org = 7', OTEL_TRACES_SAMPLER_ARG: '1' }), {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example/otlp', OTEL_EXPORTER_OTLP_HEADERS: { 'api-key': 'a,b', 'x-org': '7' }, OTEL_TRACES_SAMPLER_ARG: 1,
  })
  for (const [name, value, rule] of [
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', /^OTEL_EXPORTER_OTLP_ENDPOINT: must be an http or https URL$/],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'api-key', /^OTEL_EXPORTER_OTLP_HEADERS: must be NAME=VALUE/],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=%zz', /must be NAME=VALUE/],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=%0d%0ax:1', /must be NAME=VALUE/],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5', /^OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1$/],
    ['OTEL_TRACES_SAMPLER_ARG', '-0.1', /from 0 to 1/],
    ['OTEL_TRACES_SAMPLER_ARG', 'all', /from 0 to 1/],
  ] as const) t.throws(() => read({ [name]: value }), { message: rule }, value)
})

t.test('to a real collector\'s address, with headers', async t => {
  const collector = await Collector.start()
  t.teardown(() => collector.close())
  const lines: string[] = []
  const log = pino({ base: null, timestamp: false, messageKey: 'event' }, { write: (line: string) => void lines.push(line) })
  const given = { role: 'edge', node: { id: 'e1', version: '1' }, metrics: new Registry(), log }
  const config = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_HEADERS: { 'api-key': 'secret' }, OTEL_TRACES_SAMPLER_ARG: 1 }
  t.equal(openTraces({ ...config, OTEL_EXPORTER_OTLP_ENDPOINT: undefined }, given), undefined)
  t.equal(openTraces({ ...config, OTEL_TRACES_SAMPLER_ARG: 0 }, given), undefined)
  const traces = openTraces(config, given)!
  traces.flush(comment, performance.now(), 1, 1)
  await traces.close()
  t.match(collector.spans, [{ service: 'live-comments-edge', name: 'flush' }])
  t.equal(collector.headers['api-key'], 'secret')
  t.ok(Math.abs(Number(collector.spans[0]!.endTimeUnixNano) / 1e6 - Date.now()) < 5_000)
  collector.status = 503
  traces.flush(comment, performance.now(), 1, 1)
  await traces.close()
  t.match(lines.join(''), /"reason":"status 503","event":"traces_not_taken"/)
})
