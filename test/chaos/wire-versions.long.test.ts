import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { WIRE_VERSION } from '../../protocol/wire.js'
import { projectRoot } from '../../runtime/root.js'
import { copyBuild } from './builds.js'
import { readOptions } from './options.js'
import { isGood, report } from './report.js'
import { run } from './run.js'

t.setTimeout(230_000)

/** This build, but for its wire version. */
function otherWire(): string {
  const folder = join(projectRoot, '.build', `wire-${process.pid}`)
  copyBuild(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), folder)
  const file = join(folder, 'protocol/wire.js')
  const source = readFileSync(file, 'utf8')
  const declared = `WIRE_VERSION = ${WIRE_VERSION};`
  if (!source.includes(declared)) throw new Error(`${file} does not hold ${declared}`)
  writeFileSync(file, source.replace(declared, `WIRE_VERSION = ${WIRE_VERSION + 1};`))
  return folder
}

t.test('a cluster goes over to another wire version and back under load: no promise is broken, and no post fails', async t => {
  const otherBuild = otherWire()
  t.after(() => rmSync(otherBuild, { recursive: true, force: true }))
  const options = readOptions(['--seconds', '10', '--seed', '1', '--faults', 'rolling', '--viewers', '60', '--videos', '12', '--rate', '40', '--edges', '2', '--other-build', otherBuild])!
  const outcome = await run(options, line => t.comment(line))
  t.ok(isGood(outcome), isGood(outcome) ? 'no promise was broken' : report(outcome))
  t.same([...outcome.ledger.posts()].filter(({ failed }) => failed), [], 'every post was answered 201')
})
