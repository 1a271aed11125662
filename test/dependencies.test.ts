import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { projectRoot } from '../runtime/root.js'
import { judgeAudit } from './audit.js'
import { pinned, type Lock } from './pin.js'

interface Locked {
  readonly version?: string
  readonly hasInstallScript?: boolean
  readonly link?: boolean
  readonly integrity?: string
  readonly inBundle?: boolean
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

/** The HTTP server's binaries for other platforms than 64-bit Linux on x86: the registry that this lock was made from does not have
 * them. `npm run pin` writes their hashes down where the registry does. */
const NOT_TO_BE_HAD = /(^|\/)node_modules\/@uwsjs\/(darwin-arm64|darwin-x64|linux-arm|linux-arm64|win32-x64)-\d\d$/
/** They are built here. */
const OWN_IMAGES = ['live-comments', 'live-comments-zookeeper']
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
  for (const [path, { version, integrity, link, inBundle }] of locked) {
    // A package inside a package comes with it, under its hash.
    if (!link && !/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version ?? '')) t.fail(`${path}: ${version}`)
    if (!link && !inBundle && !(integrity === undefined && NOT_TO_BE_HAD.test(path)) && !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? '')) t.fail(`${path} has no hash`)
  }
})

t.test('npm run pin writes down the hashes that are missing and that the registry has, and nothing else', async t => {
  const lock: Lock = { packages: { '': { version: '1.0.0' }, 'node_modules/a': { version: '1.0.0', integrity: 'kept' }, 'node_modules/a/node_modules/@s/b': { version: '2.0.0' }, 'node_modules/c': { version: '3.0.0' }, 'node_modules/a/node_modules/d': { version: '1.0.0', inBundle: true } } }
  const asked: string[] = []
  const result = pinned(lock, (name, version) => {
    asked.push(`${name}@${version}`)
    return name === '@s/b' ? 'found' : undefined
  })
  t.same(asked, ['@s/b@2.0.0', 'c@3.0.0'])
  t.same(result, { packages: { ...lock.packages, 'node_modules/a/node_modules/@s/b': { version: '2.0.0', integrity: 'found' } } })
  t.same(Object.keys(result.packages), Object.keys(lock.packages), 'in their order')
})

t.test('so is every image: its exact version, and its digest', async t => {
  const deployed = readdirSync(join(projectRoot, 'deploy'), { recursive: true, encoding: 'utf8' }).filter(path => /(^|\/)Dockerfile$|\.yaml$/.test(path)).map(path => join('deploy', path))
  const images = ['Dockerfile', 'compose.yaml', ...deployed].flatMap(file => Array.from(read(file).matchAll(/^(?:FROM| +image:) (\S+)/gm), ([, image]) => image!))
  for (const known of ['node', 'zookeeper', 'cassandra', 'haproxy', ...OWN_IMAGES]) t.ok(images.some(image => image.split(':', 1)[0] === known), known)
  for (const image of images) if (!OWN_IMAGES.includes(image)) t.match(image, /^[a-z]+:\d+\.\d+\.\d+(-[a-z-]+)?@sha256:[0-9a-f]{64}$/)
})

t.test('and every jar of ZooKeeper: what setup.sh has fetched is what is written down, and nothing else', async t => {
  const written = read('registry/zookeeper/jars.sha256').trim().split('\n').map(line => line.split('  ') as [string, string])
  t.ok(written.length > 20)
  for (const [, name] of written) t.match(name, /^[a-z][A-Za-z0-9._-]*-\d[A-Za-z0-9._-]*\.jar$/)
  for (const [, artifact, version] of read('registry/zookeeper/server-pom.xml').matchAll(/<dependency>[^]*?<artifactId>([^<]+)<[^]*?<version>([^<]+)</g)) t.ok(written.some(([, name]) => name === `${artifact}-${version}.jar`), `${artifact} ${version}`)
  const fetched = join(projectRoot, '.cache', 'zookeeper')
  if (!existsSync(fetched)) return // a packaged ZooKeeper, which the package manager has checked
  t.same(readdirSync(fetched).filter(name => name.endsWith('.jar')).sort(), written.map(([, name]) => name))
  for (const [sum, name] of written) t.equal(createHash('sha256').update(readFileSync(join(fetched, name))).digest('hex'), sum, name)
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

t.test('an audit fails for an advisory on what runs in production, and where it cannot ask, unless it was told that it may', async t => {
  const found = { auditReportVersion: 2, metadata: { vulnerabilities: { info: 0, low: 1, moderate: 0, high: 2, critical: 0, total: 3 } }, vulnerabilities: { a: { name: 'a', severity: 'high' }, b: { name: 'b', severity: 'low' } } }
  t.match(judgeAudit(JSON.stringify(found)), { fails: true, says: /a \(high\), b \(low\)/ })
  t.match(judgeAudit(JSON.stringify({ ...found, metadata: { vulnerabilities: { total: 0 } }, vulnerabilities: {} })), { fails: false, says: /no advisory/ })
  for (const away of ['', 'not JSON', '{"message":"405 Method Not Allowed","error":{"summary":"","detail":""}}', '{"error":{"code":"ENOTFOUND"}}']) {
    t.match(judgeAudit(away), { fails: true, says: /were not asked.*--if-reachable allows that/ }, away)
    t.match(judgeAudit(away, true), { fails: false, says: /were not asked.*allowed by --if-reachable/ }, away)
  }
  t.ok(judgeAudit(JSON.stringify(found), true).fails, 'what was found fails either way')
})
