import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { CassandraRows } from '../../cli/copy/cassandra-rows.js'
import { copyRows } from '../../cli/copy/copy-rows.js'
import { Digest } from '../../cli/copy/digest.js'
import { SqliteRows } from '../../cli/copy/sqlite-rows.js'
import type { Copied } from '../../cli/copy/copy-store.js'
import { parseCassandraUrl } from '../../dispatcher/store/cassandra/address.js'
import type { CallError } from '../../dispatcher/store/cassandra/call-error.js'
import { Cluster as Nodes } from '../../dispatcher/store/cassandra/cluster.js'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import { MAX_CURSOR } from '../../protocol/id.js'
import { draft } from '../dispatcher/cast.js'
import { actIn, makeRoomForActs } from '../support/acted-file.js'
import { noCassandra } from '../support/cassandra.js'
import { run, startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { sawEverything } from '../support/delivered.js'
import { operate } from '../support/operator.js'
import { isAlive } from '../support/process.js'
import { Poster } from '../support/poster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(235_000)

const FLAGS = ['--store', 'cassandra', '--edges', '1', '--dispatchers', '2']

/** On a busy machine a Cassandra takes a minute. */
async function started(t: Test, data: string): Promise<Cluster> {
  const cluster = await startCluster(t, FLAGS, { data, ready: false })
  await until(() => /is ready: http/.test(cluster.output) || cluster.errors !== '', { timeoutMs: 120_000, what: 'the cluster is ready' })
  t.equal(cluster.errors, '')
  return cluster
}

t.test('a cluster starts a Cassandra of its own', { skip: noCassandra, timeout: 230_000 }, async t => {
  const data = join(tempFolder(t), 'data')
  const cluster = await started(t, data)
  const passwordFile = join(data, 'cassandra-password')
  const cassandra = () => cluster.record().cassandra![0]!
  /** What keeps a user from reading. */
  const refusal = async (user: string, password: string) => {
    const nodes = new Nodes({ address: parseCassandraUrl(cassandra().url!.replace('live_comments@', user)), password })
    try {
      await nodes.read({ cql: 'SELECT id FROM live_comments.store', params: [] }, 5_000)
      return 'none'
    } catch (error) {
      return (error as CallError).message
    } finally {
      await nodes.close()
    }
  }

  await t.test('it says what it does, and nobody else may use it', async t => {
    t.match(cluster.output, /^cassandra-1 {2}ready: pid \d+, cassandra:\/\/live_comments@127\.0\.0\.1:\d+\/live_comments\?dc=datacenter1$/m)
    t.notMatch(cluster.output, readFileSync(passwordFile, 'utf8').trim())
    t.equal(statSync(passwordFile).mode & 0o777, 0o600)
    t.match(await refusal('cassandra@', 'cassandra'), /the user or the password is refused/)
    t.match(await refusal('live_comments@', 'guessed'), /the user or the password is refused/)
    t.match(await refusal('', ''), /./)
    t.equal(await refusal('live_comments@', readFileSync(passwordFile, 'utf8').trim()), 'none')
    t.notOk(existsSync(join(data, 'comments.db')), 'nothing is stored in a file')
    t.match((await operate(['store', '--data', data])).stdout, /^dispatcher-1 +\w{16} +- +in use +cassandra:/m, 'its comments are not counted, which is not 0')
  })

  await t.test('killed, it is restarted with all that was acknowledged, and posts go on', async t => {
    const viewer = await watchReady(t, cluster.stream('killed'))
    const poster = new Poster(cluster, 'killed')
    await until(() => poster.acknowledged.length > 20)
    cluster.kill('cassandra-1')
    await until(() => /^cassandra-1 {2}ready again: pid/m.test(cluster.output), { timeoutMs: 90_000, what: 'Cassandra is ready again' })
    t.match(cluster.output, /^cassandra-1 was killed by SIGKILL; restarting it in 1 s$/m)
    const before = poster.acknowledged.length
    await until(() => poster.acknowledged.length > before + 20, { timeoutMs: 60_000 })
    await poster.stop()
    await sawEverything(t, cluster, 'killed', [viewer])
  })

  await t.test('a store is copied from a file into it, across sealed buckets, and back', async t => {
    const folder = tempFolder(t)
    const [one, other] = [join(folder, 'one.db'), join(folder, 'other.db')]
    const database = new SqliteDatabase(one, 1_000)
    const numbers = Array.from({ length: 600 }, (_, n) => n)
    database.append(numbers.flatMap(n => [draft('copied', `comment ${n}`, { key: `key-${n}`, ...(n % 2 ? { authorName: 'Ann' } : {}) }), draft(`video-${n % 20}`, 'hello', { key: `key-${n}` })]), Date.now())
    const ids = database.page('copied', { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 600 }).map(({ comment }) => comment.id)
    database.close()
    actIn(one, 'copied', { target: ids[3]!, by: ids[7]!, pinned: ids[5]! })
    new SqliteDatabase(other, 1_000).close()
    const room = new Database(other)
    makeRoomForActs(room)
    room.close()

    const cql = new Nodes({ address: parseCassandraUrl(cassandra().url!), password: readFileSync(passwordFile, 'utf8').trim() })
    for (const column of ['entry text', 'said text', 'acts text static']) await cql.define(`ALTER TABLE live_comments.comments ADD IF NOT EXISTS ${column}`)
    const [source, target] = [SqliteRows.source(one), await CassandraRows.open({ cql, keyspace: 'live_comments', id: 'target', name: 'target', maxBucketBytes: 50_000 })]
    const stopping = new AbortController()
    const stopped = await copyRows({ from: source, to: target, signal: stopping.signal, onProgress: ({ copied }) => (copied >= 100 ? stopping.abort() : undefined) })
    t.ok(stopped.videosDone < 21)
    t.match(await copyRows({ from: source, to: target, signal: new AbortController().signal, onProgress: () => {} }), { copied: 1_200 - stopped.copied, wereThere: stopped.copied, videosDone: 21 })
    t.ok((await cql.read({ cql: "SELECT bucket FROM live_comments.buckets WHERE video_id = 'copied'", params: [] }, 5_000)).length > 1, 'there are sealed buckets')
    await Promise.all([source.close(), target.close()])

    const copy = (from: string, to: string) => operate(['store', 'copy', '--from', from, '--to', to, '--json'], { env: { STORE_PASSWORD_FILE: passwordFile } })
    const url = cassandra().url!
    t.match(JSON.parse((await copy(`sqlite:${one}`, url)).stdout) as Copied, { videos: 21, copied: 0, wereThere: 1_200 }, 'by the command: all is there')
    const page = (await (await fetch(`${cluster.stream('copied')}?pageSize=100`)).json()) as { comments: { content: string }[] }
    t.equal(page.comments[0]?.content, 'comment 599', 'a gateway shows it')
    t.equal((await cluster.say('video-0', 'and on')).content, 'and on')

    const back = await copy(url, `sqlite:${other}`)
    t.equal(back.status, 0, back.stderr)
    const [was, is] = [SqliteRows.source(one), SqliteRows.source(other)]
    for (const videoId of await was.videos()) {
      const [first, second] = [new Digest(), new Digest()]
      const last = await was.lastId(videoId)
      for await (const rows of was.rows(videoId, 0, last)) first.add(rows)
      for await (const rows of is.rows(videoId, 0, last)) second.add(rows)
      t.ok(first.equals(second), videoId)
      // A dispatcher that has stored a comment has also written that nothing is set.
      const stateIn = async (rows: SqliteRows) => ({ bans: {}, ...(await rows.state(videoId)) })
      t.same(await stateIn(is), await stateIn(was), `state of ${videoId}`)
      t.same(await was.keys(videoId), new Map([...(await is.keys(videoId))].filter(([id]) => id <= last)), `keys of ${videoId}`)
    }
    await Promise.all([was.close(), is.close()])
  })

  const written = (await (await fetch(`${cluster.stream('killed')}?pageSize=100`)).json()) as object
  const pids = cluster.members().map(({ pid }) => pid!)
  t.match(await cluster.stop(), { status: 0 })
  t.same(pids.filter(isAlive), [], 'nothing is left')
  const again = await started(t, data)
  t.same(await (await fetch(`${again.stream('killed')}?pageSize=100`)).json(), written, 'started again, it has the same comments')
  await again.stop()
})

t.test('what is missing for a Cassandra of its own is said before anything is started', async t => {
  const folder = tempFolder(t)
  const start = (env: NodeJS.ProcessEnv) => run(['cluster', '--store', 'cassandra', '--port', '0', '--data', join(folder, 'data')], env)
  t.match(await start({ JAVA_HOME: folder }), { status: 1, stderr: /^Cassandra needs Java 17, and '.*bin\/java' cannot be run: install Java 17 and name its folder in JAVA_HOME, or name a Cassandra that runs by STORE_URL$/m })
  t.match(await start({ STORE_URL: 'sqlite:comments.db' }), { status: 2, stderr: /--store: is cassandra, and STORE_URL names something else/ })
  t.match(await run(['cluster', '--port', '0', '--data', join(folder, 'data')], { STORE_URL: 'cassandra://one/live?dc=a' }), { status: 2, stderr: /--store: is sqlite, and STORE_URL names a Cassandra/ }, 'nothing goes into a file instead')
})
