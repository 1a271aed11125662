import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import t from 'tap'
import { parse } from 'yaml'
import { projectRoot } from '../../runtime/root.js'
import { systemClock } from '../../runtime/clock.js'
import { TlsWatch } from '../../runtime/tls/watch.js'
import { makeCertificate } from '../support/certificate.js'
import { startCluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { readCompose } from '../support/container.js'
import { addExposition, missing, parseQuery, type Exposition } from '../support/promql.js'
import { watchReady } from '../support/viewer.js'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string }
}
interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}
interface Board {
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
  readonly templating: { readonly list: readonly { readonly name: string }[] }
}
interface Scrape {
  readonly scrape_configs: readonly {
    readonly job_name: string
    readonly static_configs: readonly { readonly labels: Readonly<Record<string, string>>; readonly targets: readonly string[] }[]
  }[]
}

const ALERTS = [
  'Down', 'NotReady', 'DeliverySlow', 'EventLoopBlocked', 'StoreUnavailable', 'PostsFailing', 'Overloaded', 'RegistryStale',
  'ZooKeeperAway', 'EdgeFull', 'ViewersTurnedAway', 'HolesRepaired', 'SlowViewers', 'DescriptorsLow', 'DiskLow', 'EdgeSilent', 'PartsRefused', 'Certificate',
  'PeerAway', 'HookLags',
].map(name => `LiveComments${name}`)
const ROLES = ['gateway', 'edge', 'dispatcher'] as const

const folder = join(projectRoot, 'deploy')
const read = (...path: string[]) => readFileSync(join(folder, ...path), 'utf8')
const { groups } = parse(read('prometheus', 'alerts.yml')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap(group => group.rules)
const board = JSON.parse(read('grafana', 'live-comments.json')) as Board
const scrape = parse(read('prometheus', 'prometheus.yml')) as Scrape
const queries = [
  ...rules.map(({ alert, expr }) => ({ from: alert, expr })),
  ...board.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ from: title, expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*') }))),
  ...board.annotations.list.map(({ expr }) => ({ from: 'annotations', expr })),
]
/** Exported only where there is /proc. */
const ofLinux = ['process_open_fds', 'process_max_fds', 'process_resident_memory_bytes', 'process_cpu_seconds_total']

t.test('every query of the board and the rules asks for what the parts export, labels and their values too', async t => {
  // Of another cluster some figures are exported, whether it answers or not.
  const env = { CLUSTER_NAME: 'here', DEFAULT_HOME: 'here', PEERS: 'there=http://127.0.0.1:9', PEER_TOKEN: 'a-peer-token-for-this-test' }
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { env })
  await watchReady(t, cluster.stream('demo'))
  await cluster.say('demo', 'hello')
  const token = readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim()
  const exported: Exposition = new Map()
  const { gateways, edges, dispatchers } = cluster.record()
  for (const [part, members] of Object.entries({ gateway: gateways, edge: edges, dispatcher: dispatchers })) {
    for (const { id, internalUrl } of members) {
      const response = await fetch(`${internalUrl!}/metrics`, { headers: { authorization: `Bearer ${token}` } })
      t.equal(response.status, 200)
      const target = { job: 'live-comments', instance: id, part }
      addExposition(exported, `up 1\n${await response.text()}`, target)
    }
  }
  // Exported only where TLS is on.
  const tls = new Registry()
  const watch = new TlsWatch({ files: makeCertificate(tempFolder(t)), clock: systemClock, log: pino({ enabled: false }), metrics: tls, renew() {} })
  t.after(() => watch.close())
  addExposition(exported, await tls.metrics(), { job: 'live-comments', instance: 'gateway-1', part: 'gateway' })
  // Prometheus makes this one of the rules themselves.
  for (const alertname of ALERTS) addExposition(exported, 'ALERTS 1\n', { alertname, alertstate: 'firing' })
  if (process.platform !== 'linux') for (const name of ofLinux) addExposition(exported, `${name} 1\n`, { job: 'live-comments', instance: '', part: '' })

  t.ok(queries.length > 40)
  for (const { from, expr } of queries) t.equal(missing(expr, exported), undefined, `${from}: ${expr}`)

  // The check itself sees what is not there.
  t.equal(missing('rate(live_gateway_post_total[1m])', exported), 'no metric live_gateway_post_total')
  t.equal(missing('live_gateway_posts_total{status="2xx"}', exported), 'no live_gateway_posts_total{status="2xx"}')
  t.equal(missing('sum by (video) (live_edge_viewers)', exported), 'live_edge_viewers has no label video')
  t.throws(() => missing('sum(live_edge_viewers', exported), /no PromQL/)
})

