import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { sawEverything } from '../support/delivered.js'
import { Poster } from '../support/poster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(230_000)

interface Edge {
  readonly id: string
  readonly viewers: number
}

t.test('an edge that was killed and came back has its share of the viewers again within two minutes, and nobody misses a comment', async t => {
  const cluster = await startCluster(t, ['--gateways', '2', '--edges', '2'])
  const gateways = cluster.record().gateways.map(({ url }) => url!)
  const videos = Array.from({ length: 20 }, (_, i) => `video-${i}`)
  const viewers = new Map<string, Awaited<ReturnType<typeof watchReady>>[]>()
  for (const video of videos) {
    viewers.set(video, await Promise.all(Array.from({ length: 6 }, (_, i) => watchReady(t, cluster.stream(video).replace(cluster.url, gateways[i % 2]!)))))
  }
  const posters = videos.map(video => new Poster(cluster, video, 200))
  t.after(() => posters.forEach(poster => void poster.stop()))
  const counts = async () => {
    const edges = JSON.parse((await cluster.registry('edges', '--json')).stdout) as Edge[]
    return new Map(edges.map(({ id, viewers }) => [id, viewers]))
  }
  await until(async () => [...(await counts()).values()].reduce((sum, each) => sum + each, 0) === 120)

  await cluster.again('edge-1', cluster.kill('edge-1'))
  await until(async () => (await counts()).get('edge-2') === 120, { timeoutMs: 30_000, what: 'all are on the other edge' })
  await until(async () => {
    const now = await counts()
    return now.get('edge-1')! >= 45 && now.get('edge-1')! + now.get('edge-2')! === 120
  }, { timeoutMs: 120_000, what: 'edge-1 has its share again' })

  await Promise.all(posters.map(poster => poster.stop()))
  for (const [i, video] of videos.entries()) {
    t.same(posters[i]!.refused, [])
    await sawEverything(t, cluster, video, viewers.get(video)!)
    const { status, stdout } = await cluster.registry('video', video, '--json')
    t.equal(status, 0)
    t.equal((JSON.parse(stdout) as { edges: unknown[] }).edges.length, 1, 'both gateways have moved its viewers, or neither')
  }
})
