import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { projectRoot } from '../runtime/root.js'

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

/** The first step of a path: a room, or a file at the root. */
const part = (path: string): string => path.split('/')[0] ?? path

/** Every import, as "from imports to", that `forbidden` says must not be. */
function offences(forbidden: (from: string, to: string) => boolean): string[] {
  return modules.flatMap(({ path, imports }) => imports.filter(to => forbidden(path, to)).map(to => `${path} imports ${to}`))
}

const services = ['gateway', 'dispatcher', 'edge']

t.test('the test sees the sources and what they import', async t => {
  const view = modules.find(({ path }) => path === 'registry/view.ts')
  t.ok(view?.imports.some(to => to.startsWith('protocol/')))
  t.ok(modules.find(({ path }) => path === 'live-comments.ts')?.imports.includes('cluster.ts'), 'also by import()')
})

t.test('a service never imports another service', async t => {
  t.same(offences((from, to) => services.includes(part(from)) && services.includes(part(to)) && part(from) !== part(to)), [])
})

/** From the ground up: a room imports those before it, and nothing above. */
const floors = [['protocol'], ['runtime'], ['registry'], services, ['cli'], ['cluster', 'cluster.ts', 'bench'], ['live-comments.ts']]
const floorOf = (path: string): number => floors.findIndex(rooms => rooms.includes(part(path)))

t.test('imports run one way: from a room to those beneath it', async t => {
  t.same(offences((from, to) => floorOf(from) >= 0 && floorOf(to) > floorOf(from)), [])
  for (const room of floors.flat()) t.ok(modules.some(({ path }) => part(path) === room), `${room} is there`)
})

t.test('the client imports nothing of ours, and only tests and the page import it: a browser loads it alone', async t => {
  t.ok(modules.some(({ path }) => path === 'client/comments.ts'))
  t.same(offences((from, to) => (part(from) === 'client') !== (part(to) === 'client') && part(from) !== 'test' && !from.startsWith('gateway/page/')), [])
})

t.test('a cluster starts without the operators\' commands', async t => {
  t.same(offences((from, to) => part(from) === 'cluster' && part(to) === 'cli'), [])
})

t.test('no file imports itself by way of others', async t => {
  const circles: string[] = []
  const done = new Set<string>()
  const byPath = new Map(modules.map(module => [module.path, module]))
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path)
    if (at >= 0) circles.push([...way.slice(at), path].join(' → '))
    if (at >= 0 || done.has(path)) return
    for (const to of byPath.get(path)?.imports ?? []) visit(to, [...way, path])
    done.add(path)
  }
  for (const { path } of modules) visit(path, [])
  t.same(circles, [])
})

t.test('a limit that both ends of a wire agree on is defined once', async t => {
  const limits = modules.find(({ path }) => path === 'protocol/limits.ts')!
  const names = Array.from(limits.source.matchAll(/^export const ([A-Z_]+)/gm), ([, name]) => name)
  t.ok(names.includes('MAX_REPLAY') && names.includes('BATCH_BYTES'))
  const again = new RegExp(`\\bconst (${names.join('|')})\\b`)
  // A browser loads the client alone; the tests' checkers are independent.
  t.same(modules.filter(({ path, source }) => path !== limits.path && !['client', 'test'].includes(part(path)) && again.test(source)).map(({ path }) => path), [])
})

t.test('no room is a quarter of the sources or more', async t => {
  const lines = new Map<string, number>()
  for (const { path, source } of modules) {
    if (part(path) !== 'test') lines.set(part(path), (lines.get(part(path)) ?? 0) + source.split('\n').length)
  }
  const all = [...lines.values()].reduce((sum, each) => sum + each, 0)
  t.same([...lines].filter(([, each]) => each * 4 >= all), [])
})

t.test('nothing imports the benchmarks, the tests or the local cluster, but for the program that runs them', async t => {
  const cluster = ['cluster.ts', 'cluster']
  t.same(
    offences((from, to) => {
      if (['bench', 'test'].includes(part(from))) return false
      if (cluster.includes(part(to))) return !cluster.includes(part(from)) && !(from === 'live-comments.ts' && ['cluster.ts', 'cluster/watchdog.ts'].includes(to))
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
