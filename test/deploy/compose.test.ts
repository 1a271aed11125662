import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { z } from 'zod'
import { dispatcherVariables } from '../../dispatcher/config.js'
import { edgeVariables } from '../../edge/config.js'
import { gatewayVariables } from '../../gateway/config.js'
import { readConfig } from '../../runtime/config.js'
import { projectRoot } from '../../runtime/root.js'
import { DISPATCHERS } from '../../protocol/nodes.js'
import { expectedNodes } from '../../registry/expected-nodes.js'
import { composeVariables, readCompose, readImage, type Service } from '../support/container.js'
import { operate } from '../support/operator.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

const TOKEN = 'a-token-for-this-test-alone'
const shapes: Readonly<Record<string, z.ZodRawShape>> = { gateway: gatewayVariables, edge: edgeVariables, dispatcher: dispatcherVariables }
const compose = readCompose({ INTERNAL_TOKEN: TOKEN })
const image = readImage()
/** Name, part and definition of every service that runs a part. */
const parts = Object.entries(compose.services).flatMap(([name, service]) => (service.image === 'live-comments' && service.command![0]! in shapes ? [{ name, part: service.command![0]!, service }] : []))
const dependencies = ({ depends_on = [] }: Service): readonly string[] => (depends_on instanceof Array ? depends_on : Object.keys(depends_on))
/** What the process finds in its environment, but for what is the runtime's own. */
const environment = (service: Service): Record<string, string> => {
  const { NODE_ENV: _, ...own } = image.env
  return { ...own, ...Object.fromEntries(Object.entries(service.environment).map(([name, value]) => [name, String(value)])) }
}
/** The host's port and the container's. */
const published = ({ ports = [] }: Service) => ports.map(port => /^(.+):(\d+):(\d+)$/.exec(port)!.slice(1)) as [address: string, host: string, container: string][]

t.test('there are gateways, edges and dispatchers, and each is named after its service', async t => {
  const names = (wanted: string) => parts.filter(({ part }) => part === wanted).map(({ name }) => name)
  t.same(names('gateway'), ['gateway-1', 'gateway-2'])
  t.same(names('edge'), ['edge-1', 'edge-2', 'edge-3'])
  t.same(names('dispatcher'), ['dispatcher-1', 'dispatcher-2'])
  for (const { name, service } of parts) t.equal(service.environment['NODE_ID'], name)
})

t.test('every variable is one that its part reads, with a value that it takes', async t => {
  for (const { name, part, service } of parts) {
    const env = environment(service)
    const variables = Object.keys(shapes[part]!)
    // The dispatcher has no public port; the image is one for all.
    const needless = part === 'dispatcher' ? ['HOST', 'PORT'] : []
    t.same(Object.keys(env).filter(variable => !variables.includes(variable) && !needless.includes(variable)), [], name)
    t.doesNotThrow(() => readConfig(env, shapes[part]!), name)
  }
})

t.test('every variable whose default holds on one machine alone is set', async t => {
  for (const { name, part, service } of parts) {
    const env = environment(service)
    for (const [variable, schema] of Object.entries(shapes[part]!)) {
      const fallback = (schema as z.ZodType).safeParse(undefined).data
      const local = typeof fallback === 'string' && /127\.0\.0\.1|\.\//.test(fallback)
      const named = ['NODE_ID', 'INTERNAL_URL', 'PUBLIC_URL', 'INTERNAL_TOKEN'].includes(variable)
      if (local || named) t.ok(env[variable], `${variable} of ${name}`)
    }
  }
})

t.test('the parts reach each other, and ZooKeeper, by the names of their services', async t => {
  for (const { name, service } of parts) {
    const env = environment(service)
    t.equal(env['INTERNAL_URL'], `http://${name}:${env['INTERNAL_PORT']}`)
    const zookeeper = compose.services[env['ZOOKEEPER_CONNECT']!.split(':')[0]!]!
    t.ok(service.networks.some(network => zookeeper.networks.includes(network)), `${name} and ZooKeeper share a network`)
    for (const other of dependencies(service)) t.ok(compose.services[other], `${name} depends on ${other}`)
  }
})

t.test('a public URL leads to the public port, and nothing leads to an internal one', async t => {
  const taken: string[] = []
  for (const { name, service } of parts) {
    const env = environment(service)
    const ports = published(service)
    taken.push(...ports.map(([, host]) => host))
    t.notOk(ports.some(([, , container]) => container === env['INTERNAL_PORT']), name)
    t.ok(ports.every(([address]) => address === '127.0.0.1'), 'by default nothing but this machine reaches it')
    if (env['PUBLIC_URL'] === undefined) continue
    const url = new URL(env['PUBLIC_URL'])
    t.equal(url.hostname, 'localhost')
    t.same(ports.map(([, host, container]) => [host, container]), [[url.port, env['PORT']]], name)
  }
  t.equal(new Set(taken).size, taken.length, 'no port is published twice')
  for (const [name, { networks, ports }] of Object.entries(compose.services)) {
    if (ports) continue
    t.ok(networks.every(network => compose.networks[network]?.internal), `${name} is reached by the others alone`)
  }
  t.match(readCompose({ INTERNAL_TOKEN: TOKEN, PUBLIC_HOST: 'live.example' }).services['edge-2']!.environment['PUBLIC_URL'], 'http://live.example:8082')
})

