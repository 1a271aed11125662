import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import t from 'tap'
import { frame, FrameKind, framesOf, streamEvent } from '../../protocol/frame.js'
import { blocks } from '../../protocol/gzip.js'
import { commentEvent, readyEvent, SseParser, type SseEvent } from '../../protocol/sse.js'
import { commentFrames, fakeEdge, readyFrame } from '../support/fake-edge.js'
import { runGateway } from '../support/gateway.js'
import { until } from '../support/until.js'
import { watch } from '../support/viewer.js'
import { readStrictly } from '../support/whole-chunks.js'

t.test('the preamble comes at once, whatever state the cluster is in', async t => {
  const { url } = runGateway(t, { viewLoaded: () => false })
  const response = await fetch(`${url}/comments/demo`, { headers: { accept: 'text/event-stream' } })
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  t.equal(response.headers.get('cache-control'), 'no-store, no-transform')
  t.equal(response.headers.get('x-accel-buffering'), 'no')
  t.equal(response.headers.get('access-control-allow-origin'), '*')
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const { value } = await reader.read()
  t.match(new TextDecoder().decode(value), /^retry: (?:[5-9]\d\d|1\d{3}|2[0-4]\d\d)\n:\n$/)
  await reader.cancel()
})

t.test('a viewer sees what its edge sends, without the frames', async t => {
  const edge = fakeEdge(t, 'a')
  const { url, register } = runGateway(t, { edges: [edge.node] })
  const viewer = watch(t, `${url}/comments/demo?recent=2`)
  const { stream, videoId, query } = await edge.stream()
  t.equal(videoId, 'demo')
  t.equal(query, 'recent=2')
  stream.write(Buffer.concat([commentFrames(1, 2), readyFrame('demo', 2)]))
  const bytes = commentFrames(3, 4)
  stream.write(bytes.subarray(0, 40))
  await sleep(20) // two reads
  stream.write(bytes.subarray(40))
  await until(() => viewer.ids.length === 4)
  t.same(viewer.events.map(({ event, id }) => `${event} ${id}`), ['message 1', 'message 2', 'ready 2', 'message 3', 'message 4'])
  const text = await register.metrics()
  t.match(text, /live_gateway_viewers 1\n/)
  t.match(text, /live_gateway_placements_total 1\n/)
})

t.test('a viewer that accepts gzip gets the edge\'s blocks as they are, and goes on with another edge\'s', async t => {
  const first = fakeEdge(t, 'a')
  const second = fakeEdge(t, 'b')
  const { url } = runGateway(t, { edges: [first.node, second.node] })
  const request = get(`${url}/comments/demo`, { headers: { accept: 'text/event-stream', 'accept-encoding': 'gzip' } })
  t.after(() => request.destroy())
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  t.equal(response.headers['content-encoding'], 'gzip')
  const parser = new SseParser()
  const events: SseEvent[] = []
  response.pipe(createGunzip()).on('data', (bytes: Buffer) => events.push(...parser.push(bytes)))
  const packed = (...ids: number[]) => framesOf(ids.map(id => streamEvent(id, commentEvent(id, '{}'))), text => blocks(text, 6))
  const [here, there] = await until(() => (first.streams[0] ? [first, second] : second.streams[0] ? [second, first] : undefined))
  const { stream, query } = await here.stream()
  t.equal(query, 'gzip=1')
  stream.write(Buffer.concat([packed(1, 2), frame(FrameKind.ready, 2, blocks(readyEvent(2, 'demo', 1), 0))]))
  await until(() => events.length === 3)
  stream.end(frame(FrameKind.end, 0, 'drain'))
  const again = await there.stream()
  t.equal(again.query, 'after=2&gzip=1')
  again.stream.write(packed(3))
  await until(() => events.length === 4)
  t.same(events.map(({ event, id }) => `${event} ${id}`), ['message 1', 'message 2', 'ready 2', 'message 3'])
})

t.test('each write can be read by a client that waits for whole chunks and flushes', async t => {
  const edge = fakeEdge(t, 'a')
  const { url } = runGateway(t, { edges: [edge.node] })
  for (const [i, gzip] of [true, false].entries()) {
    const reader = readStrictly(t, `${url}/comments/demo`, { gzip })
    const { stream } = await edge.stream(i)
    for (const id of [1, 2, 3]) {
      const text = commentEvent(id, `{"id":"${id}"}`)
      stream.write(frame(FrameKind.events, id, gzip ? blocks(text, id - 1) : text))
      await until(() => reader.text().includes(text), { what: `comment ${id}` })
    }
    t.match(reader.text(), /^retry: \d+\n:\n/)
  }
})

