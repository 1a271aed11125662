import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { Ports } from '../../cluster/ports.js'
import type { Comment } from '../support/api.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { operate } from '../support/operator.js'
import { ENTRY, plainNode } from '../support/program.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(230_000)

const MOUNT = ['unshare', '--user', '--map-root-user', '--mount']
/** Why this machine has no mounts for a process alone. */
const noMounts = (() => {
  const { status, stderr, error } = spawnSync(MOUNT[0]!, [...MOUNT.slice(1), 'true'], { encoding: 'utf8' })
  return status !== 0 && `no mounts of its own can be had here: ${error?.message ?? stderr.trim()}`
})()
const VIDEOS = Array.from({ length: 6 }, (_, i) => `v${i}`)
/** Puts the wall clock forward by an hour and a half. */
const FAST = 'data:text/javascript,const%20real=Date.now;Date.now=()=>real()+5400000'

const filesOf = (cluster: Cluster) => readdirSync(cluster.data).filter(name => name.startsWith('comments.db'))
const ready = async (url: string) => fetch(`${url}/readyz`).then(async answer => (answer.ok ? 'ready' : ((await answer.json()) as { error: { message: string } }).error.message), () => '')
const readyz = (cluster: Cluster, id: string) => ready(cluster.member(id).internalUrl!)
const store = (cluster: Cluster, ...argv: string[]) => operate(['store', ...argv, '--data', cluster.data])

/** Posts to every video. @returns what was acknowledged, and the codes of the others */
async function postToAll(cluster: Cluster, content: string): Promise<{ acknowledged: Comment[]; refused: string[] }> {
  const acknowledged: Comment[] = []
  const refused: string[] = []
  for (const video of VIDEOS) {
    const answer = await cluster.post(video, { content })
    if (answer.status === 201) acknowledged.push((await answer.json()) as Comment)
    else refused.push(`${answer.status} ${((await answer.json()) as { error: { code: string } }).error.code}`)
  }
  return { acknowledged, refused }
}

async function postable(cluster: Cluster, content: string): Promise<Comment[]> {
  return until(async () => {
    const { acknowledged, refused } = await postToAll(cluster, content)
    return refused.length === 0 ? acknowledged : undefined
  }, { what: 'posts are taken again' })
}

