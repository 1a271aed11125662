import t from 'tap'
import Database from 'better-sqlite3'
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { Ports } from '../../cluster/ports.js'
import { startCluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { PROGRAM } from '../support/program.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.test('a store that cannot be written: posts are refused, live viewing goes on', async t => {
  const cluster = await startCluster(t, ['--edges', '1'])
  const said = await cluster.say('demo', 'before')
  const viewer = await watchReady(t, cluster.stream('demo', '?recent=10'))
  t.same(viewer.ids, [said.id])

  // Another process inside a transaction is what stops every writer, root or not, on every system.
  const blocker = new Database(join(cluster.data, 'comments.db'))
  t.after(() => blocker.close())
  blocker.exec('BEGIN IMMEDIATE')
  const refused = await cluster.post('demo', { content: 'now' })
  t.equal(refused.status, 503)
  t.match(await refused.json(), { error: { code: 'STORE_UNAVAILABLE', message: /.+/ } })
  const newcomer = await watchReady(t, cluster.stream('demo', '?recent=10'))
  t.same(newcomer.ids, [said.id], 'a newcomer watches')
  t.notOk(viewer.isClosed)
  t.equal((await cluster.page('demo')).comments.length, 1, 'history is read')

  blocker.exec('ROLLBACK')
  const after = await cluster.say('demo', 'after')
  await viewer.waitFor(({ id }) => id === after.id)
  await newcomer.waitFor(({ id }) => id === after.id)
  // 503 says that the outcome is unknown: the comment may be there by now, and then its viewers have it too.
  const stored = async () => (await cluster.history('demo')).map(({ id }) => id).join() // its newest page may be a second old
  await until(async () => (await stored()).includes(after.id) && (await stored()) === viewer.ids.join(), { what: 'the viewer has seen what history has' })
})

t.test('a store that cannot be opened: the cluster waits and says why, posts are refused, and it is taken up once it can be', async t => {
  const data = tempFolder(t)
  mkdirSync(join(data, 'comments.db'))
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { data, ready: false })
  await until(() => /dispatcher-1 +waits: the file cannot be used: SQLITE_CANTOPEN/.test(cluster.output))
  const gateway = cluster.member('gateway-1').url!
  const post = () => fetch(`${gateway}/comments/demo`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"content":"now"}' })
  await until(() => fetch(`${gateway}/readyz`).then(response => response.ok, () => false), { what: 'the gateway listens, and is ready' })
  t.equal((await post()).status, 503)
  rmdirSync(join(data, 'comments.db'))
  await cluster.ready()
  await until(async () => (await post()).status === 201, { what: 'the gateway has heard that it can store' })
})

t.test('a log that cannot be written stops no part', { skip: !existsSync('/dev/full') && 'no /dev/full here' }, async t => {
  const full = openSync('/dev/full', 'w')
  t.after(() => closeSync(full))
  const ports = new Ports()
  await Promise.all(['edge', 'dispatcher', 'gateway'].map(async role => {
    const internal = await ports.take('127.0.0.1')
    const child = spawn('env', [...PROGRAM, role], {
      env: { ...process.env, PORT: '0', INTERNAL_PORT: String(internal), ZOOKEEPER_CONNECT: '127.0.0.1:1/away', STORE_URL: `sqlite:${tempFolder(t)}/comments.db` },
      stdio: ['ignore', full, 'inherit'],
    })
    t.after(() => child.kill('SIGKILL'))
    const exited = new Promise<number | null>(resolve => child.once('exit', resolve))
    await until(() => fetch(`http://127.0.0.1:${internal}/healthz`).then(response => response.ok, () => false), { what: `${role} is alive` })
    child.kill('SIGTERM')
    t.equal(await exited, 0, `${role} stops when asked to`)
  }))
})