t.test('there is a rule for each alarm, and its text names only labels that its result has', async t => {
  t.same(rules.map(({ alert }) => alert).sort(), ALERTS.sort())
  for (const { alert, expr, annotations, labels, for: lasting } of rules) {
    t.ok(['critical', 'warning'].includes(labels.severity), alert)
    t.match(lasting, /^\d+[sm]$/, alert)
    t.equal(annotations.runbook_url, `docs/operators.md#${alert.toLowerCase()}`)
    const { aggregates, grouping } = parseQuery(expr)
    const has = aggregates ? grouping : ['instance', 'part', 'job']
    for (const [, label] of `${annotations.summary}${annotations.description}`.matchAll(/\$labels\.(\w+)/g)) t.ok(has.includes(label!), `${alert}: ${label}`)
  }
})

t.test('what is scraped is what runs in containers', async t => {
  const [job] = scrape.scrape_configs
  t.equal(job!.job_name, 'live-comments')
  const { services } = readCompose({ INTERNAL_TOKEN: 'a-token-for-this-test-alone' })
  for (const role of ROLES) {
    const targets = job!.static_configs.find(({ labels }) => labels['part'] === role)!.targets
    const running = Object.values(services).flatMap(({ command, environment }) => (command?.[0] === role ? [new URL(String(environment['INTERNAL_URL'])).host] : []))
    t.same(targets, running, role)
  }
})

t.test('the board can be looked at for some instances alone', async t => {
  const [variable] = board.templating.list.filter(({ name }) => name === 'instance')
  t.match(variable, { type: 'query', query: 'label_values(up{job="live-comments"}, instance)', multi: true, includeAll: true, allValue: '.*' })
  for (const { title, targets = [] } of board.panels) {
    for (const { expr } of targets) {
      for (const { metric, matchers } of parseQuery(expr.replaceAll('$__rate_interval', '1m')).selectors) t.match(matchers.find(({ label }) => label === 'instance'), { op: '=~', value: '$instance' }, `${title}: ${metric}`)
    }
  }
})

t.test('the board: every panel is titled and explained, asks the chosen source, and covers no other', async t => {
  const cells = new Set<string>()
  t.equal(new Set(board.panels.map(({ id }) => id)).size, board.panels.length)
  for (const { type, title, description, datasource, gridPos: { x, y, w, h }, targets } of board.panels) {
    t.ok(title)
    if (type !== 'row') {
      t.ok(description, title)
      t.equal(datasource?.uid, '${datasource}', title)
      t.ok(targets!.every(({ legendFormat }) => legendFormat !== ''), title)
    }
    t.ok(x + w <= 24, title)
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        t.notOk(cells.has(`${column} ${line}`), `${title} has its place for itself`)
        cells.add(`${column} ${line}`)
      }
    }
  }
})

