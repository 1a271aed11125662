import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { Poster } from '../../bench/load/poster.js'
import { dueAt, endsAt, measuredFrom, wallMs, type Schedule } from '../../bench/load/schedule.js'
import type { PostTarget } from '../../bench/load/target.js'
import { quantiles } from '../../bench/measure/histogram.js'

t.test('a schedule warms up, pauses, and then measures', async t => {
  const schedule: Schedule = { startAt: 1000, stepMs: 10, warm: 5, pauseMs: 500, count: 10, videos: 1 }
  t.equal(dueAt(schedule, 4), 1040)
  t.equal(measuredFrom(schedule), 1550)
  t.equal(endsAt(schedule), 1600)
})

t.test('a server that stalls is measured by what the posts that were due meanwhile had to wait', async t => {
  const stallMs = 400
  let held: (() => void)[] | undefined = []
  const target = await serve(t, (req, res) => {
    req.resume()
    const answer = () => res.writeHead(201, { 'content-length': '2' }).end('{}')
    if (held) held.push(answer)
    else answer()
  })
  const schedule: Schedule = { startAt: wallMs() + 200, stepMs: 5, warm: 0, pauseMs: 0, count: 100, videos: 1 }
  const poster = new Poster({ targets: [target], schedule, connections: 2, eventBytes: 140 })
  setTimeout(() => {
    const waiting = held!
    held = undefined
    for (const answer of waiting) answer()
  }, 200 + stallMs)
  const posted = await poster.done
  t.equal(posted.accepted.reduce((sum, each) => sum + each, 0), 100)
  t.same(posted.refused, {})
  // Two connections hold two posts; those of the other 78 that were due during the stall waited too.
  t.ok(quantiles(poster.latency)!.p50 > stallMs / 4, JSON.stringify(quantiles(poster.latency)))
})

// Node's own server does so to connections on which nothing came for 5 s, when it finds the time to look.
t.test('a post whose connection is closed is not taken, and the next ones go to another connection', async t => {
  let requests = 0
  const target = await serve(t, (req, res) => {
    req.resume()
    if (requests++ % 3 === 0) req.socket.destroy()
    else setTimeout(() => res.writeHead(201, { 'content-length': '2' }).end('{}'), 20)
  })
  const schedule: Schedule = { startAt: wallMs(), stepMs: 1, warm: 0, pauseMs: 0, count: 60, videos: 1 }
  const { accepted, refused } = await new Poster({ targets: [target], schedule, connections: 2, eventBytes: 140 }).done
  t.same(refused, { 0: 20 })
  t.equal(accepted.reduce((sum, each) => sum + each, 0), 40)
})

// A gateway that is nearly full does so.
t.test('posts to a server that closes each connection with its answer are all taken, each on a connection of its own', async t => {
  const sockets = new Set<unknown>()
  const target = await serve(t, (req, res) => {
    req.resume()
    sockets.add(req.socket)
    res.writeHead(201, { 'content-length': '2', connection: 'close' }).end('{}')
  })
  const schedule: Schedule = { startAt: wallMs() + 100, stepMs: 1, warm: 0, pauseMs: 0, count: 200, videos: 1 }
  const { accepted, refused } = await new Poster({ targets: [target], schedule, connections: 2, eventBytes: 140 }).done
  t.same(refused, {})
  t.equal(accepted.reduce((sum, each) => sum + each, 0), 200)
  t.equal(sockets.size, 200)
})

t.test('comments that nobody reads are made beforehand, and go to the videos in turn', async t => {
  const posts: { path: string; body: string }[] = []
  const target = await serve(t, (req, res) => {
    let body = ''
    req.setEncoding('utf8').on('data', (text: string) => (body += text))
    req.once('end', () => {
      posts.push({ path: req.url!, body })
      res.writeHead(201, { 'content-length': '2' }).end('{}')
    })
  })
  const schedule: Schedule = { startAt: wallMs(), stepMs: 1, warm: 0, pauseMs: 0, count: 30, videos: 3 }
  const { refused } = await new Poster({ targets: [{ ...target, line: 'POST /{video}', payload: 'draft' }], schedule, connections: 1, eventBytes: 140, unread: true }).done
  t.same(refused, {})
  t.same(posts.map(({ path }) => path), Array.from({ length: 30 }, (_, i) => `/bench-${i % 3}`))
  t.equal(new Set(posts.map(({ body }) => (JSON.parse(body) as { content: string }).content)).size, 30)
})

t.test('posts that are not answered are given up', async t => {
  const target = await serve(t, req => req.resume())
  const schedule: Schedule = { startAt: wallMs(), stepMs: 1, warm: 0, pauseMs: 0, count: 10, videos: 1 }
  const { accepted, refused } = await new Poster({ targets: [target], schedule, connections: 2, eventBytes: 140, patienceMs: 200 }).done
  t.same(refused, { 0: 10 })
  t.equal(accepted.length, 10)
})

/** Where that listener takes posts until `t` ends. */
async function serve(t: Test, listener: RequestListener): Promise<PostTarget> {
  const server = createServer(listener)
  t.teardown(() => server.close())
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return { host: '127.0.0.1', port, line: 'POST /', headers: {}, payload: 'comment', prefix: '', suffix: '', form: false }
}
