import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { projectRoot } from '../runtime/root.js'

t.setTimeout(400_000)

/** The test files that .taprc keeps from having a process of their own, `a/{b,c}.test.js` taken apart. */
function files(): string[] {
  const { exclude } = parse(readFileSync(join(projectRoot, '.taprc'), 'utf8')) as { exclude: string[] }
  return exclude.filter(pattern => !pattern.includes('*')).flatMap(pattern => {
    const [, before, names, after] = /^(.*)\{(.*)\}(.*)$/.exec(pattern) ?? []
    return names === undefined ? [pattern] : names.split(',').map(name => `${before}${name}${after}`)
  })
}

let run = 0
for (const file of files()) {
  await import(pathToFileURL(join(projectRoot, file)).href)
  run++
}
t.test('every file that is to run here does', async t => t.ok(run > 60, `${run} files`))
