import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, extname, join, normalize } from 'node:path'
import t from 'tap'
import { dispatcherVariables } from '../../dispatcher/config.js'
import { edgeVariables } from '../../edge/config.js'
import { gatewayVariables } from '../../gateway/config.js'
import { projectRoot } from '../../runtime/root.js'
import { anchorsOf, codeOf, commandsOf, documents, projectFiles, readDocument, type Document } from './documents.js'

const files = [...projectFiles()]
const names = new Set(files.map(path => basename(path)))
const folders = new Set(files.flatMap(path => [dirname(path), dirname(dirname(path))]))
const { scripts, dependencies } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as Record<'scripts' | 'dependencies', Record<string, string>>
/** All that a reader of the code could find a word in. */
const code = files.filter(path => /\.(ts|js|sh|ya?ml|json)$|Dockerfile$/.test(path) && path !== 'package-lock.json').map(path => readFileSync(join(projectRoot, path), 'utf8')).join('\n')
const WRITTEN_AT_RUN_TIME = new Set(['cluster.json', 'identity.json', 'comments.db', 'live-comments-client.js'])

t.test('every link leads to a file that is there, and to a heading of it', async t => {
  let links = 0
  for (const document of documents) {
    const targets = [...document.prose.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"\s]+)"/g)].map(([, inMarkdown, inHtml]) => inMarkdown ?? inHtml!)
    for (const target of targets) {
      if (/^[a-z]+:/.test(target)) continue
      links++
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? document.path : normalize(join(dirname(document.path), path))
      t.ok(existsSync(join(projectRoot, file)), `${document.path}: ${target}`)
      if (anchor !== undefined && file.endsWith('.md')) t.ok(anchorsOf(readDocument(file)).has(anchor), `${document.path}: ${target} names no heading`)
    }
  }
  t.ok(links > 20)
})

t.test('every npm script and every compiled file that is named exists', async t => {
  for (const { path, text } of documents) {
    for (const [, script = ''] of text.matchAll(/\bnpm run (?:-s )?([a-z][a-z:-]*)/g)) t.ok(script in scripts, `${path}: npm run ${script}`)
    for (const [file] of text.matchAll(/\bdist\/[A-Za-z0-9/.-]+\.js\b/g)) t.ok(files.includes(file.replace(/^dist\//, '').replace(/\.js$/, '.ts')), `${path}: ${file}`)
  }
})

t.test('every file that is named exists', async t => {
  for (const { path, prose } of documents) {
    for (const word of codeOf(prose).flatMap(code => code.split(/[^A-Za-z0-9_./-]+/))) {
      if (!/[a-z0-9]\.(ts|md|sh|json|ya?ml|js)$/.test(word) || /\bdist\/|\.cache\/|^\./.test(word) || word.startsWith('/') || word in dependencies) continue
      const found = [join(dirname(path), word), word].some(each => existsSync(join(projectRoot, each))) || (!word.includes('/') && names.has(word))
      t.ok(found || WRITTEN_AT_RUN_TIME.has(basename(word)), `${path}: ${word}`)
    }
  }
})

t.test('every path that is named from the root exists', async t => {
  let paths = 0
  for (const { path, prose } of documents) {
    for (const word of codeOf(prose).flatMap(code => code.split(/[^A-Za-z0-9_./-]+/))) {
      if (!/^(protocol|runtime|gateway|dispatcher|edge|registry|cli|cluster|bench|test|deploy|docs)\/[a-z]/.test(word)) continue
      paths++
      t.ok(['', '.ts'].some(end => existsSync(join(projectRoot, `${word}${end}`)) || existsSync(join(projectRoot, dirname(path), `${word}${end}`))), `${path}: ${word}`)
    }
  }
  t.ok(paths > 100)
})

t.test('every word in capitals is a variable that something reads, an error code or a constant', async t => {
  for (const { path, text } of documents) {
    for (const word of new Set(text.match(/(?<![A-Za-z0-9_/.-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![A-Za-z0-9_])/g))) t.match(code, new RegExp(`\\b${word}\\b`), `${path}: ${word}`)
  }
})

t.test('every variable that a document sets is read', async t => {
  const read = new Set([gatewayVariables, edgeVariables, dispatcherVariables].flatMap(shape => Object.keys(shape)))
  const isRead = (name: string) => read.has(name) || new RegExp(`env(\\.|\\[')${name}\\b|\\$\\{?${name}\\b`).test(code) || ['TAP_TIMEOUT'].includes(name)
  for (const { path, fences } of documents) {
    for (const fence of fences) {
      const set = [...fence.text.matchAll(/^(?:Environment=|export )?([A-Z][A-Z0-9_]*)=/gm)]
      if (!['sh', 'ini'].includes(fence.language)) continue
      for (const [, name = ''] of set) t.ok(isRead(name) || commandsOf(fence).some(command => command.includes(`$${name}`)), `${path}:${fence.line}: ${name}`)
    }
  }
})

/** Folders whose README names each of their files; one without a README is described in the README above it. */
const described = ['protocol', 'runtime', 'cluster', 'client', 'gateway', 'dispatcher', 'edge', 'registry', 'cli', 'bench', 'test/client', 'test/support', 'test/docs', 'test/simulate', 'test/chaos', 'test/power', 'test/page', 'test/fuzz']

function readmeOf(folder: string): Document | undefined {
  for (let at = folder; at !== '.'; at = dirname(at)) {
    const readme = documents.find(({ path }) => path === join(at, 'README.md'))
    if (readme) return readme
  }
  return undefined
}

t.test('every file of a folder stands in its README', async t => {
  const isDescribed = (path: string) => described.some(folder => path.startsWith(`${folder}/`)) && /\.(ts|js|css|html|svg|xml|c)$/.test(path) && !path.endsWith('.test.ts')
  const named = new Map(documents.map(({ path, prose }) => [path, new Set(codeOf(prose).flatMap(code => code.split(/[^A-Za-z0-9_.-]+/)))]))
  const paths = files.filter(isDescribed)
  t.ok(paths.length > 150)
  for (const path of paths) {
    const readme = readmeOf(dirname(path))
    const name = basename(path)
    const words = readme && named.get(readme.path)
    t.ok(words?.has(name) || words?.has(name.slice(0, -extname(name).length)), `${path} stands in ${readme?.path ?? 'a README'}`)
  }
  for (const folder of new Set(files.filter(path => path.startsWith('test/') && path.split('/').length > 2).map(path => path.split('/')[1]!))) {
    t.ok(named.get('test/README.md')?.has(folder), `test/${folder} stands in test/README.md`)
  }
  for (const folder of ['protocol', 'runtime', 'gateway', 'dispatcher', 'edge', 'registry', 'cli', 'client', 'cluster', 'bench', 'test']) t.ok(existsSync(join(projectRoot, folder, 'README.md')), `${folder} has a README`)
})

t.test('a table of files names none that is gone', async t => {
  let rows = 0
  for (const { path, prose } of documents) {
    for (const [table] of prose.matchAll(/^\| (?:file|read) .*\n\|[-| ]+\n(?:\|.*\n?)+/gm)) {
      for (const row of table.trim().split('\n').slice(2)) {
        for (const word of codeOf(row.split('|')[1]!)) {
          rows++
          const at = join(dirname(path), word)
          t.ok(['', '.ts', '.js', '.css', '.html'].some(end => files.includes(`${at}${end}`)) || folders.has(normalize(at).replace(/\/$/, '')), `${path}: ${word}`)
        }
      }
    }
  }
  t.ok(rows > 50)
})
