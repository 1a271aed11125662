import t from 'tap'
import { Collector } from '../support/collector.js'
import { startCluster } from '../support/cluster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.test('a comment\'s way from the post to the viewers is one trace, of all parts', async t => {
  const collector = await Collector.start()
  t.after(() => collector.close())
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER_ARG: '1' } })
  const viewer = await watchReady(t, cluster.stream('demo'))
  const { id } = await cluster.say('demo', 'not in any span')
  await viewer.waitFor(comment => comment.id === id)
  const { spans } = collector
  await until(() => spans.length === 5, { what: 'five spans' })
  t.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1)
  const parent = new Map(spans.map(({ spanId, service, name }) => [spanId, `${service} ${name}`]))
  t.same(Object.fromEntries(spans.map(({ service, name, parentSpanId }) => [`${service} ${name}`, parent.get(parentSpanId ?? '')])), {
    'live-comments-gateway post': undefined,
    'live-comments-dispatcher store': 'live-comments-gateway post',
    'live-comments-dispatcher forward': 'live-comments-dispatcher store',
    'live-comments-edge flush': 'live-comments-dispatcher forward',
    'live-comments-gateway fan-out': 'live-comments-edge flush',
  })
  for (const { name, attributes, startTimeUnixNano: start, endTimeUnixNano: end } of spans) {
    t.match(attributes.find(({ key }) => key === 'live.entry'), { value: { stringValue: String(id) } }, name)
    t.ok(BigInt(start) <= BigInt(end), name)
  }
  t.notMatch(JSON.stringify(collector.spans), 'not in any span', 'no text leaves by a trace')
})
