import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { projectRoot } from '../runtime/root.js'
import { VERSION } from '../runtime/version.js'

export interface Release {
  /** Of package.json. */
  readonly version: string
  /** Of the commit that is checked out. */
  readonly tags: readonly string[]
  readonly changelog: string
  /** Files that differ from that commit. */
  readonly changed: readonly string[]
}

/** What keeps this from being published under its version, one line each. */
export function judgeRelease({ version, tags, changelog, changed }: Release): string[] {
  const sections = changelog.split(/^## /m).slice(1)
  const unreleased = sections.find(section => section.startsWith('Unreleased'))
  return [
    ...(tags.includes(`v${version}`) ? [] : [`package.json is of version ${version}, and the commit has no tag v${version}`]),
    ...(sections.some(section => new RegExp(`^\\[?${version.replaceAll('.', '\\.')}\\]?( |$)`, 'm').test(section.split('\n')[0]!)) ? [] : [`CHANGELOG.md has no section ${version}`]),
    ...(unreleased?.includes('\n- ') ? ['CHANGELOG.md has entries under Unreleased'] : []),
    ...(changed.length === 0 ? [] : [`not committed: ${changed.join(', ')}`]),
  ]
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: projectRoot, encoding: 'utf8' }).stdout.split('\n').filter(line => line !== '')
  const problems = judgeRelease({
    version: VERSION,
    tags: git('tag', '--points-at', 'HEAD'),
    changelog: readFileSync(join(projectRoot, 'CHANGELOG.md'), 'utf8'),
    changed: git('status', '--porcelain').map(line => line.slice(3)),
  })
  for (const problem of problems) process.stderr.write(`release: ${problem}\n`)
  process.exitCode = problems.length > 0 ? 1 : 0
}
