import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

interface VideoRow {
  videoId: string
  viewers: number
  edges: { id: string; viewers: number }[]
}

t.test('200 viewers over 20 videos: each video on one edge, the load level, and only holders are told', async t => {
  const cluster = await startCluster(t)
  const videos = Array.from({ length: 20 }, (_, i) => `video-${i}`)
  const list = async () => JSON.parse((await cluster.registry('videos', '--json')).stdout) as VideoRow[]
  // As they come in life: each joins at its own time, all at once a few.
  for (let round = 0; round < 10; round++) await Promise.all(videos.map(video => watchReady(t, cluster.stream(video))))
  await until(async () => (await list()).reduce((sum, { viewers }) => sum + viewers, 0) === 200, { what: 'the registry knows of 200 viewers' })

  const rows = await list()
  t.same(rows.map(({ videoId }) => videoId).sort(), [...videos].sort())
  for (const { videoId, viewers, edges } of rows) {
    t.equal(viewers, 10, videoId)
    t.equal(edges.length, 1, `${videoId} is on one edge`)
  }
  const edges = JSON.parse((await cluster.registry('edges', '--json')).stdout) as { id: string; viewers: number; videos: number; state: string }[]
  t.equal(edges.length, 3)
  for (const { id, viewers, videos: held } of edges) {
    t.ok(viewers >= 40 && viewers <= 100, `${id} has ${viewers} viewers of ${held} videos`)
  }
  t.match((await cluster.registry('videos')).stdout, /video-19/)
  t.equal((JSON.parse((await cluster.registry('videos', '--top', '3', '--json')).stdout) as VideoRow[]).length, 3)
  const oneEdge = JSON.parse((await cluster.registry('videos', '--edge', 'edge-1', '--json')).stdout) as VideoRow[]
  t.equal(oneEdge.length, edges.find(({ id }) => id === 'edge-1')!.videos)

  // A comment goes to the one edge that holds its video.
  const holder = rows.find(({ videoId }) => videoId === 'video-0')!.edges[0]!.id
  const received = (id: string) => cluster.metric(id, 'live_edge_comments_received_total')
  const forwarded = async () => (await cluster.metric('dispatcher-1', 'live_dispatcher_comments_forwarded_total')) + (await cluster.metric('dispatcher-2', 'live_dispatcher_comments_forwarded_total'))
  const before = await Promise.all(['edge-1', 'edge-2', 'edge-3'].map(received))
  const sent = await forwarded()
  for (let i = 0; i < 10; i++) await cluster.say('video-0', `number ${i}`)
  await until(async () => (await forwarded()) - sent === 10, { what: 'ten comments are forwarded' })
  for (const [i, id] of ['edge-1', 'edge-2', 'edge-3'].entries()) {
    t.equal((await received(id)) - before[i]!, id === holder ? 10 : 0, `what ${id} received`)
  }
})
