import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { finished, run } from './support/cluster.js'

/** A program of the tests' own, run to its end. */
const runTool = (path: string, ...argv: string[]) =>
  finished(spawn(process.execPath, [fileURLToPath(new URL(path, import.meta.url)), ...argv], { stdio: ['ignore', 'pipe', 'pipe'] }))

t.test('wrong usage of any part says what was meant, with status 2 and nothing on stdout', async t => {
  const cases: [string[], RegExp][] = [
    [[], /^Usage: live-comments <part>/],
    [['egde'], /^live-comments has no part "egde" \(Did you mean edge\?\)\n\nUsage/],
    [['zzz'], /^live-comments has no part "zzz"\n\nUsage/],
    [['cluster', '--egdes', '3'], /^--egdes: unknown flag \(Did you mean --edges\?\)$/m],
    [['cluster', 'eges'], /^eges: unexpected argument$/m],
    [['edge', '--hlep'], /^--hlep: it takes no arguments; --help lists its variables$/m],
    [['registry', 'egdes'], /Did you mean edges/],
    [['bench', 'fanot'], /Did you mean fanout/],
    [['bench', 'fanout', '--vai', 'edge'], /Did you mean --via/],
  ]
  await Promise.all(
    cases.map(async ([argv, said]) => {
      const { status, stdout, stderr } = await run(argv)
      t.same([status, stdout], [2, ''], argv.join(' '))
      t.match(stderr, said, argv.join(' '))
      t.notMatch(stderr, /\n {4}at /, 'no stack')
    }),
  )
  for (const tool of ['simulate', 'chaos']) {
    const { status, stdout, stderr } = await runTool(`./${tool}/main.js`, '--sede', '3')
    t.same([status, stdout], [2, ''], tool)
    t.match(stderr, 'Did you mean', tool)
  }
})

t.test('help is asked for with status 0, and lists what there is in columns', async t => {
  const { status, stdout, stderr } = await run(['--help'])
  t.same([status, stderr], [0, ''])
  const parts = Array.from(stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm), ([, part]) => part!)
  t.same(parts, ['cluster', 'gateway', 'dispatcher', 'edge', 'registry', 'token', 'bench', 'watchdog'])
  for (const part of parts) {
    const help = await run([part, '--help'])
    t.same([help.status, help.stderr], [0, ''], part)
    t.match(help.stdout, /^Usage: /, part)
    for (const line of help.stdout.match(/^ {2}[A-Z_]{4,}.*$/gm) ?? []) t.match(line, /^ {2}[A-Z_]+ {2,}\S/, `${part}: ${line}`)
  }
  t.match(await run(['--version']), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
})
