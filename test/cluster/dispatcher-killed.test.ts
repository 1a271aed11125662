import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { sawEverything } from '../support/delivered.js'
import { Poster } from '../support/poster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.test('dispatchers are killed one after the other: posts go on and nothing is missed', async t => {
  const cluster = await startCluster(t)
  // Several videos, so that each dispatcher owns some.
  const videos = ['a', 'b', 'c', 'd']
  const viewers = await Promise.all(videos.map(video => Promise.all(Array.from({ length: 3 }, () => watchReady(t, cluster.stream(video))))))
  const posters = videos.map(video => new Poster(cluster, video))
  t.after(() => Promise.all(posters.map(poster => poster.stop())))
  for (const id of ['dispatcher-1', 'dispatcher-2']) {
    const before = posters.map(poster => poster.acknowledged.length)
    const pid = cluster.kill(id)
    await until(() => posters.every((poster, i) => poster.acknowledged.length > before[i]! + 20), { what: 'posts go on' })
    await cluster.again(id, pid)
  }
  await Promise.all(posters.map(poster => poster.stop()))
  for (const [i, video] of videos.entries()) {
    t.same(posters[i]!.refused, [], `posts to ${video} went on`)
    const stored = (await cluster.history(video)).map(({ id }) => id)
    t.same(stored, posters[i]!.acknowledged, `${video}: what was acknowledged is stored, once`)
    await sawEverything(t, cluster, video, viewers[i]!)
  }
})
