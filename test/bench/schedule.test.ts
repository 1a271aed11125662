import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
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
  const server = createServer((req, res) => {
    req.resume()
    const answer = () => res.writeHead(201, { 'content-length': '2' }).end('{}')
    if (held) held.push(answer)
    else answer()
  })
  t.teardown(() => server.close())
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const target: PostTarget = { host: '127.0.0.1', port, line: 'POST /', headers: {}, payload: 'comment', prefix: '', suffix: '', form: false }
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
