import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Outcome } from '../../bench/run.js'
import { run } from '../support/cluster.js'

t.setTimeout(200_000)

t.test('a run with TLS delivers everything without it, with it and behind nginx, and says what each costs', async t => {
  const json = join(t.testdir(), 'run.json')
  const { status, stdout, stderr } = await run(['bench', 'fanout', '--tls', '--via', 'edge', '--viewers', '50', '--checked', '10', '--rate', '20', '--duration', '2', '--json', json])
  t.equal(status, 0, stderr)
  const { runs } = JSON.parse(readFileSync(json, 'utf8')) as { runs: Outcome[] }
  t.same(runs.map(({ system, correct }) => [system, correct]), [['live-comments, edge', true], ['live-comments, edge, TLS', true], ['live-comments, edge, TLS by nginx', true]])
  t.match(runs[2]!.usage.filter(({ delivers }) => delivers).map(({ name }) => name), ['edge-1', 'nginx', 'nginx worker'])
  t.match(stdout, /\nA delivery costs [\d.]+ µs of processor without TLS; with TLS [\d.]+ µs, [\d.]+ times as much; with TLS by nginx [\d.]+ µs, [\d.]+ times as much\.\n/)
})
