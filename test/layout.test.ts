import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { projectRoot } from '../registry/node/root.js'

/** A module by its path from the project's root, and the project's modules it imports, types included. */
interface Module {
  readonly path: string
  readonly source: string
  readonly imports: readonly string[]
}

const skipped = new Set(['node_modules', 'dist', 'data'])

function* sourceFiles(folder = ''): Generator<string> {
  for (const entry of readdirSync(join(projectRoot, folder), { withFileTypes: true })) {
    if (entry.name.startsWith('.') || skipped.has(entry.name)) continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* sourceFiles(path)
    else if (/\.[mc]?[jt]s$/.test(entry.name)) yield path
  }
}

/** `import … from './x.js'`, `export … from`, `import './x.js'` and `import('./x.js')`. */
const specifier = /(?:\bfrom|\bimport\s*\(?)\s*['"](\.[^'"]*)['"]/g

const modules: Module[] = [...sourceFiles()].map(path => {
  const source = readFileSync(join(projectRoot, path), 'utf8')
  const imports = [...source.matchAll(specifier)].map(([, to = '']) => normalize(join(dirname(path), to)).replace(/\.js$/, '.ts'))
  return { path, source, imports }
})

/** The first step of a path: a service, the floor, or a file at the root. */
const part = (path: string): string => path.split('/')[0] ?? path

/** Every import, as "from imports to", that `forbidden` says must not be. */
function offences(forbidden: (from: string, to: string) => boolean): string[] {
  return modules.flatMap(({ path, imports }) => imports.filter(to => forbidden(path, to)).map(to => `${path} imports ${to}`))
}

const services = ['gateway', 'dispatcher', 'edge']

t.test('the test sees the sources and what they import', async t => {
  const view = modules.find(({ path }) => path === 'registry/view.ts')
  t.ok(view?.imports.some(to => to.startsWith('registry/contract/')))
  t.ok(modules.find(({ path }) => path === 'live-comments.ts')?.imports.includes('cluster.ts'), 'also by import()')
})

t.test('a service never imports another service', async t => {
  t.same(offences((from, to) => services.includes(part(from)) && services.includes(part(to)) && part(from) !== part(to)), [])
})

t.test('the floor imports no service', async t => {
  t.same(offences((from, to) => part(from) === 'registry' && services.includes(part(to))), [])
})

t.test('nothing imports the benchmarks, the tests or the local cluster', async t => {
  const cluster = ['cluster.ts', 'cluster']
  t.same(
    offences((from, to) => {
      if (['bench', 'test'].includes(part(from))) return false
      if (cluster.includes(part(to))) return !cluster.includes(part(from)) && !(from === 'live-comments.ts' && to === 'cluster.ts')
      return ['bench', 'test', 'live-comments.ts'].includes(part(to)) && !(from === 'live-comments.ts' && to === 'bench/main.ts')
    }),
    [],
  )
})

t.test('there are no default exports', async t => {
  const withDefault = modules.filter(({ source }) => /^export default\b|^export \{[^}]*\bas default\b/m.test(source))
  // The linter's configuration has to be one.
  t.same(withDefault.map(({ path }) => path), ['eslint.config.js'])
})

t.test('no file is named after nothing in particular', async t => {
  t.same(modules.filter(({ path }) => /(^|[/-])(utils?|helpers?|misc|common)\.[a-z]+$/.test(path)).map(({ path }) => path), [])
})
