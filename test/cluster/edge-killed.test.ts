import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { sawEverything } from '../support/delivered.js'
import { Poster } from '../support/poster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.test('an edge is killed and its viewers are relayed on: no stream closes, none misses or repeats', async t => {
  const cluster = await startCluster(t)
  const viewers = await Promise.all(Array.from({ length: 20 }, () => watchReady(t, cluster.stream('kill'))))
  const poster = new Poster(cluster, 'kill')
  t.after(() => poster.stop())
  await until(() => poster.acknowledged.length > 10)

  const holder = async () => (JSON.parse((await cluster.registry('video', 'kill', '--json')).stdout) as { edges: { id: string }[] }).edges[0]?.id
  const first = (await until(holder))
  const pid = cluster.kill(first)
  const before = poster.acknowledged.length
  await until(() => viewers.every(viewer => viewer.ids.length > before + 20 || viewer.isClosed), { what: 'every viewer goes on' })
  await cluster.again(first, pid)

  // Once more, now that there is an edge that came back.
  const second = (await until(async () => {
    const id = await holder()
    return id !== first ? id : undefined
  }))
  const then = poster.acknowledged.length
  cluster.kill(second)
  await until(() => viewers.every(viewer => viewer.ids.length > then + 20 || viewer.isClosed), { what: 'every viewer goes on again' })
  await poster.stop()
  t.same(poster.refused, [], 'posts went on')
  await sawEverything(t, cluster, 'kill', viewers)
})

t.test('a frozen edge is left by its viewers, and ended by the watchdog', async t => {
  const cluster = await startCluster(t, ['--edges', '2'])
  const viewers = await Promise.all(Array.from({ length: 5 }, () => watchReady(t, cluster.stream('frozen'))))
  const poster = new Poster(cluster, 'frozen')
  t.after(() => poster.stop())
  const holder = (await until(async () => (JSON.parse((await cluster.registry('video', 'frozen', '--json')).stdout) as { edges: { id: string }[] }).edges[0]?.id))
  const pid = cluster.kill(holder, 'SIGSTOP')
  const before = poster.acknowledged.length
  await until(() => viewers.every(viewer => viewer.ids.length > before + 20 || viewer.isClosed), { what: 'every viewer goes on' })
  await cluster.again(holder, pid)
  await poster.stop()
  t.same(poster.refused, [])
  await sawEverything(t, cluster, 'frozen', viewers)
})
