import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { Guard } from '../../cluster/guard.js'
import { peerPorts } from '../../cluster/ensemble.js'
import { Ports } from '../../cluster/ports.js'
import { findJars } from '../../registry/zookeeper/jars.js'
import { projectRoot } from '../../runtime/root.js'
import { until } from '../support/until.js'
import { openZk } from '../support/zookeeper.js'

t.setTimeout(120_000)

const HOST = '127.0.0.1'
/** Building it takes minutes of processor time, so that nothing here does: deploy/README.md says how. */
const validate = [join(projectRoot, '.cache', 'kubectl-validate'), ...(process.env['PATH'] ?? '').split(delimiter)].map(each => join(each, 'kubectl-validate')).find(each => existsSync(each))
const folder = join(projectRoot, 'deploy', 'kubernetes')

t.test('Kubernetes of several versions would take the manifests', { skip: validate === undefined && 'no kubectl-validate here; kubernetes.test.ts holds the manifests to what they must say' }, async t => {
  const files = readdirSync(folder).filter(name => name.endsWith('.yaml') && name !== 'kustomization.yaml').map(name => join(folder, name))
  for (const version of ['1.27', '1.30']) {
    const { status, stdout, stderr } = spawnSync(validate!, [...files, '--version', version], { encoding: 'utf8' })
    t.equal(status, 0, version, { stdout, stderr })
  }
})

t.test('the servers of ZooKeeper\'s image find each other, and say when they serve', async t => {
  const [ports, at] = [new Ports(), t.testdir()]
  const [clients, peers] = [[await ports.take(HOST), await ports.take(HOST), await ports.take(HOST)], await peerPorts(ports, 3)]
  const guard = new Guard()
  t.teardown(() => guard.close())
  const servers = clients.map((port, i) =>
    spawn('sh', [join(projectRoot, 'deploy', 'zookeeper', 'start.sh')], {
      stdio: 'ignore',
      detached: true,
      env: {
        PATH: process.env['PATH'],
        HOSTNAME: `zookeeper-${i}`,
        ZOOKEEPER_SERVERS: peers.map(({ peers, election }) => `${HOST}:${peers}:${election}`).join(' '),
        ZOOKEEPER_HEAP_MB: '64',
        ZOOKEEPER_PORT: String(port),
        ZOOKEEPER_DATA: join(at, String(i)),
        ZOOKEEPER_CLASSPATH: findJars(),
      },
    }),
  )
  guard.protect(servers.map(({ pid }) => pid!))
  t.teardown(async () => {
    for (const server of servers) {
      server.kill()
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    }
  })
  const ask = (i: number, ...words: string[]) => spawnSync('sh', [join(projectRoot, 'deploy', 'zookeeper', 'ask.sh'), ...words], { env: { PATH: process.env['PATH'], ZOOKEEPER_PORT: String(clients[i]) } }).status
  await until(() => [0, 1, 2].every(i => ask(i, 'srvr', 'Mode: ') === 0), { what: 'all serve', timeoutMs: 30_000 })
  const zk = await openZk(t, `${clients.map(port => `${HOST}:${port}`).join(',')}/kubernetes`)
  await zk.ensure('/here')
  servers[1]!.kill()
  servers[2]!.kill()
  await until(() => ask(0, 'srvr', 'Mode: ') !== 0, { what: 'one alone does not serve', timeoutMs: 30_000 })
  t.equal(ask(0, 'ruok', 'imok'), 0, 'and lives')
})
