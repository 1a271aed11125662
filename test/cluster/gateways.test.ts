import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { GATEWAYS, parseGateway } from '../../protocol/nodes.js'
import type { GatewayRow } from '../../cli/nodes.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { RunningCommand } from '../support/operator.js'
import { PROGRAM } from '../support/program.js'
import { until } from '../support/until.js'
import { watch, watchReady } from '../support/viewer.js'

t.setTimeout(230_000)

const rows = async (cluster: Cluster) => JSON.parse((await cluster.registry('gateways', '--json')).stdout) as GatewayRow[]
const row = async (cluster: Cluster, id: string) => (await rows(cluster)).find(row => row.id === id)
const ready = async (cluster: Cluster, id: string) => (await fetch(`${cluster.member(id).url}/readyz`)).status
const post = (url: string) => fetch(`${url}/comments/demo`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"content":"hello"}' })

t.test('gateways are listed, and drained and taken back by their id', async t => {
  const cluster = await startCluster(t, ['--gateways', '2', '--edges', '1', '--dispatchers', '1', '--watchdog', '0'])
  const { url } = cluster.member('gateway-2')
  t.not(url, cluster.url)
  t.match(cluster.output, /^gateways +each has a port of its own: SHARE_PORT is false$/m)
  const news = new RunningCommand(['watch'], { env: cluster.zookeeperEnv })
  t.after(() => news.interrupt())
  await until(() => news.stderr.includes('watching'))
  t.match(await rows(cluster), [{ id: 'gateway-1', state: 'up', viewers: 0 }, { id: 'gateway-2', state: 'up', viewers: 0, url }])
  const viewers = await Promise.all([1, 2, 3].map(() => watchReady(t, `${url}/comments/demo`)))
  await until(async () => (await row(cluster, 'gateway-2'))?.viewers === 3, { what: 'its viewers are announced' })
  t.match((await cluster.registry('gateways')).stdout, /^gateway-2 +up +3 {2}http:.*\n\n2 gateways, 3 viewers$/m)

  const { status, stdout } = await cluster.registry('drain', 'gateway-2')
  t.same([status, stdout], [0, 'gateway-2 is asked to drain; the commands edges and gateways show its progress.\n'])
  await Promise.all(viewers.map(({ closed }) => closed))
  for (const { retryMs } of viewers) t.ok(retryMs! >= 500)
  await until(async () => (await row(cluster, 'gateway-2'))?.state === 'draining')
  await until(async () => (await row(cluster, 'gateway-2'))?.viewers === 0)
  t.equal(await ready(cluster, 'gateway-2'), 503)
  t.equal(await ready(cluster, 'gateway-1'), 200, 'the other one is not meant')
  const newcomer = watch(t, `${url}/comments/demo`)
  await newcomer.closed
  t.ok(newcomer.status === 200 && newcomer.retryMs! >= 500)
  t.equal((await post(url!)).status, 201, 'posts are served')
  t.match(news.stdout, /gateway gateway-2 drains\n/)

  t.equal((await cluster.registry('undrain', 'gateway-2')).status, 0)
  await until(async () => (await ready(cluster, 'gateway-2')) === 200)
  await watchReady(t, `${url}/comments/demo`)
  await until(() => /gateway gateway-2 takes work again\n/.test(news.stdout))

  t.equal((await cluster.registry('drain', 'gateway-2')).status, 0)
  await until(async () => (await ready(cluster, 'gateway-2')) === 503)
  await cluster.again('gateway-2', cluster.kill('gateway-2'))
  t.equal(await ready(cluster, 'gateway-2'), 200, 'a wish is for one process, not for those after it')
  await watchReady(t, `${url}/comments/demo`)

  await t.test('a second gateway of the same id serves all the same, unannounced', t => another(t, cluster))
})

async function another(t: Test, cluster: Cluster): Promise<void> {
  const child = spawn('env', [...PROGRAM, 'gateway'], { env: { PATH: process.env['PATH'], NODE_ID: 'gateway-1', PORT: '0', INTERNAL_PORT: '0', ...cluster.zookeeperEnv }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  const line = await until(() => /^.*"event":"listening".*$/m.exec(output)?.[0], { what: 'it listens' })
  const { publicUrl } = JSON.parse(line) as { publicUrl: string }
  await until(() => output.includes('"event":"announcement_conflict"'), { what: 'it says that its id is taken' })
  t.equal((await fetch(`${publicUrl}/readyz`)).status, 200)
  const zk = await cluster.openZk(t)
  t.equal(parseGateway((await zk.getData(`${GATEWAYS}/gateway-1`)).data).publicUrl, cluster.member('gateway-1').url)
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
  t.ok(await zk.exists(`${GATEWAYS}/gateway-1`), 'it leaves what is not its own')
}
