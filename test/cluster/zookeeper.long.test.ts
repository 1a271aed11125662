import t from 'tap'
import { spawn } from 'node:child_process'
import { Ports } from '../../cluster/ports.js'
import { startCluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { sawEverything } from '../support/delivered.js'
import { Poster } from '../support/poster.js'
import { PROGRAM } from '../support/program.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.test('a cluster and its ZooKeeper', async t => {
  const cluster = await startCluster(t, ['--edges', '2', '--dispatchers', '1'])
  const { url } = cluster.member('zookeeper-1')

  await t.test('another cluster that is given this ZooKeeper uses that one', async t => {
    const connect = url!.replace(/\/.*$/, '/another/chroot')
    const guest = await startCluster(t, ['--edges', '1', '--dispatchers', '1', '--zookeeper', connect])
    t.same(guest.record().zookeeper, [{ id: 'zookeeper', pid: null, url: connect, internalUrl: null }])
    const viewer = await watchReady(t, guest.stream('demo'))
    const said = await guest.say('demo', 'hello')
    await viewer.waitFor(({ id }) => id === said.id)
    t.same((await cluster.page('demo')).comments, [], 'and the two know nothing of each other')
  })

  await t.test('ZooKeeper is killed and comes back: posts, streams and new viewers go on meanwhile', async t => {
    const viewers = await Promise.all(Array.from({ length: 5 }, () => watchReady(t, cluster.stream('zk'))))
    const poster = new Poster(cluster, 'zk')
    t.after(() => poster.stop())
    await until(() => poster.acknowledged.length > 5)

    const pid = cluster.kill('zookeeper-1')
    await until(() => cluster.member('zookeeper-1').pid === null)
    viewers.push(await watchReady(t, cluster.stream('zk')), await watchReady(t, cluster.stream('other')))
    const other = viewers.pop()!
    const said = await cluster.say('other', 'nobody knows yet that you watch')
    await other.waitFor(({ id }) => id === said.id)

    await cluster.again('zookeeper-1', pid)
    t.equal(cluster.member('zookeeper-1').url, url, 'it is where it was')
    await until(async () => (JSON.parse((await cluster.registry('video', 'zk', '--json')).stdout) as { viewers: number }).viewers === 6)
    const late = await watchReady(t, cluster.stream('zk'))
    const before = poster.acknowledged.length
    await until(() => poster.acknowledged.length > before + 20)
    await poster.stop()
    t.same(poster.refused, [])
    await sawEverything(t, cluster, 'zk', [...viewers, late])
  })
})

t.test('a part that starts while ZooKeeper is away waits for it and says so', async t => {
  const ports = new Ports()
  await Promise.all(['edge', 'dispatcher', 'gateway'].map(async role => {
    const internal = await ports.take('127.0.0.1')
    const folder = tempFolder(t)
    const child = spawn('env', [...PROGRAM, role], {
      env: { ...process.env, PORT: '0', INTERNAL_PORT: String(internal), ZOOKEEPER_CONNECT: '127.0.0.1:1/away', STORE_URL: `sqlite:${folder}/comments.db` },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => child.kill('SIGKILL'))
    let log = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text))
    await until(() => /waiting_for_zookeeper/.test(log), { what: `${role} says what it waits for` })
    const ready = await fetch(`http://127.0.0.1:${internal}/readyz`)
    t.equal(ready.status, 503, `${role} is not ready`)
    t.match(await ready.json(), { error: { code: 'NOT_READY', message: /registry/ } })
    t.equal((await fetch(`http://127.0.0.1:${internal}/healthz`)).status, 200, `${role} is alive`)
    const exited = new Promise<number | null>(resolve => child.once('exit', resolve))
    child.kill('SIGTERM')
    t.equal(await exited, 0, `${role} stops when asked to`)
  }))
})
