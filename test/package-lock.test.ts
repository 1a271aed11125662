import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { projectRoot } from '../runtime/root.js'

interface Entry {
  readonly version?: string
  readonly resolved?: string
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly optional?: boolean
  readonly dependencies?: Record<string, string>
  readonly devDependencies?: Record<string, string>
  readonly engines?: Record<string, string>
}

const text = readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')
const { packages } = JSON.parse(text) as { packages: Record<string, Entry> }
const root = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as Entry

// npm leaves what it cannot get at the moment of locking out of the lock, and then installs nothing there.
t.test('the lock holds the HTTP server for every platform and Node version', async t => {
  for (const [os, cpu] of [['linux', 'x64'], ['linux', 'arm64'], ['darwin', 'x64'], ['darwin', 'arm64']] as const) {
    for (const [node, version] of [[20, '20.51.4'], [22, '20.51.4'], [23, '20.51.4'], [24, '20.69.0'], [26, '20.69.0']] as const) {
      const entry = packages[`node_modules/@uwsjs/${os}-${cpu}-${node}`]
      t.match(entry, { version, os: [os], cpu: [cpu], optional: true, engines: { node: `>=${node}.0.0 <${node + 1}.0.0` } }, `${os} ${cpu}, Node ${node}`)
    }
  }
})

t.test('versions are exact, and the lock is of this package.json', async t => {
  for (const kind of ['dependencies', 'devDependencies', 'engines'] as const) t.same(packages['']?.[kind], root[kind])
  for (const [name, version] of Object.entries({ ...root.dependencies, ...root.devDependencies })) {
    t.match(version, /^(npm:@?[^@]+@)?\d+\.\d+\.\d+$/, name)
  }
})

t.test('the lock names no place to fetch packages from', async t => {
  t.same(Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path), [])
})
