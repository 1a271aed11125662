import t from 'tap'
import Database from 'better-sqlite3'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startCluster, tempFolder } from '../support/cluster.js'
import { watchReady } from '../support/viewer.js'

t.test('a store that cannot be written: posts are refused, live viewing goes on', async t => {
  const cluster = await startCluster(t)
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
  t.same(viewer.ids, [said.id, after.id])
})

t.test('a store that cannot be opened: the cluster comes up, posts are refused, streams stay', async t => {
  const data = tempFolder(t)
  mkdirSync(join(data, 'comments.db'))
  const cluster = await startCluster(t, ['--edges', '1'], { data })
  const refused = await cluster.post('demo', { content: 'now' })
  t.equal(refused.status, 503)
  t.match(await refused.json(), { error: { code: 'STORE_UNAVAILABLE' } })
})
