import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { run } from '../support/cluster.js'

t.setTimeout(300_000)

/** Runs a benchmark of a few viewers. @returns what it printed, and its runs */
async function bench<Run>(t: Test, ...argv: string[]): Promise<{ stdout: string; runs: Run[] }> {
  const json = join(t.testdir(), 'run.json')
  const { status, stdout, stderr } = await run(['bench', ...argv, '--json', json])
  t.equal(status, 0, stderr)
  return { stdout, runs: (JSON.parse(readFileSync(json, 'utf8')) as { runs: Run[] }).runs }
}

t.test('a burst is delivered through a gateway', async t => {
  const { stdout } = await bench(t, 'burst', '--viewers', '20', '--comments', '20')
  t.match(stdout, /live-comments, gateway +20 +20 .* kept up[^]*bare write loop +20 +20 /)
})

t.test('a crowd joins, and those that are there already are timed before and meanwhile', async t => {
  const { stdout, runs } = await bench<object>(t, 'join', '--viewers', '50', '--joins', '50', '--present', '10')
  t.match(stdout, /during: p50 ms[^]* nothing missed/)
  const latency = { p50: Number, p99: Number, max: Number }
  t.match(runs, [{ via: 'gateway', coming: 50, joinMs: latency, quietLatencyMs: latency, presentLatencyMs: latency, clientCpu: Number }])
})

t.test('each process of a cluster that nobody uses is shown', async t => {
  const { stdout, runs } = await bench<{ name: string; cores: number; wakeUpsPerSecond: number }>(t, 'idle-cluster', '--duration', '2', '--edges', '2')
  t.same(runs.map(({ name }) => name), ['zookeeper-1', 'gateway-1', 'dispatcher-1', 'edge-1', 'edge-2', 'supervisor'])
  for (const { name, cores, wakeUpsPerSecond } of runs) t.ok(cores > 0 && cores < 1 && wakeUpsPerSecond > 0, `${name}: ${cores} of a core, ${wakeUpsPerSecond} wake-ups/s`)
  t.match(stdout, /gateway-1 +[\d.]+%/)
})

t.test('posts are stored flat out and by a schedule, at a cost to the system and to the client', async t => {
  const { stdout, runs } = await bench<{ postsPerSecond: number; systemMicroseconds: number; clientMicroseconds: number }>(t, 'post', '--duration', '2', '--connections', '8', '--videos', '4')
  t.match(stdout, /µs\/post: system +client\nflat out [^]*\/s by schedule /)
  t.equal(runs.length, 2)
  for (const { postsPerSecond, systemMicroseconds, clientMicroseconds } of runs) t.ok(postsPerSecond > 0 && systemMicroseconds > 0 && clientMicroseconds > 0)
})

t.test('every viewer of one video gets each comment, once and in order, also when its edge dies', async t => {
  const { stdout, runs } = await bench<object>(t, 'million', '--viewers', '60', '--joins', '200', '--comments', '3', '--every', '1')
  t.match(runs, [{ viewers: 60, gateways: 1, lost: 0, misplaced: 0, deliveries: [{ have: 60 }, { have: 60, afterDeath: true }, { have: 60 }], bare: { viewers: 60, lastMs: Number } }])
  t.match(stdout, /2, just after its edge was killed +all 60 [^]*No stream was cut off; nothing came twice or out of order/)
})

t.test('the registry is measured with a few edges, whose changes a gateway\'s and a dispatcher\'s view show', async t => {
  const { stdout, runs } = await bench<{ videos: number; viewers: number; writesPerSecond: number; readBytesPerSecond: number; staleMs: Record<string, { p50: number }>; placementMs: { p50: number }; complete: boolean }>(t, 'registry', '--edges', '3', '--videos', '300', '--stay', '20', '--duration', '11')
  t.match(stdout, /^ *edges +videos[^]*\n +3 /m)
  t.equal(runs.length, 1)
  for (const run of runs) {
    t.ok(run.complete)
    t.ok(Math.abs(run.videos - 300) < 75, `${run.videos} videos`)
    t.ok(run.viewers > run.videos)
    t.ok(run.writesPerSecond > 1 && run.readBytesPerSecond > 100, `${run.writesPerSecond} writes/s, ${run.readBytesPerSecond} bytes/s`)
    for (const { p50 } of Object.values(run.staleMs)) t.ok(p50 > 0 && p50 < 2_000, `${p50} ms`)
    t.ok(run.placementMs.p50 < 5)
  }
})

t.test('a deleted comment is gone everywhere, by every transport, while others come back', async t => {
  const { stdout, runs } = await bench<{ resumed: number; leaks: string[]; shown: { viewers: number; ms: { max: number } }[] }>(t, 'delete', '--viewers', '12', '--resuming', '6', '--deletions', '2')
  t.match(stdout, /^SSE +2 +\d+ +\d+ +\d+$[^]*no byte of SQLite's files/m)
  for (const { resumed, leaks, shown } of runs) {
    t.same(leaks, [])
    t.ok(resumed > 6)
    t.same(shown.map(({ viewers }) => viewers), [2, 2, 2, 2, 2, 2])
  }
})