/** What a healthy cluster exports over ten minutes, in Prometheus's notation of series. */
const HEALTHY: Readonly<Record<string, string>> = {
  'up{job="live-comments",instance="edge-1",part="edge"}': '1+0x60',
  'live_ready{instance="edge-1"}': '1+0x60',
  'live_edge_delivery_seconds_bucket{instance="edge-1",le="0.1"}': '0+10x60',
  'live_edge_delivery_seconds_bucket{instance="edge-1",le="0.5"}': '0+10x60',
  'live_edge_delivery_seconds_bucket{instance="edge-1",le="+Inf"}': '0+10x60',
  'nodejs_eventloop_lag_p99_seconds{job="live-comments",instance="edge-1"}': '0.01+0x60',
  'live_dispatcher_posts_total{instance="dispatcher-1",code="STORE_UNAVAILABLE"}': '0+0x60',
  'live_dispatcher_posts_total{instance="dispatcher-1",code="OVERLOADED"}': '0+0x60',
  'live_dispatcher_sync_rooms_total{instance="dispatcher-1",from="none"}': '0+0x60',
  'live_gateway_posts_total{instance="gateway-1",status="201"}': '0+10x60',
  'live_gateway_posts_total{instance="gateway-1",status="503"}': '0+0x60',
  'live_registry_staleness_seconds{instance="edge-1"}': '0+0x60',
  'live_registry_connected{instance="edge-1"}': '1+0x60',
  'live_edge_viewers{instance="edge-1"}': '500+0x60',
  'live_edge_capacity_viewers{instance="edge-1"}': '1000+0x60',
  'live_gateway_turned_away_total{instance="gateway-1",reason="viewer_limit"}': '0+0x60',
  'live_gateway_endings_total{instance="gateway-1",reason="no_capacity"}': '0+0x60',
  'live_edge_comments_received_total{instance="edge-1"}': '0+100x60',
  'live_edge_comments_repaired_total{instance="edge-1"}': '0+0x60',
  'live_edge_slow_viewers_total{instance="edge-1"}': '0+0x60',
  'live_gateway_viewers{instance="gateway-1"}': '500+0x60',
  'live_gateway_endings_total{instance="gateway-1",reason="slow"}': '0+0x60',
  'process_open_fds{job="live-comments",instance="edge-1"}': '100+0x60',
  'process_max_fds{job="live-comments",instance="edge-1"}': '1000+0x60',
  'live_disk_free_bytes{instance="dispatcher-1"}': '50000000000-1000000x60', // it fills, slowly
  'live_gateway_edges_set_aside{instance="gateway-1"}': '0+0x60',
  'live_internal_refusals_total{instance="dispatcher-1",code="UNAUTHORIZED"}': '0+0x50 1+0x9', // a stranger who tries once
  'live_internal_refusals_total{instance="dispatcher-1",code="WRONG_WIRE_VERSION"}': '0+0x60',
  'live_tls_certificate_expires_timestamp_seconds{instance="gateway-1"}': '1000000+0x60', // Unix time begins with the test
  'live_tls_files_usable{instance="gateway-1"}': '1+0x60',
  'live_peer_up{instance="dispatcher-1",peer="west"}': '1+0x30 0 1+0x29', // one call that had no answer
  'live_peer_lag_seconds{instance="dispatcher-1",peer="west"}': '3+0x60',
  'live_hook_oldest_undelivered_seconds{instance="dispatcher-1"}': '0+0x30 61 70 0+0x28', // its receiver was restarted
  'live_internal_refusals_total{instance="dispatcher-1",code="MISDIRECTED"}': '0+1x60', // restarts, one after the other
}