/** One more dispatcher in the cluster's registry. */
async function dispatcher(t: Test, cluster: Cluster, id: string, env: NodeJS.ProcessEnv = {}, under: readonly string[] = []): Promise<{ url: string; child: ChildProcess }> {
  const port = await new Ports().take('127.0.0.1')
  const [command, ...args] = [...under, 'env', ...plainNode(env['NODE_OPTIONS']), ENTRY, 'dispatcher']
  const child = spawn(command, args, {
    env: {
      ...process.env,
      NODE_ID: id,
      INTERNAL_PORT: String(port),
      INTERNAL_TOKEN: readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim(),
      ...cluster.zookeeperEnv,
      STORE_URL: `sqlite:${cluster.data}/comments.db`,
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  t.after(async () => {
    const exited = new Promise(resolve => child.once('exit', resolve))
    if (child.exitCode === null && child.kill('SIGKILL')) await exited
  })
  return { url: `http://127.0.0.1:${port}`, child }
}

t.test('the store\'s file under running dispatchers', async t => {
  const cluster = await startCluster(t, ['--edges', '1'])
  const viewer = await watchReady(t, cluster.stream('v0', '?recent=50'))
  const said = await postable(cluster, 'first')
  const ofV0 = [said.find(({ videoId }) => videoId === 'v0')!]

  await t.test('moved away: nothing is acknowledged, by nobody, also not after a restart; put back, all is there', async t => {
    for (const name of filesOf(cluster)) renameSync(join(cluster.data, name), join(cluster.data, `old-${name}`))
    const { acknowledged, refused } = await postToAll(cluster, 'into nothing')
    t.same(acknowledged, [])
    t.ok(refused.every(answer => /^503 (STORE_UNAVAILABLE|UNAVAILABLE)$/.test(answer)), refused.join())
    for (const id of ['dispatcher-1', 'dispatcher-2']) await until(async () => /is missing, and store \w+ is expected/.test(await readyz(cluster, id)), { what: `${id} says what is missing` })
    const pid = cluster.kill('dispatcher-1')
    await until(() => ![null, pid].includes(cluster.member('dispatcher-1').pid))
    await until(async () => /is missing/.test(await readyz(cluster, 'dispatcher-1')), { what: 'and says so after a restart' })
    t.same((await postToAll(cluster, 'into nothing')).acknowledged, [])
    t.same(filesOf(cluster), [], 'no file was made in its place')
    const shown = await store(cluster)
    t.match(shown.stdout, /dispatcher-1 +- +- +refused +\S+comments\.db/)
    t.match(shown.stdout, /^dispatcher-2: \S+comments\.db is missing, and store \w+ is expected$/m)
    t.match((await operate(['doctor', '--data', cluster.data])).stdout, /^problem {2}dispatcher-1: does not take \S+comments\.db for the cluster's store: \S+comments\.db is missing, and store \w+ is expected\n/m)

    for (const name of readdirSync(cluster.data).filter(name => name.startsWith('old-'))) renameSync(join(cluster.data, name), join(cluster.data, name.slice(4)))
    ofV0.push((await postable(cluster, 'put back'))[0]!)
    t.same((await cluster.history('v0')).map(({ id }) => id), ofV0.map(({ id }) => id))
    await until(() => viewer.ids.length === ofV0.length)
    t.notOk(viewer.isClosed, 'one stream, all the time')
  })

  await t.test('an older copy in its place is refused; restored, it is a new generation, and viewers are told', async t => {
    const copy = join(cluster.data, 'copy')
    const database = new Database(join(cluster.data, 'comments.db'))
    await database.backup(copy)
    database.close()
    const later = await cluster.say('v0', 'not in the copy')
    await until(() => viewer.ids.at(-1) === later.id)
    for (const name of filesOf(cluster)) rmSync(join(cluster.data, name))
    renameSync(copy, join(cluster.data, 'comments.db'))
    t.same((await postToAll(cluster, 'into an old file')).acknowledged, [])
    for (const id of ['dispatcher-1', 'dispatcher-2']) await until(async () => /is older than what was stored/.test(await readyz(cluster, id)), { what: `${id} sees that it is older` })
    const wrong = await store(cluster, 'accept', 'dispatcher-1')
    t.match(wrong, { status: 1, stderr: /restore it, so that viewers are told of the gap/ })

    const restored = await store(cluster, 'restore', 'dispatcher-1')
    t.match(restored, { status: 0, stdout: /comments\.db, the file of dispatcher-1, is the store now\./, stderr: /^cluster / })
    const after = (await postable(cluster, 'after the restore'))[0]!
    await viewer.waitFor(({ id }) => id === after.id)
    const gap = viewer.events.find(({ event, data }) => event === 'gap' && BigInt((JSON.parse(data) as { to: string }).to) < BigInt(later.id))
    t.equal(gap && (JSON.parse(gap.data) as { from: string }).from, later.id, 'a gap leads back')
    t.notOk(viewer.isClosed)
    const history = (await cluster.history('v0')).map(({ id }) => id)
    t.notOk(history.includes(later.id))
    t.same(history.filter(id => !ofV0.some(comment => comment.id === id)).at(-1), after.id)
    for (const id of ['dispatcher-1', 'dispatcher-2']) t.equal(await until(async () => (await readyz(cluster, id)) === 'ready' && 'ready'), 'ready')
  })

  await t.test('a dispatcher with another file joins: refused, and posts go on into the right one', async t => {
    const folder = tempFolder(t)
    const { url } = await dispatcher(t, cluster, 'dispatcher-9', { STORE_URL: `sqlite:${folder}/comments.db` })
    await until(async () => /comments\.db is missing, and store \w+ is expected/.test(await ready(url)))
    t.notOk(existsSync(join(folder, 'comments.db')))
    const { acknowledged, refused } = await postToAll(cluster, 'while a stranger is there')
    t.same(refused, [])
    for (const { id, videoId } of acknowledged) t.ok((await cluster.history(videoId)).some(comment => comment.id === id))

    const other = new Database(join(folder, 'comments.db'))
    other.close()
    await until(async () => /is store \w+, and store \w+ is expected/.test(await ready(url)), { what: 'a file that comes there is looked at' })
  })

  await t.test('a copy with all that the store has is another file all the same', async t => {
    const folder = tempFolder(t)
    const database = new Database(join(cluster.data, 'comments.db'))
    await database.backup(join(folder, 'comments.db'))
    database.close()
    const { url } = await dispatcher(t, cluster, 'dispatcher-8', { STORE_URL: `sqlite:${folder}/comments.db` })
    await until(async () => /is a copy: dispatcher-\d has another file of the same store open/.test(await ready(url)))
  })

  await t.test('a dispatcher that cannot write is not ready, and is passed over', { skip: noMounts }, async t => {
    const mount = `mount --bind '${cluster.data}' '${cluster.data}' && mount -o remount,ro,bind '${cluster.data}' && exec "$@"`
    const { url } = await dispatcher(t, cluster, 'dispatcher-7', {}, [...MOUNT, 'sh', '-c', mount, 'sh'])
    await until(async () => /^(nothing can be written|the file cannot be used): SQLITE_/.test(await ready(url)), { what: 'it says why' })
    await until(async () => /dispatcher-7 +draining/.test((await cluster.registry('dispatchers')).stdout))
    const more = Array.from({ length: 5 }, () => postToAll(cluster, 'one of two can write'))
    for (const { refused } of await Promise.all(more)) t.same(refused, [])
  })

  await t.test('a dispatcher whose clock is wrong is not ready, and is passed over', async t => {
    const { url } = await dispatcher(t, cluster, 'dispatcher-6', { NODE_OPTIONS: `--import=${FAST}` })
    await until(async () => (await ready(url)) === 'the clock is 5400 s ahead of ZooKeeper\'s', { what: 'it says so' })
    await until(async () => /dispatcher-6 +draining/.test((await cluster.registry('dispatchers')).stdout))
    const { acknowledged, refused } = await postToAll(cluster, 'at the right time')
    t.same(refused, [])
    for (const { createdAt } of acknowledged) t.ok(Math.abs(createdAt - Date.now()) < 60_000)
  })
})

t.test('a data folder whose file has gone: the cluster waits and says for what, until an operator begins anew', async t => {
  const data = tempFolder(t)
  const small = ['--edges', '1', '--dispatchers', '1']
  const cluster = await startCluster(t, small, { data })
  await cluster.say('demo', 'lost')
  await cluster.stop()
  for (const name of filesOf(cluster)) rmSync(join(data, name))
  const again = await startCluster(t, small, { data, ready: false })
  await until(() => /dispatcher-1 +waits: \S+comments\.db is missing, and store \w+ is expected/.test(again.output))
  t.match(await store(again, 'create'), { status: 2, stderr: /which dispatcher's file is meant\?/ })
  t.match(await store(again, 'create', 'dispatcher-9'), { status: 1, stderr: /there is no dispatcher dispatcher-9/ })
  t.match(await store(again, 'create', 'dispatcher-1'), { status: 0 })
  await again.ready()
  await again.say('demo', 'found')
  t.same((await again.history('demo')).map(({ content }) => content), ['found'])
})