t.test('a cursor in the header beats the query, and any cursor beats recent', async t => {
  const edge = fakeEdge(t, 'a')
  const { url } = runGateway(t, { edges: [edge.node] })
  const cases = [
    ['?lastEventId=5&recent=3', '9', 'after=9'],
    ['?lastEventId=5&recent=3', undefined, 'after=5'],
    ['?lastEventId=5', 'rubbish', 'after=5'],
    ['?lastEventId=&recent=3', undefined, 'recent=3'],
    ['?recent=0', undefined, ''],
    ['?lastEventId=0', undefined, 'after=0'],
    ['?lastEventId=5', '7, 9', 'after=9'],
  ] as const
  for (const [i, [query, lastEventId, asked]] of cases.entries()) {
    watch(t, `${url}/comments/demo${query}`, lastEventId === undefined ? {} : { lastEventId })
    t.equal((await edge.stream(i)).query, asked, `${query} ${lastEventId}`)
  }
})

t.test('a bad stream request is 400, the parameter named', async t => {
  const { url } = runGateway(t)
  const cases = [
    ['/comments/demo?lastEventId=x', 'BAD_CURSOR', /lastEventId/],
    ['/comments/demo?lastEventId=9007199254740992', 'BAD_CURSOR', /lastEventId/],
    ['/comments/demo?recent=201', 'BAD_RECENT', /recent/],
    ['/comments/demo?recent=-1', 'BAD_RECENT', /recent/],
    ['/comments/de.mo', 'BAD_VIDEO_ID', /videoId/],
  ] as const
  for (const [path, code, message] of cases) {
    const response = await fetch(url + path, { headers: { accept: 'text/event-stream' } })
    t.equal(response.status, 400, path)
    t.match(await response.json(), { error: { code, message } })
  }
  const header = await fetch(`${url}/comments/demo?recent=5`, { headers: { accept: 'text/event-stream', 'last-event-id': 'undefined' } })
  t.equal(header.status, 400, 'never from now on in silence')
  t.match(await header.json(), { error: { code: 'BAD_CURSOR', message: /Last-Event-ID/ } })
})

t.test('HEAD of a stream has the headers and no stream', async t => {
  const edge = fakeEdge(t, 'a')
  const { url } = runGateway(t, { edges: [edge.node] })
  const response = await fetch(`${url}/comments/demo`, { method: 'HEAD', headers: { accept: 'text/event-stream' } })
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /event-stream/)
  const poll = await fetch(`${url}/comments/demo?wait=60`, { method: 'HEAD' })
  t.same([poll.status, poll.headers.get('cache-control')], [200, 'no-store'], 'nor does that of a long-poll wait')
  t.equal(edge.streams.length, 0)
})

t.test('a viewer that leaves frees its edge at once', async t => {
  const edge = fakeEdge(t, 'a')
  const { url } = runGateway(t, { edges: [edge.node] })
  const viewers = Array.from({ length: 10 }, () => watch(t, `${url}/comments/demo`))
  const streams = await Promise.all(viewers.map((_, i) => edge.stream(i)))
  const since = performance.now()
  for (const viewer of viewers) viewer.close()
  await until(() => streams.every(({ left }) => left()))
  const ms = Math.max(...streams.map(({ leftAt }) => leftAt())) - since
  t.ok(ms < 5_000, `${ms} ms: sooner than any timer would find it gone`)
})

t.test('an edge killed in the middle of a frame: the viewer goes on with another, and no event is torn', async t => {
  const edges = [fakeEdge(t, 'a'), fakeEdge(t, 'b')]
  const { url } = runGateway(t, { edges: edges.map(({ node }) => node) })
  const viewer = watch(t, `${url}/comments/demo`)
  const first = await until(() => edges.find(({ streams }) => streams.length > 0))
  const second = edges.find(edge => edge !== first)!
  first.streams[0]!.stream.write(Buffer.concat([readyFrame('demo', 0), commentFrames(1, 2), commentFrames(3).subarray(0, 50)]))
  await until(() => viewer.ids.length === 2)
  first.close()
  const { stream, query } = await second.stream()
  t.equal(query, 'after=2')
  stream.write(Buffer.concat([commentFrames(3, 4), readyFrame('demo', 4)]))
  await until(() => viewer.ids.length === 4)
  t.same(viewer.ids, ['1', '2', '3', '4'])
  t.equal(viewer.events.filter(({ event }) => event === 'ready').length, 1)
  t.notOk(viewer.isClosed)
})

