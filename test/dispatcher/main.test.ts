import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { printActRequest } from '../../protocol/acts.js'
import { DEFAULT_SETTINGS } from '../../protocol/entry.js'
import { parseDispatcher } from '../../protocol/nodes.js'
import { parseResults, printPosts } from '../../protocol/posts.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { memoryFolder } from '../support/folder.js'
import { PROGRAM } from '../support/program.js'
import { until } from '../support/until.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'
import { draft } from './cast.js'

interface Run {
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<number | null>
  readonly stop: () => void
}

function run(t: Test, argv: string[], env: Record<string, string>): Run {
  const child = spawn('env', [...PROGRAM, 'dispatcher', ...argv], { env: { PATH: process.env['PATH'], ...env } })
  t.teardown(() => child.kill('SIGKILL'))
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    ended: once(child, 'close').then(([code]) => code as number | null),
    stop: () => child.kill('SIGTERM'),
  }
}

t.test('bad configuration: every bad variable is named, exit status 2', async t => {
  const { ended, stderr, stdout } = run(t, [], { INTERNAL_PORT: '99999', STORE_URL: 'mysql:x', NODE_ID: 'a.b', LOG_LEVEL: 'loud' })
  t.equal(await ended, 2)
  t.match(stderr(), /^dispatcher: bad configuration\n/)
  for (const name of ['INTERNAL_PORT', 'STORE_URL', 'NODE_ID', 'LOG_LEVEL']) t.match(stderr(), new RegExp(`^${name}: `, 'm'))
  t.equal(stdout(), '')
})

t.test('an unknown argument: exit status 2', async t => {
  const { ended, stderr } = run(t, ['--port', '1'], {})
  t.equal(await ended, 2)
  t.match(stderr(), /^dispatcher: bad configuration\n--port 1: /)
})

t.test('--help names every variable', async t => {
  const { ended, stdout } = run(t, ['--help'], {})
  t.equal(await ended, 0)
  for (const name of ['NODE_ID', 'INTERNAL_PORT', 'INTERNAL_TOKEN', 'ZOOKEEPER_CONNECT', 'STORE_URL', 'LOG_LEVEL']) t.match(stdout(), name)
})

t.test('a store of a later version: exit status 1 and words for the operator', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const db = new Database(path)
  db.pragma('user_version = 99')
  db.close()
  const { ended, stderr } = run(t, [], { STORE_URL: `sqlite:${path}`, INTERNAL_PORT: '0' })
  t.equal(await ended, 1)
  t.match(stderr(), `dispatcher: ${path} has schema version 99`)
})

t.test('while ZooKeeper is away it waits, says so, is not ready, and stores into a file that was accepted before; SIGTERM ends it with 0', async t => {
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  const path = join(memoryFolder(t), 'data', 'comments.db')
  const start = (connect: string) => run(t, [], { STORE_URL: `sqlite:${path}`, INTERNAL_PORT: '0', ZOOKEEPER_CONNECT: connect })
  const urlOf = (started: Run) => until(() => /"internalUrl":"(http[^"]+)"/.exec(started.stdout())?.[1])

  const first = start('127.0.0.1:1/none')
  const refused = await client.call(await urlOf(first), { path: '/internal/posts', body: printPosts({ passedOn: false, posts: [draft('v')] }), timeoutMs: 5_000 })
  t.match(parseResults(refused), [{ error: { code: 'STORE_UNAVAILABLE' } }], 'whether there should be a file nobody knows yet')
  t.equal(existsSync(path), false)
  first.stop()
  await first.ended
  const zookeeper = await startZooKeeper(t)
  const accepted = start(zookeeper.connect)
  await until(() => accepted.stdout().includes('"store_accepted"'))
  await until(() => accepted.stdout().includes('"announced"'))
  accepted.stop()
  await accepted.ended

  const started = start('127.0.0.1:1/none')
  const { ended, stdout, stop } = started
  const url = await urlOf(started)
  t.match(await client.call(url, { method: 'GET', path: '/readyz', timeoutMs: 2_000 }).catch((error: unknown) => error), { status: 503 })
  const body = await client.call(url, { path: '/internal/posts', body: printPosts({ passedOn: false, posts: [draft('v')] }), timeoutMs: 5_000 })
  t.match(parseResults(body), [{ created: true }])
  await until(() => stdout().includes('waiting_for_zookeeper'))
  t.match((await client.call(url, { method: 'GET', path: '/metrics', timeoutMs: 2_000 })).toString(), 'live_dispatcher_comments_stored_total 1')
  stop()
  t.equal(await ended, 0)
})

