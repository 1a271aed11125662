import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { projectRoot } from '../../runtime/root.js'
import { readOptions } from './options.js'
import { isGood, report } from './report.js'
import { run } from './run.js'

t.setTimeout(230_000)

/** The commit of the last release: the one that people upgrade from, and go back to. */
const FORMER = '14bba44498a951afc92853bb554c541761ce791b'

const { status } = spawnSync('git', ['-C', projectRoot, 'cat-file', '-e', `${FORMER}^{commit}`])
const skip = status !== 0 && `the last release, commit ${FORMER}, is not in this copy of the repository`

/** The last release, compiled. @returns the folder of its compiled code */
function build(folder: string): string {
  mkdirSync(folder, { recursive: true })
  const archive = execFileSync('git', ['-C', projectRoot, 'archive', '--format=tar', FORMER, '--', '.', ':!test', ':!bench'], { maxBuffer: 64 << 20 })
  execFileSync('tar', ['-x', '-C', folder], { input: archive })
  // Its types were checked when it was released.
  execFileSync(process.execPath, [join(projectRoot, 'node_modules/typescript/bin/tsc'), '-p', folder, '--noCheck', '--outDir', join(folder, 'dist')])
  execFileSync('npm', ['run', '-s', 'page'], { cwd: folder })
  return join(folder, 'dist')
}

async function roll(t: Test, ...more: string[]): Promise<void> {
  const options = readOptions(['--seconds', '10', '--seed', '1', '--faults', 'rolling', '--viewers', '60', '--videos', '12', '--rate', '40', ...more])!
  const outcome = await run(options, line => t.comment(line))
  t.ok(isGood(outcome), isGood(outcome) ? 'no promise was broken' : report(outcome))
  t.same([...outcome.ledger.posts()].filter(({ failed }) => failed), [], 'every post was answered 201')
}

t.test('a cluster is upgraded from the last release and taken back, under load: no promise is broken, and no post fails', { skip }, async t => {
  const folder = join(projectRoot, '.build', `former-${process.pid}`)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  await roll(t, '--other-build', build(folder))
})

// An upgrade and the way back restart every process twice.
if (skip) t.test('every process is restarted under load: no promise is broken, and no post fails', t => roll(t))