/** For each alarm, the series by which a sick cluster differs. */
const SICK: readonly (readonly [alert: string, series: string, values: string])[] = [
  ['Down', 'up{job="live-comments",instance="edge-1",part="edge"}', '0+0x60'],
  ['NotReady', 'live_ready{instance="edge-1"}', '0+0x60'],
  ['DeliverySlow', 'live_edge_delivery_seconds_bucket{instance="edge-1",le="0.1"}', '0+9x60'],
  ['EventLoopBlocked', 'nodejs_eventloop_lag_p99_seconds{job="live-comments",instance="edge-1"}', '0.2+0x60'],
  ['StoreUnavailable', 'live_dispatcher_posts_total{instance="dispatcher-1",code="STORE_UNAVAILABLE"}', '0+1x60'],
  ['StoreUnavailable', 'live_dispatcher_sync_rooms_total{instance="dispatcher-1",from="none"}', '0+1x60'],
  ['PostsFailing', 'live_gateway_posts_total{instance="gateway-1",status="503"}', '0+1x60'],
  ['Overloaded', 'live_dispatcher_posts_total{instance="dispatcher-1",code="OVERLOADED"}', '0+1x60'],
  ['RegistryStale', 'live_registry_staleness_seconds{instance="edge-1"}', '0+10x60'],
  ['ZooKeeperAway', 'live_registry_connected{instance="edge-1"}', '0+0x60'],
  ['EdgeFull', 'live_edge_viewers{instance="edge-1"}', '950+0x60'],
  ['ViewersTurnedAway', 'live_gateway_turned_away_total{instance="gateway-1",reason="viewer_limit"}', '0+1x60'],
  ['ViewersTurnedAway', 'live_gateway_endings_total{instance="gateway-1",reason="no_capacity"}', '0+1x60'],
  ['HolesRepaired', 'live_edge_comments_repaired_total{instance="edge-1"}', '0+5x60'],
  ['SlowViewers', 'live_gateway_endings_total{instance="gateway-1",reason="slow"}', '0+5x60'],
  ['SlowViewers', 'live_edge_slow_viewers_total{instance="edge-1"}', '0+5x60'],
  ['DescriptorsLow', 'process_open_fds{job="live-comments",instance="edge-1"}', '900+0x60'],
  ['DiskLow', 'live_disk_free_bytes{instance="dispatcher-1"}', '900000000+0x60'],
  ['DiskLow', 'live_disk_free_bytes{instance="dispatcher-1"}', '20000000000-100000000x60'], // full in half an hour
  ['EdgeSilent', 'live_gateway_edges_set_aside{instance="gateway-1"}', '1+0x60'],
  ['Certificate', 'live_tls_certificate_expires_timestamp_seconds{instance="gateway-1"}', '600000+0x60'],
  ['Certificate', 'live_tls_files_usable{instance="gateway-1"}', '0+0x60'],
  ['PeerAway', 'live_peer_up{instance="dispatcher-1",peer="west"}', '0+0x60'],
  ['PeerAway', 'live_peer_lag_seconds{instance="dispatcher-1",peer="west"}', '0+10x60'],
  ['HookLags', 'live_hook_oldest_undelivered_seconds{instance="dispatcher-1"}', '0+10x60'],
  ['PartsRefused', 'live_internal_refusals_total{instance="dispatcher-1",code="UNAUTHORIZED"}', '0+1x60'],
  ['PartsRefused', 'live_internal_refusals_total{instance="dispatcher-1",code="WRONG_WIRE_VERSION"}', '0+1x60'],
]

t.test('for each alarm it is known what makes it sound', async t => {
  t.same([...new Set(SICK.map(([alert]) => `LiveComments${alert}`))].sort(), ALERTS.sort())
  for (const [alert, series] of SICK) t.ok(series in HEALTHY, alert)
})

const noPromtool = spawnSync('promtool', ['--version']).status !== 0 && 'no promtool here; the queries are held to their grammar and the metrics above'

t.test('Prometheus takes the configuration, and each alarm sounds for what it is there for, alone', { skip: noPromtool }, async t => {
  const copy = t.testdir()
  cpSync(join(folder, 'prometheus'), copy, { recursive: true })
  writeFileSync(join(copy, 'internal-token'), 'x')
  const takes = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: copy, encoding: 'utf8' })
    t.equal(status, 0, `promtool ${args.join(' ')}`, { stdout, stderr })
  }
  takes('check', 'config', 'prometheus.yml')
  // The board's queries have no such check of their own; as rules they have.
  writeFileSync(join(copy, 'board.json'), JSON.stringify({ groups: [{ name: 'board', rules: queries.map(({ expr }, index) => ({ record: `board_${index}`, expr })) }] }))
  takes('check', 'rules', '--lint=none', 'board.json')
  const testOf = (differs: Readonly<Record<string, string>>, alert?: string) => ({
    interval: '10s',
    input_series: Object.entries({ ...HEALTHY, ...differs }).map(([series, values]) => ({ series, values })),
    promql_expr_test: [{
      expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
      eval_time: '10m',
      exp_samples: alert === undefined ? [] : [{ labels: `{alertname="LiveComments${alert}"}`, value: 1 }],
    }],
  })
  const tests = [testOf({}), ...SICK.map(([alert, series, values]) => testOf({ [series]: values }, alert))]
  writeFileSync(join(copy, 'tests.json'), JSON.stringify({ rule_files: ['alerts.yml'], evaluation_interval: '10s', tests }))
  takes('test', 'rules', 'tests.json')
})