t.test('it announces itself, drains on SIGTERM, storing what still comes, and leaves the registry', async t => {
  const zookeeper = await startZooKeeper(t)
  const connect = `${zookeeper.connect}/live`
  const zk = await openZk(t, connect)
  const { ended, stdout, stop } = run(t, [], { NODE_ID: 'd1', STORE_URL: `sqlite:${join(memoryFolder(t), 'comments.db')}`, INTERNAL_PORT: '0', ZOOKEEPER_CONNECT: connect })
  const url = await until(() => /"internalUrl":"(http[^"]+)"/.exec(stdout())?.[1])
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  await until(() => client.call(url, { method: 'GET', path: '/readyz', timeoutMs: 2_000 }).then(() => true, () => false))
  const announced = async () => parseDispatcher((await zk.getData('/dispatchers/d1')).data)
  t.match(await announced(), { id: 'd1', internalUrl: url, state: 'up', wire: 1 })
  stop()
  await until(async () => (await announced()).state === 'draining')
  const body = await client.call(url, { path: '/internal/posts', body: printPosts({ passedOn: false, posts: [draft('v')] }), timeoutMs: 5_000 })
  t.match(parseResults(body), [{ created: true }])
  t.equal(await ended, 0)
  t.equal(await zk.exists('/dispatchers/d1'), null)
})

t.test('an act is logged whatever LOG_LEVEL leaves out', async t => {
  const zookeeper = await startZooKeeper(t)
  const connect = `${zookeeper.connect}/live`
  const zk = await openZk(t, connect)
  const { stdout } = run(t, [], { NODE_ID: 'd1', STORE_URL: `sqlite:${join(memoryFolder(t), 'comments.db')}`, INTERNAL_PORT: '0', ZOOKEEPER_CONNECT: connect, LOG_LEVEL: 'error' })
  const { internalUrl } = await until(() => zk.getData('/dispatchers/d1').then(({ data }) => parseDispatcher(data), () => undefined))
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  await until(() => client.call(internalUrl, { method: 'GET', path: '/readyz', timeoutMs: 2_000 }).then(() => true, () => false))
  const act = { type: 'settings', settings: { ...DEFAULT_SETTINGS, closed: true } } as const
  await client.call(internalUrl, { path: '/internal/acts', body: printActRequest({ passedOn: true, order: { videoId: 'v', key: 'k', actorId: 'mo', asModerator: true, act } }), timeoutMs: 5_000 })
  await until(() => stdout().endsWith('\n'))
  const lines = stdout().trim().split('\n').map(line => JSON.parse(line) as object)
  t.match(lines, [{ event: 'act', actor: 'mo', videoId: 'v', ...act }])
  t.equal(lines.length, 1, 'and nothing else is')
})

t.test('SIGTERM while ZooKeeper is away ends it with 0 all the same', async t => {
  const zookeeper = await startZooKeeper(t)
  const { ended, stdout, stop } = run(t, [], { NODE_ID: 'd1', STORE_URL: `sqlite:${join(memoryFolder(t), 'comments.db')}`, INTERNAL_PORT: '0', ZOOKEEPER_CONNECT: zookeeper.connect })
  await until(() => stdout().includes('"announced"'))
  await zookeeper.kill()
  await until(() => stdout().includes('zookeeper_lost'))
  stop()
  t.equal(await ended, 0)
})
