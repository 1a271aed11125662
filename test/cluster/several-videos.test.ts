import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { until } from '../support/until.js'
import { watch, type Viewer } from '../support/viewer.js'

interface Said {
  readonly videoId: string
  readonly id: string
  readonly content: string
}

const VIDEOS = ['a', 'b', 'c']

/** The contents of a video's comments, in the order they came. */
function contents(viewers: readonly Viewer[], video: string): string[] {
  return viewers.flatMap(({ comments }) => (comments as unknown as Said[]).filter(({ videoId }) => videoId === video).map(({ content }) => content))
}

t.test('three videos on one stream: none misses a comment or has one twice when an edge dies, and at another gateway', async t => {
  const cluster = await startCluster(t, ['--edges', '3', '--gateways', '2'])
  const [gateway, other] = cluster.record().gateways.map(({ url }) => url!) as [string, string]
  const said: Record<string, string[]> = { a: [], b: [], c: [] }
  const say = async (count: number) => {
    for (let i = 0; i < count; i++) {
      await Promise.all(VIDEOS.map(video => {
        const content = `${video}${said[video]!.length}`
        said[video]!.push(content)
        return cluster.say(video, content)
      }))
    }
  }
  const stream = (url: string) => `${url}/comments?videos=${VIDEOS.join()}`

  const first = watch(t, stream(gateway))
  await until(() => first.events.filter(({ event }) => event === 'ready').length === 3, { what: 'each is ready' })
  t.same(first.events.filter(({ event }) => event === 'ready').map(({ data }) => (JSON.parse(data) as Said).videoId).sort(), VIDEOS)
  const holding = await until(async () => {
    const edges = JSON.parse((await cluster.registry('edges', '--json')).stdout) as { id: string; viewers: number }[]
    const held = edges.filter(({ viewers }) => viewers > 0)
    return held.reduce((sum, { viewers }) => sum + viewers, 0) === 3 ? held : undefined
  }, { what: 'the registry shows them' })
  t.ok(holding.length >= 2, `on ${holding.length} edges`)
  await say(5)
  cluster.kill(holding[0]!.id)
  await say(30)
  await until(() => VIDEOS.every(video => contents([first], video).length >= 35), { what: 'what was said while an edge died' })
  t.notOk(first.isClosed, 'the connection stays')

  const counts = (await (await fetch(`${other}/counts?videos=c,a`)).json()) as { counts: { videoId: string; viewers: number }[]; staleMs: number }
  t.same(counts.counts.map(({ videoId }) => videoId), ['c', 'a'])
  t.equal(counts.staleMs, 0)

  first.close()
  await say(5)
  const second = watch(t, stream(other), { lastEventId: first.lastEventId })
  await say(5)
  await until(() => VIDEOS.every(video => contents([first, second], video).length >= 45), { what: 'what was said meanwhile' })
  for (const video of VIDEOS) t.same(contents([first, second], video), said[video])
})
