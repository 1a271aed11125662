import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { z } from 'zod'
import { dispatcherVariables } from '../../dispatcher/config.js'
import { edgeVariables } from '../../edge/config.js'
import { gatewayVariables } from '../../gateway/config.js'
import { parseConnectString, parseServers } from '../../registry/zookeeper/connect-string.js'
import { readConfig } from '../../runtime/config.js'
import { projectRoot } from '../../runtime/root.js'
import { composeVariables, readCompose, readImage, type Service } from '../support/container.js'
import { find, libraries } from '../support/front.js'

const FILE = 'deploy/scale/compose.yaml'
const compose = readCompose({ INTERNAL_TOKEN: 'a-token-for-this-test-alone' }, FILE)
const small = readCompose({ INTERNAL_TOKEN: 'a-token-for-this-test-alone' })
const shapes: Readonly<Record<string, z.ZodRawShape>> = { gateway: gatewayVariables, edge: edgeVariables, dispatcher: dispatcherVariables }
const named = (role: string) => Object.entries(compose.services).filter(([name]) => new RegExp(`^${role}-\\d$`).test(name))
const parts = Object.keys(shapes).flatMap(part => named(part).map(([name, service]) => ({ name, part, service })))
const environment = (service: Service): Record<string, string> => {
  const { NODE_ENV: _, ...own } = readImage().env
  return { ...own, ...Object.fromEntries(Object.entries(service.environment).map(([name, value]) => [name, String(value)])) }
}
const sharesNetwork = (one: Service, other: Service) => one.networks.some(network => other.networks.includes(network))

t.test('there is more than one of everything', async t => {
  t.same(Object.fromEntries(['gateway', 'edge', 'dispatcher', 'zookeeper', 'cassandra'].map(role => [role, named(role).length])), { gateway: 3, edge: 4, dispatcher: 3, zookeeper: 3, cassandra: 3 })
})

t.test('every variable is one that its part reads, with a value that it takes, and named after its service', async t => {
  for (const { name, part, service } of parts) {
    const env = environment(service)
    const needless = part === 'dispatcher' ? ['HOST', 'PORT'] : []
    t.same(Object.keys(env).filter(variable => !(variable in shapes[part]!) && !needless.includes(variable)), [], name)
    t.doesNotThrow(() => readConfig(env, shapes[part]!), name)
    t.match(env, { NODE_ID: name, INTERNAL_URL: `http://${name}:${env['INTERNAL_PORT']}` })
    t.same(service.command, [part])
  }
})

t.test('the parts reach every ZooKeeper, dispatchers every Cassandra, and HAProxy every gateway', async t => {
  for (const { name, part, service } of parts) {
    const env = environment(service)
    const servers = parseServers(parseConnectString(env['ZOOKEEPER_CONNECT']!).servers)
    t.same(servers.map(({ host }) => host), named('zookeeper').map(([server]) => server), name)
    for (const [, server] of named('zookeeper')) t.ok(sharesNetwork(service, server), name)
    if (part !== 'dispatcher') continue
    t.match(env['STORE_URL'], named('cassandra').map(([node]) => node).join(','))
    for (const [, node] of named('cassandra')) t.ok(sharesNetwork(service, node), name)
  }
  const { haproxy, init } = compose.services
  t.same(haproxy!.environment['GATEWAYS'], named('gateway').map(([name]) => `${name}:8080`).join(' '))
  for (const [name, gateway] of named('gateway')) t.ok(sharesNetwork(haproxy!, gateway), name)
  t.same(init!.environment['STORE_URL'], named('dispatcher')[0]![1].environment['STORE_URL'])
  t.same(init!.command, ['registry', 'store', 'init', '--replication', 'datacenter1=3'])
  t.same(compose.services['expect']!.command, ['registry', 'expect', '--gateways', '3', '--edges', '4', '--dispatchers', '3'])
})

t.test('only HAProxy is published, to this machine alone unless PUBLISH_ON says otherwise', async t => {
  for (const [name, { ports, networks }] of Object.entries(compose.services)) {
    if (name === 'haproxy') t.same(ports, ['127.0.0.1:8000:80'])
    else t.notOk(ports, name)
    if (!/^(haproxy|gateway)/.test(name)) t.ok(networks.every(network => compose.networks[network]?.internal), name)
  }
  t.same(composeVariables(FILE).filter(name => !composeVariables().includes(name)), [], 'it takes no other variables than the small one')
})

t.test('each server has disks of its own, and its number', async t => {
  const volumes = [...named('zookeeper'), ...named('cassandra')].flatMap(([, { volumes = [] }]) => volumes.map(volume => volume.split(':')[0]!))
  t.equal(new Set(volumes).size, volumes.length)
  t.same(volumes.sort(), Object.keys(compose.volumes).sort())
  t.same(named('zookeeper').map(([, { environment }]) => environment['ZOO_MY_ID']), [1, 2, 3])
  for (const [name, { image }] of named('zookeeper')) t.equal(image, small.services['zookeeper']!.image, name)
})

t.test('a part has the time, the descriptors and the kernel settings that it has in the small one', async t => {
  for (const { name, part, service } of parts) {
    const { stop_grace_period, sysctls, ulimits } = small.services[`${part}-1`]!
    t.match({ ...service }, { stop_grace_period, ...(sysctls ? { sysctls, ulimits } : {}) }, name)
  }
})

t.test('HAProxy takes the configuration that is made of the shipped one', async t => {
  const made = execFileSync('sh', [join(projectRoot, 'deploy/scale/haproxy.sh'), join(projectRoot, 'deploy/haproxy/haproxy.cfg')], { env: { PATH: process.env['PATH'], GATEWAYS: 'gateway-1:8080 gateway-2:8080 gateway-3:8080' }, encoding: 'utf8' })
  t.equal(made.match(/^ {4}server gateway-\d gateway-\d:8080 resolvers docker init-addr last,libc,none$/gm)?.length, 3)
  t.notMatch(made, /127\.0\.0\.1:80|bind :443/)
  const shipped = readFileSync(join(projectRoot, 'deploy/haproxy/haproxy.cfg'), 'utf8')
  t.ok(shipped.split('\n').filter(line => !made.includes(line)).length < 12, 'all else is as it is tested')
  const haproxy = find('haproxy')
  if (!haproxy) return t.pass('no HAProxy here; the configuration is held to the above')
  const file = join(t.testdir(), 'haproxy.cfg')
  writeFileSync(file, made)
  const { status, stderr } = spawnSync(haproxy.path, ['-c', '-f', file], { env: { ...process.env, LD_LIBRARY_PATH: libraries(haproxy) }, encoding: 'utf8' })
  t.equal(status, 0, stderr)
})