t.test('without an internal token nothing starts, and the message says what to do', async t => {
  t.throws(() => readCompose({}), /INTERNAL_TOKEN: put one into \.env/)
})

t.test('what holds viewers has the kernel settings and the descriptors for them', async t => {
  for (const { name, part, service } of parts.filter(({ part }) => part !== 'dispatcher')) {
    t.equal(service.sysctls?.['net.ipv4.tcp_notsent_lowat'], 16_384, name)
    t.equal(service.sysctls?.['net.ipv4.tcp_retries2'], 8, name)
    const each = part === 'gateway' ? 2 : 1
    t.ok(service.ulimits!.nofile >= 15_000 * each * 2, name)
  }
})

t.test('the dispatchers share the file that holds the comments, on a volume that stays', async t => {
  const dispatchers = parts.filter(({ part }) => part === 'dispatcher')
  t.equal(new Set(dispatchers.map(({ service }) => service.environment['STORE_URL'])).size, 1)
  for (const { name, service } of dispatchers) {
    const [volume, target] = service.volumes![0]!.split(':')
    t.equal(dirname(String(service.environment['STORE_URL']).replace('sqlite:', '')), target, name)
    t.ok(volume! in compose.volumes, name)
  }
  for (const mount of compose.services['zookeeper']!.volumes!) t.ok(mount.split(':')[0]! in compose.volumes, mount)
})

t.test('a part is given longer to stop than it takes at most', async t => {
  for (const { name, part, service } of parts) {
    const deadline = /STOP_DEADLINE_MS = ([\d_]+)/.exec(readFileSync(join(projectRoot, part, 'main.ts'), 'utf8'))![1]!
    t.ok(Number(service.stop_grace_period!.replace('s', '')) * 1_000 > Number(deadline.replaceAll('_', '')), name)
  }
})

t.test('deploy/README.md names every variable that compose.yaml takes', async t => {
  const readme = readFileSync(join(projectRoot, 'deploy', 'README.md'), 'utf8')
  t.same(Array.from(readme.matchAll(/^\| `([A-Z_]+)` \|/gm), ([, name]) => name).sort(), composeVariables().sort())
})

t.test("ZooKeeper's health check tells a server that serves from none", async t => {
  const zookeeper = await startZooKeeper(t)
  const [kind, program, ...args] = compose.services['zookeeper']!.healthcheck!.test
  t.equal(kind, 'CMD')
  const check = () => spawnSync(program!, args.map(arg => arg.replace('2181', String(zookeeper.port)))).status
  t.equal(check(), 0)
  await zookeeper.kill()
  t.equal(check(), 1)
})

t.test('what should be there is written down by a service that runs once: as many parts as the file has', async t => {
  const { command, environment, depends_on, networks, restart } = compose.services['expect']!
  const zookeeper = await startZooKeeper(t)
  const connect = `${zookeeper.connect}/compose`
  const env = { ...environment, ZOOKEEPER_CONNECT: connect } as NodeJS.ProcessEnv
  const [part, ...argv] = command!
  t.equal(part, 'registry')
  t.equal((await operate(argv, { env })).status, 1, 'it fails while there is no registry')
  t.equal(restart, 'on-failure', 'and is run again')
  const zk = await openZk(t, connect)
  await zk.ensure(DISPATCHERS)
  t.equal((await operate(argv, { env })).status, 0)
  const count = (wanted: string) => parts.filter(({ part }) => part === wanted).length
  t.same(await expectedNodes(zk), { gateways: count('gateway'), edges: count('edge'), dispatchers: count('dispatcher') })

  t.equal(environment['ZOOKEEPER_CONNECT'], compose.services['dispatcher-1']!.environment['ZOOKEEPER_CONNECT'])
  t.ok(networks.some(network => compose.services['zookeeper']!.networks.includes(network)))
  t.match(depends_on, { zookeeper: { condition: 'service_healthy' }, 'dispatcher-1': { condition: 'service_started' }, 'dispatcher-2': { condition: 'service_started' } })
  // Without a service that waits for its end, `up --wait` fails: https://github.com/docker/compose/issues/10596
  t.ok(parts.some(({ service }) => JSON.stringify(service.depends_on).includes('"expect":{"condition":"service_completed_successfully","required":false}')))
})

const client = [['docker', 'compose'], ['docker-compose']].find(([program, ...args]) => /v[2-9]|^[2-9]/m.test(spawnSync(program!, [...args, 'version', '--short'], { encoding: 'utf8' }).stdout ?? ''))

t.test('Docker Compose reads the file as this test does', { skip: !client && 'no client of Docker Compose here; the file is held to the tests above' }, async t => {
  const [program, ...args] = client!
  const read = JSON.parse(execFileSync(program!, [...args, 'config', '--format', 'json'], { cwd: projectRoot, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], INTERNAL_TOKEN: TOKEN }, encoding: 'utf8' })) as { services: Record<string, Service> }
  t.same(Object.keys(read.services).sort(), Object.keys(compose.services).sort())
  for (const { name, service } of parts) t.same(read.services[name]!.environment, service.environment, name)
})
