import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Outcome } from '../../bench/run.js'
import { run } from '../support/cluster.js'

t.setTimeout(200_000)

t.test('a run with TLS delivers everything without it, with it, behind nginx and from the bare loop, and says what each costs', async t => {
  const json = join(t.testdir(), 'run.json')
  const { status, stdout, stderr } = await run(['bench', 'fanout', '--tls', '--viewers', '50', '--checked', '10', '--rate', '20', '--duration', '2', '--json', json])
  t.equal(status, 0, stderr)
  const { runs } = JSON.parse(readFileSync(json, 'utf8')) as { runs: Outcome[] }
  t.same(runs.map(({ system, correct }) => [system, correct]), ['live-comments, gateway', 'live-comments, gateway, TLS', 'live-comments, gateway, TLS by nginx', 'bare write loop', 'bare write loop, TLS'].map(name => [name, true]))
  t.match(runs[2]!.usage.filter(({ delivers }) => delivers).map(({ name }) => name), ['gateway-1', 'edge-1', 'nginx', 'nginx worker'])
  t.match(stdout, /\nA delivery costs [\d.]+ µs of processor without TLS; with TLS [\d.]+ µs, [\d.]+ times as much; with TLS by nginx [\d.]+ µs, [\d.]+ times as much\.\nIt costs the bare write loop [\d.]+ µs without TLS; with TLS [\d.]+ µs, [\d.]+ times as much\.\nComments gathered for \d+, \d+, \d+ ms /)
})
