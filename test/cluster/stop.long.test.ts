import t from 'tap'
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Comment } from '../support/api.js'
import { run, startCluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { isAlive } from '../support/process.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

/** All paths in a folder, and its own. */
const allIn = (folder: string): string[] => [folder, ...readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(path => join(folder, path))]

/** The paths in a folder that other users may use, with their modes. A server may remove files at any time. */
const openTo = (folder: string): string[] =>
  allIn(folder).flatMap(path => {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
    return mode & 0o077 ? [`${(mode & 0o777).toString(8)} ${path}`] : []
  })

const SMALL = ['--edges', '1', '--dispatchers', '1']

t.test('one folder, from start to start', async t => {
  const data = tempFolder(t)
  let said: Comment

  await t.test('Ctrl-C leaves nothing', async t => {
    const cluster = await startCluster(t, ['--edges', '2'], { data, env: { npm_lifecycle_event: 'start' } })
    const lines = cluster.output.trimEnd().split('\n')
    t.equal(lines.filter(line => line.includes('is ready: http')).length, 1)
    t.match(lines.at(-1), /^Live comments is ready: http:\/\/127\.0\.0\.1:\d+\/$/)
    for (const id of ['zookeeper-1', 'dispatcher-1', 'dispatcher-2', 'edge-1', 'edge-2', 'gateway-1']) t.match(cluster.output, new RegExp(`^${id} +ready`, 'm'))
    for (const hint of [/curl -N/, /curl -d/, /npm run registry -- videos/]) t.match(cluster.output, hint)
    t.equal(statSync(join(data, 'internal-token')).mode & 0o777, 0o600)
    t.same(openTo(data), [], 'no other user of the machine reads anything')
    t.notMatch(cluster.output, readFileSync(join(data, 'internal-token'), 'utf8').trim(), 'the token is shown to nobody')

    const viewer = await watchReady(t, cluster.stream('kept'))
    said = await cluster.say('kept', 'still here tomorrow')
    await viewer.waitFor(({ id }) => id === said.id)
    const pids = cluster.members().map(({ pid }) => pid!)
    const exit = await cluster.stop()
    t.same(exit, { status: 0, signal: null })
    t.same(pids.filter(isAlive), [])
    t.notOk(existsSync(join(data, 'cluster.json')))
    t.notMatch(cluster.output, /did not stop in time/)
    await viewer.closed
  })

  for (const path of allIn(data)) chmodSync(path, statSync(path).isDirectory() ? 0o755 : 0o644) // as former versions left them

  await t.test('the next start finds every comment; a supervisor that is killed leaves no process, not even a frozen one', async t => {
    const cluster = await startCluster(t, ['--watchdog', '0', '--dispatchers', '1', '--edges', '2'], { data })
    t.same((await cluster.page('kept')).comments, [said])
    t.same(openTo(data), [])
    t.match(cluster.output, `${data} could be read by other users of this machine; it is closed now`)
    const resumed = await watchReady(t, cluster.stream('kept'), { lastEventId: '0' })
    t.same(resumed.ids, [said.id])
    // The former parts left the registry: what is there is what runs.
    const edges = JSON.parse((await cluster.registry('edges', '--json')).stdout) as { id: string; state: string }[]
    t.same(edges.map(({ id, state }) => [id, state]), [['edge-1', 'up'], ['edge-2', 'up']])

    const pids = cluster.members().map(({ pid }) => pid!)
    cluster.kill('edge-1', 'SIGSTOP')
    await cluster.crash()
    await until(() => !pids.some(isAlive), { what: 'all processes are gone' })
  })

  await t.test('after that crash too', async t => {
    const [cluster, other] = await Promise.all([startCluster(t, ['--watchdog', '0', ...SMALL], { data }), startCluster(t, SMALL)])
    t.same((await cluster.page('kept')).comments, [said], 'every comment is found')

    await t.test('another is started at the same moment, and the two know nothing of each other', async t => {
      t.same((await other.page('kept')).comments, [])
      t.match(await other.stop(), { status: 0 })
    })

    await t.test('a second start on the same folder says so', async t => {
      const second = await run(['cluster', '--port', '0', '--data', cluster.data])
      t.equal(second.status, 1)
      t.match(second.stderr, `already running on ${cluster.data}: ${cluster.url}`)
      t.equal((await fetch(`${cluster.url}/healthz`)).status, 200, 'the first one goes on')
    })

    await t.test('a port that is taken is told at once', async t => {
      const port = new URL(cluster.url).port
      const second = await run(['cluster', '--port', port, '--data', t.testdir()])
      t.equal(second.status, 1)
      t.match(second.stderr, `127.0.0.1:${port} is taken`)
    })

    await t.test('a second Ctrl-C ends everything now', async t => {
      const pids = cluster.members().map(({ pid }) => pid!)
      cluster.kill('gateway-1', 'SIGSTOP') // it will not stop in time
      process.kill(cluster.pid, 'SIGINT')
      await until(() => /stopping/.test(cluster.output))
      await new Promise(resolve => setTimeout(resolve, 600)) // sooner, it counts as the same Ctrl-C
      const began = performance.now()
      t.same(await cluster.stop(), { status: 1, signal: null })
      t.ok(performance.now() - began < 5_000, 'it waits for nobody: a stop may take 10 s')
      await until(() => !pids.some(isAlive), { what: 'all processes are gone' })
    })
  })
})

t.test('bad flags are named together, and nothing is started', async t => {
  const data = join(t.testdir(), 'data')
  const { status, stdout, stderr } = await run(['cluster', '--data', data, '--port', 'http', '--edges', '-1', '--what'])
  t.equal(status, 2)
  t.equal(stdout, '')
  for (const flag of ['--port', '--edges', '--what']) t.match(stderr, flag)
  t.notOk(existsSync(data))
})

t.test('a bad variable is told in its own words, and everything is stopped', async t => {
  const cluster = await startCluster(t, SMALL, { ready: false, env: { LOG_LEVEL: 'loud' } })
  t.same(await cluster.exited, { status: 2, signal: null })
  t.match(cluster.errors, 'LOG_LEVEL')
  t.equal(cluster.errors.split('LOG_LEVEL').length, 2, 'once')
  t.notOk(existsSync(join(cluster.data, 'cluster.json')))
})
