import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { until } from '../support/until.js'
import { watch, watchReady } from '../support/viewer.js'

interface VideoRow {
  videoId: string
  viewers: number
  edges: { id: string; viewers: number }[]
}

t.test('a cluster that people watch and post to', async t => {
  const cluster = await startCluster(t)
  t.match(cluster.output, /^identity +off: anyone may post/m)

  await t.test('200 viewers over 20 videos: each video on one edge, the load level, and only holders are told', async t => {
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

  await t.test('a comment posted reaches the viewers, and history has it', async t => {
    const viewer = await watchReady(t, cluster.stream('demo'))
    t.equal(viewer.status, 200)
    t.match(viewer.headers['content-type'], 'text/event-stream')
    t.match(viewer.headers, { 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no', 'access-control-allow-origin': String })
    t.ok(viewer.retryMs! >= 500 && viewer.retryMs! <= 2_500, 'retry is between 0.5 and 2.5 s')
    t.match(viewer.events[0], { event: 'ready', id: '0' }, 'an empty video is at 0')
    t.same(JSON.parse(viewer.events[0]!.data), { videoId: 'demo', viewers: 1 })

    const answer = await cluster.post('demo', { content: '  hello \u{1F600} ', authorId: 'ann' })
    t.equal(answer.status, 201)
    const comment = (await answer.json()) as Record<string, unknown>
    t.match(comment, { id: /^\d+$/, videoId: 'demo', authorId: 'ann', content: 'hello \u{1F600}', createdAt: Number })
    const event = await viewer.waitForEvent('message')
    t.equal(event.id, comment.id)
    const { videoId: _, ...shown } = comment
    t.same(JSON.parse(event.data), shown)

    t.same(await cluster.page('demo'), { comments: [comment], nextCursor: null })
  })

  await t.test('an idle cluster delivers within 50 ms', async t => {
    const viewer = await watchReady(t, cluster.stream('quick'))
    const took: number[] = []
    for (let i = 0; i < 20; i++) {
      const { id } = await cluster.say('quick', `number ${i}`)
      const acknowledged = performance.now()
      await viewer.waitFor(event => event.id === id)
      took.push(performance.now() - acknowledged)
    }
    const median = took.sort((a, b) => a - b)[10]!
    t.ok(median < 50, `median ${median.toFixed(1)} ms after the acknowledgement`)
  })

  await t.test('a viewer that comes back gets what it missed and nothing twice', async t => {
    const first = await watchReady(t, cluster.stream('resume'))
    const one = await cluster.say('resume', 'one')
    await first.waitFor(({ id }) => id === one.id)
    first.close()
    const missed = [await cluster.say('resume', 'two'), await cluster.say('resume', 'three')]
    const again = await watchReady(t, cluster.stream('resume', '?lastEventId=0'), { lastEventId: one.id })
    t.same(again.ids, missed.map(({ id }) => id), 'the header beats the query')
    t.equal(again.events.at(-1)!.id, missed[1]!.id, 'ready comes last, with the id of the last comment')
    const four = await cluster.say('resume', 'four')
    await again.waitFor(({ id, event }) => event === 'message' && id === four.id)
    t.same(again.comments.map(({ content }) => content), ['two', 'three', 'four'])

    const byQuery = await watchReady(t, cluster.stream('resume', `?lastEventId=${one.id}&recent=1`))
    t.equal(byQuery.ids.length, 3, 'a cursor beats recent')
    const refused = await fetch(cluster.stream('resume'), { headers: { accept: 'text/event-stream', 'last-event-id': 'rubbish' } })
    t.equal(refused.status, 400, 'a Last-Event-ID that is none is not taken for "from now on"')
  })

  await t.test('a newcomer gets the last comments it asks for, and pages back from there', async t => {
    const posted = []
    for (let i = 0; i < 12; i++) posted.push((await cluster.say('recent', `number ${i}`)).id)
    const viewer = await watchReady(t, cluster.stream('recent', '?recent=5'))
    t.same(viewer.ids, posted.slice(-5))
    const before = await cluster.page('recent', `?direction=before&pageSize=4&cursor=${viewer.ids[0]}`)
    t.same(before.comments.map(({ id }) => id), posted.slice(3, 7).reverse())
    const end = await cluster.page('recent', `?direction=before&pageSize=4&cursor=${before.nextCursor}`)
    t.same(end.comments.map(({ id }) => id), posted.slice(0, 3).reverse())
    t.equal(end.nextCursor, null)
    t.same((await cluster.history('recent')).map(({ id }) => id), posted, 'and forth')
  })

  await t.test('viewers learn how many they are', async t => {
    const viewer = await watchReady(t, cluster.stream('count'))
    await watchReady(t, cluster.stream('count'))
    await watchReady(t, cluster.stream('count'))
    await viewer.waitFor(({ event, data }) => event === 'viewers' && (JSON.parse(data) as { viewers: number }).viewers === 3)
    await until(async () => {
      const stats = (await (await fetch(cluster.stream('count/stats'))).json()) as { viewers: number }
      return stats.viewers === 3
    })
    t.same(await (await fetch(cluster.stream('count/stats'))).json(), { videoId: 'count', viewers: 3, edges: 1 })
  })

  await t.test('a post repeated under its key is stored once', async t => {
    const viewer = await watchReady(t, cluster.stream('keys'))
    const headers = { 'idempotency-key': 'key-1' }
    const first = (await (await cluster.post('keys', { content: 'once' }, headers)).json()) as { id: string }
    const second = await cluster.post('keys', { content: 'once' }, headers)
    t.equal(second.status, 201)
    t.same(await second.json(), first)
    const other = await cluster.post('keys', { content: 'other' }, headers)
    t.equal(other.status, 422)
    t.match(await other.json(), { error: { code: 'KEY_REUSED', message: String } })
    const last = await cluster.say('keys', 'last')
    await viewer.waitFor(({ id }) => id === last.id)
    t.same(viewer.ids, [first.id, last.id])
  })

  await t.test('what can never succeed is refused with its reason', async t => {
    const cases: [path: string, init: RequestInit, status: number, code: string][] = [
      ['/comments/demo', post('{'), 400, 'BAD_COMMENT'],
      ['/comments/demo', post('[]'), 400, 'BAD_COMMENT'],
      ['/comments/demo', post('{}'), 400, 'BAD_COMMENT'],
      ['/comments/demo', post('{"content":7}'), 400, 'BAD_COMMENT'],
      ['/comments/demo', post('{"content":"  "}'), 400, 'BAD_COMMENT'],
      ['/comments/demo', post(JSON.stringify({ content: 'x'.repeat(1001) })), 400, 'BAD_COMMENT'],
      ['/comments/demo', post(JSON.stringify({ content: 'a\u0007b' })), 400, 'BAD_COMMENT'],
      ['/comments/demo', post('{"content":"x"}', 'text/plain'), 415, 'UNSUPPORTED_MEDIA_TYPE'],
      ['/comments/demo', post(JSON.stringify({ content: 'x', more: 'y'.repeat(9_000) })), 413, 'BODY_TOO_LARGE'],
      ['/comments/demo', { ...post('{"content":"x"}'), headers: { 'content-type': 'application/json', 'idempotency-key': 'a b' } }, 400, 'BAD_IDEMPOTENCY_KEY'],
      ['/comments/d.mo', {}, 400, 'BAD_VIDEO_ID'],
      ['/comments/demo?cursor=x', {}, 400, 'BAD_CURSOR'],
      ['/comments/demo?direction=up', {}, 400, 'BAD_DIRECTION'],
      ['/comments/demo?pageSize=201', {}, 400, 'BAD_PAGE_SIZE'],
      ['/nothing', {}, 404, 'NOT_FOUND'],
      ['/comments/demo', { method: 'DELETE' }, 405, 'METHOD_NOT_ALLOWED'],
    ]
    for (const [path, init, status, code] of cases) {
      const response = await fetch(cluster.url + path, init)
      t.equal(response.status, status, `${init.method ?? 'GET'} ${path}`)
      t.match(await response.json(), { error: { code, message: /.+/ } }, code)
      if (status === 405) t.match(response.headers.get('allow'), /GET, HEAD, POST/)
    }
    t.equal((await fetch(`${cluster.url}/comments/demo`, { method: 'HEAD' })).status, 200)
    t.equal((await fetch(`${cluster.url}/comments/demo`, { method: 'OPTIONS' })).status, 204)
    const bad = watch(t, cluster.stream('d.mo'))
    await bad.closed
    t.equal(bad.status, 400, 'a stream that can never succeed is an error too')
  })
})

function post(body: string, type = 'application/json'): RequestInit {
  return { method: 'POST', headers: { 'content-type': type }, body }
}
