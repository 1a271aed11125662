import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { main } from '../../bench/main.js'
import type { Outcome } from '../../bench/run.js'
import { run } from '../support/cluster.js'

t.test('a short run delivers everything, and says so in a table, a file and a picture', async t => {
  const folder = t.testdir()
  const [json, svg] = ['run.json', 'run.svg'].map(name => join(folder, name)) as [string, string]
  const { status, stdout, stderr } = await run(['bench', 'fanout', '--viewers', '50', '--checked', '10', '--rate', '20', '--duration', '2', '--json', json, '--svg', svg])
  t.equal(status, 0, stderr)
  t.match(stdout, /live-comments, gateway +50 +20 .* kept up/)
  const { machine, runs } = JSON.parse(readFileSync(json, 'utf8')) as { machine: unknown; runs: Outcome[] }
  t.match(machine, { cores: Number, node: process.version })
  t.match(runs, [{ viewers: 50, posted: 100, correct: true, faults: { missing: 0, doubled: 0, misplaced: 0, lost: 0, wrongCount: 0 } }])
  t.ok(runs[0]!.deliveries >= 0.9 * 50 * 40)
  t.match(readFileSync(svg, 'utf8'), /^<svg /)
})

t.test('wrong usage is told and ends with status 2', async t => {
  const cases: [string[], RegExp][] = [
    [['fanout', '--duration', 'long'], /--duration <seconds>.*above 0/],
    [['fanout', '--viewers', '2.5'], /--viewers <count>.*whole number, 1 or more/],
    [['post', '--share', '0'], /--share <part>.*above 0/],
    [['attack', '--deaf', '-1'], /--deaf <count>.*whole number, 0 or more/],
    [['idle', '--via', 'dispatcher'], /--via <part>.*edge or gateway/],
    [['compare', '--only', 'live,nchan,ncahn'], /--only <names>.*Not one of gateway, .*: ncahn\./],
  ]
  // In this process: each of its own would take longer to start than to read its flags.
  for (const [argv, said] of cases) {
    const stderr = t.capture(process.stderr, 'write', () => true)
    await main(argv, {})
    const { exitCode } = process
    process.exitCode = 0
    stderr.restore()
    t.equal(exitCode, 2, argv.join(' '))
    t.match(stderr.args().map(([text]) => String(text)).join(''), said, argv.join(' '))
  }
  t.match(await run(['bench', '--help']), { status: 0, stdout: /compare/ })
})