t.test('an edge that answers with an error is tried again, and not backed off from', async t => {
  const edge = fakeEdge(t, 'a')
  const { url, gateway } = runGateway(t, { edges: [edge.node] })
  let refused = 0
  edge.refuse = () => {
    if (++refused === 3) edge.refuse = undefined
    return { status: 500 }
  }
  const viewer = watch(t, `${url}/comments/demo`)
  ;(await edge.stream()).stream.write(readyFrame('demo', 0))
  await viewer.waitForEvent('ready')
  t.equal(refused, 3)
  t.notOk(gateway.upstreams.isBackedOff(edge.node))
})

t.test('with every edge full, beyond the viewer limit and while stopping: 200, retry, end; a long-poll is refused', async t => {
  const edge = fakeEdge(t, 'a', { capacity: 1, viewers: 1 })
  const full = runGateway(t, { edges: [edge.node] })
  const limited = runGateway(t, { edges: [fakeEdge(t, 'b').node], viewerLimit: 2 })
  watch(t, `${limited.url}/comments/demo`)
  await until(() => limited.gateway.links.relayed === 1, { what: 'a viewer that counts twice, on an edge of the former version' })
  const stopping = runGateway(t, { edges: [fakeEdge(t, 'c').node] })
  await stopping.part.drain(0)
  for (const [{ url }, code, connection] of [[full, 'NO_CAPACITY', null], [limited, 'OVERLOADED', null], [stopping, 'UNAVAILABLE', 'close']] as const) {
    const response = await fetch(`${url}/comments/demo`, { headers: { accept: 'text/event-stream' } })
    t.same([response.status, response.headers.get('connection')], [200, connection], code)
    t.match(await response.text(), /retry: \d{3,4}\n$/)
    const poll = await fetch(`${url}/comments/demo?wait=60`)
    t.match([poll.status, poll.headers.get('retry-after'), await poll.json()], [503, '1', { error: { code } }])
  }
})

t.test('stopping ends every stream with a retry', async t => {
  const edge = fakeEdge(t, 'a')
  const { url, gateway, part } = runGateway(t, { edges: [edge.node] })
  const viewers = Array.from({ length: 5 }, () => watch(t, `${url}/comments/demo`))
  await edge.stream(4)
  void part.stop(100)
  await Promise.all(viewers.map(({ closed }) => closed))
  t.ok(viewers.every(({ retryMs }) => retryMs !== undefined && retryMs >= 500))
  await until(() => edge.streams.every(({ left }) => left()))
  t.equal(gateway.sessions.size, 0)
})

t.test('a viewer that stops reading is closed, its edge freed, and nothing piles up', async t => {
  const edge = fakeEdge(t, 'a')
  const { url, gateway } = runGateway(t, { edges: [edge.node] })
  const socket = connectTcp(Number(new URL(url).port), '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  socket.pause()
  socket.write('GET /comments/demo HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n')
  const { stream, left } = await edge.stream()
  const event = `data: ${'x'.repeat(1_000)}\n\n`
  const flush = framesOf(Array.from({ length: 200 }, (_, i) => streamEvent(i + 1, event)))
  stream.write(readyFrame('demo', 0))
  const before = process.memoryUsage.rss()
  const closed = until(() => gateway.sessions.size === 0)
  const writing = (async () => {
    while (!left()) {
      stream.write(flush)
      await sleep(5)
    }
  })()
  await closed
  await writing
  t.equal(gateway.sessions.counts.endings.slow, 1)
  t.ok(process.memoryUsage.rss() - before < 60e6)
})

t.test('an edge that says slow is asked again: the viewer is the gateway\'s to judge', async t => {
  const edge = fakeEdge(t, 'a')
  const { url, gateway } = runGateway(t, { edges: [edge.node] })
  watch(t, `${url}/comments/demo`)
  ;(await edge.stream()).stream.end(frame(FrameKind.end, 0, 'slow'))
  await until(() => edge.streams.length === 2)
  t.equal(gateway.sessions.size, 1)
})
