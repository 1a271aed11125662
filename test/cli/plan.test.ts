import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MEASURED, PRICES } from '../../cli/plan/measured.js'
import { planFor, type Demand, type Need } from '../../cli/plan/plan.js'
import { planText } from '../../cli/plan/text.js'
import { projectRoot } from '../../runtime/root.js'
import { operate } from '../support/operator.js'

const demand: Demand = { viewers: 1_000_000, rate: 100, videos: 1, gzip: true, coreHour: 0.04, gbEgress: 0.05 }
const need = (given: Partial<Demand>, part: Need['part']) => planFor({ ...demand, ...given }).needs.find(each => each.part === part)

t.test('a million viewers of one video', async t => {
  t.match(need({}, 'gateway'), { limit: /^processor: 7,0\d\d viewers each/ })
  t.ok(need({}, 'gateway')!.count >= 140 && need({}, 'gateway')!.count < 150)
  t.match(need({}, 'edge'), { count: 101, limit: 'EDGE_VIDEO_SHARE: 10,000 viewers of one video each' })
  t.match(need({}, 'zookeeper'), { count: 3 })
  const plan = planFor(demand)
  t.equal(Math.round(plan.egressBits / 1e8), Math.round((1_000_000 * 100 * 41 * 8) / 1e8))
  t.match(planFor({ ...demand, gzip: false }).egressBits / plan.egressBits, 141 / 41)
})

t.test('many viewers to whom little is written are limited by descriptors', async t => {
  t.match(need({ rate: 0 }, 'gateway'), { count: 54, limit: 'descriptors: 19,125 viewers each' })
  t.match(need({ videos: 100_000, rate: 1_000 }, 'gateway'), { count: 54 })
  t.match(need({ rate: 0, descriptors: 100_875 }, 'gateway'), { count: 11, limit: 'descriptors: 100,000 viewers each' })
})

t.test('many videos take many edges, and many posts many dispatchers on many hosts', async t => {
  t.match(need({ videos: 2_000_000, rate: 0, viewers: 100_000 }, 'edge'), { count: 101, limit: 'the registry: 20,000 videos each' })
  const posts = { rate: 50_000, videos: 100_000, viewers: 100_000 }
  t.ok(need(posts, 'dispatcher')!.count > 20)
  t.match(need(posts, 'cassandra'), { count: 60, limit: 'processor: 3,600 posts a second for each 3 nodes of 2 cores' })
  t.match(need({ rate: 2_000, viewers: 1_000_000 }, 'cassandra'), { count: 3, limit: /^three replicas: \d+ dispatchers do not fit/ })
  t.equal(need({}, 'cassandra'), undefined)
  t.match(planFor(demand).remarks.join('\n'), /The 8 dispatchers fit on one machine, with one SQLite file\. .* add 3 Cassandras of 2 cores/)
  t.match(planFor({ ...demand, videos: 1_000, rate: 5_000 }).remarks.join('\n'), 'add 6 Cassandras', 'as many as its posts take')
})

t.test('the smallest cluster has a spare of each', async t => {
  t.same(planFor({ ...demand, viewers: 1, rate: 1 }).needs.map(({ part, count }) => [part, count]), [['gateway', 2], ['edge', 2], ['dispatcher', 2], ['zookeeper', 3]])
})

t.test('costs are those of the prices that are given', async t => {
  const { cores, egressBits, dollarsPerHour, dollarsPerMillionViewerHours } = planFor({ ...demand, coreHour: 0.03, gbEgress: 0.02 })
  t.ok(Math.abs(dollarsPerHour - (cores * 0.03 + (egressBits / 8e9) * 3600 * 0.02)) < 1e-6)
  t.equal(dollarsPerMillionViewerHours, dollarsPerHour)
  t.equal(planFor({ ...demand, coreHour: 1, gbEgress: 0 }).dollarsPerHour, cores)
})

t.test('every figure names a file of this repository', async t => {
  for (const [name, { source }] of Object.entries(MEASURED)) t.ok(existsSync(join(projectRoot, source.split(':')[0]!)), `${name}: ${source}`)
})

t.test('a plan is told in a page', async t => {
  const text = planText(planFor(demand), false, false)
  t.match(text, /^1,000,000 viewers, 100 comments a second, 1 video:\n\nPART +PROCESSES +CORES USED +WHAT LIMITS THEM\ngateway +14\d /)
  t.match(text, /Gbit\/s to viewers, compressed/)
  t.match(text, /^\$\d+\.\d\d an hour; \$\d+\.\d\d a million viewer-hours, at \$0\.04 a core-hour and \$0\.05 a GB to the public: assumed where/m)
  t.match(text, 'One video has one owner')
  t.notMatch(text, 'bench/results')
  t.match(planText(planFor(demand), true, false), /writeMicroseconds 9\.7: bench\/results\/sweep\.json[^]*gbEgress 0\.05: assumed, /)
})

t.test('the command says what it costs unasked, at assumed prices, and why it refuses a number', async t => {
  const place = { folder: t.testdir(), env: {} }
  const plan = async (...flags: string[]) => JSON.parse((await operate(['plan', '--viewers', '1000', '--rate', '1', '--json', ...flags], place)).stdout) as { demand: Demand; dollarsPerHour: number }
  t.match(await plan(), { demand: { coreHour: PRICES.coreHour.dollars, gbEgress: PRICES.gbEgress.dollars }, dollarsPerHour: Number })
  t.match(await plan('--core-hour', '0', '--gb-egress', '0'), { dollarsPerHour: 0 })
  t.match(await operate(['plan', '--viewers', '2000000000', '--rate', '1'], place), { status: 2, stderr: /--viewers.*of at most nine digits/ })
  t.match(await operate(['plan', '--viewers', '1', '--rate', '0.0000001'], place), { status: 2, stderr: /--rate.*six behind the point/ })
})
