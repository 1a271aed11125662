import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { projectRoot } from '../runtime/root.js'
import { judgeAudit } from './audit.js'

interface Locked {
  readonly version?: string
  readonly hasInstallScript?: boolean
  readonly link?: boolean
  readonly integrity?: string
  readonly inBundle?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
}

interface Manifest {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly allowScripts?: Record<string, boolean>
}

const read = (file: string) => readFileSync(join(projectRoot, file), 'utf8')
const manifest = JSON.parse(read('package.json')) as Manifest
const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }
const locked = Object.entries(packages).filter(([path]) => path !== '')

/** Native code, for which there is no other way. */
const NATIVE = /^node_modules\/(better-sqlite3|uWebSockets\.js(-node24)?|@uwsjs\/.+)$/

t.test('nothing runs a script when it is installed but the native ones', async t => {
  t.ok(locked.length > 100)
  const withScript = locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)
  t.same(withScript.filter(path => !NATIVE.test(path)), [])
  t.ok(withScript.includes('node_modules/better-sqlite3'), 'the lock does tell of such scripts')
  t.same(Object.keys(manifest.allowScripts ?? {}).filter(name => !NATIVE.test(`node_modules/${name}`)), [], 'nor may any other')
})

t.test('everything is pinned: an exact version, and the hash of what it must be', async t => {
  for (const [path, { version, integrity, link, inBundle, os, cpu }] of locked) {
    // A package inside a package comes with it, under its hash. npm writes down no hash of a binary for another platform.
    const elsewhere = os !== undefined && cpu !== undefined && /@uwsjs\/[^/]+$/.test(path)
    if (!link && !/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version ?? '')) t.fail(`${path}: ${version}`)
    if (!link && !inBundle && !elsewhere && !/^sha512-/.test(integrity ?? '')) t.fail(`${path} has no hash`)
  }
})

t.test('a line says why each dependency is there, and none speaks of one that is gone', async t => {
  const [, production = '', development = ''] = read('docs/dependencies.md').split(/^## .*$/m)
  const named = (text: string) => Array.from(text.matchAll(/^\| `([^`]+)` \| (.{5,}) \|$/gm), ([, name]) => name!)
  t.same(named(production).sort(), Object.keys(manifest.dependencies).sort())
  t.same(named(development).sort(), Object.keys(manifest.devDependencies).sort())
})

/** In compiled code: `… from 'x';`, `import 'x'`, `import('x')`, `require('x')` and `createRequire(…)('x')`. */
const IMPORT = /(?:\bfrom |^import |\b(?:import|require)\(|\bcreateRequire\([^()]*\)\()['"]([^'"\n]+)['"](?=\)|;$)/gm

t.test('what runs imports nothing that only builds, tests or measures', async t => {
  const dist = join(projectRoot, 'dist')
  const shipped = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.js') && !/^(test|bench)\b/.test(path))
  t.ok(shipped.includes('live-comments.js') && shipped.length > 150)
  const used = new Set<string>()
  for (const path of shipped) {
    for (const [, to = ''] of readFileSync(join(dist, path), 'utf8').matchAll(IMPORT)) {
      t.notMatch(to, /^(\.\.?\/)+(test|bench)\//, path)
      const [scope = '', name = ''] = to.split('/')
      const library = scope.startsWith('@') ? `${scope}/${name}` : scope
      if (/^(\.|node:)/.test(to)) continue
      used.add(library)
      t.ok(library in manifest.dependencies, `${path} imports ${to}`)
    }
  }
  // The HTTP server is chosen by a name that is computed.
  t.same(Object.keys(manifest.dependencies).filter(name => !used.has(name) && !name.startsWith('uWebSockets')), [], 'and all that is installed to run is imported')
})

t.test('an audit fails for an advisory on what runs in production, and for nothing else', async t => {
  const found = { auditReportVersion: 2, metadata: { vulnerabilities: { info: 0, low: 1, moderate: 0, high: 2, critical: 0, total: 3 } }, vulnerabilities: { a: { name: 'a', severity: 'high' }, b: { name: 'b', severity: 'low' } } }
  t.match(judgeAudit(JSON.stringify(found)), { fails: true, says: /a \(high\), b \(low\)/ })
  t.match(judgeAudit(JSON.stringify({ ...found, metadata: { vulnerabilities: { total: 0 } }, vulnerabilities: {} })), { fails: false, says: /no advisory/ })
  for (const away of ['', 'not JSON', '{"message":"405 Method Not Allowed","error":{"summary":"","detail":""}}', '{"error":{"code":"ENOTFOUND"}}']) t.match(judgeAudit(away), { fails: false, says: /could not be asked/ }, away)
})
