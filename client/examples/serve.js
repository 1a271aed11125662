// Serves an example and the compiled client: node client/examples/serve.js [plain|react] [port]

import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'

const [example = 'plain', port = '8090'] = process.argv.slice(2)
const folder = join(import.meta.dirname, '..')
const home = join(folder, 'examples', example)
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript' }

if (!existsSync(join(home, 'index.html'))) {
  process.stderr.write('Usage: npm run example -- [plain|react] [port]\n')
  process.exit(2)
}

/** React comes as CommonJS, which a page's own build would turn into modules such as these. */
const MODULES = {
  '/react.js': () => module('react', ['createElement', 'useState', 'useEffect']),
  '/react-dom-client.js': () => module('react-dom/client', ['createRoot']),
}

const server = createServer(({ url }, response) => {
  const { pathname } = new URL(url, 'http://localhost')
  const made = MODULES[pathname]?.()
  const path = pathname.startsWith('/dist/') ? join(folder, pathname) : join(home, pathname === '/' ? 'index.html' : pathname)
  const type = TYPES[extname(path)]
  if (!made && (!type || !existsSync(path))) return response.writeHead(404).end()
  response.setHeader('content-type', type)
  if (made) response.end(made)
  else createReadStream(path).pipe(response)
})
server.listen(Number(port), '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}/?video=demo\n`))

/** A module of the page that exports a CommonJS module's values. All such modules share what they require. */
function module(name, exported) {
  const texts = new Map()
  const main = collect(name, createRequire(import.meta.url), texts)
  return `const texts = { ${[...texts].map(([path, text]) => `${JSON.stringify(path)}(module, exports, require, process) {\n${text}\n}`).join(',\n')} }
const loaded = (globalThis.loaded ??= {})
const load = path => {
  if (loaded[path]) return loaded[path].exports
  const made = (loaded[path] = { exports: {} })
  texts[path](made, made.exports, name => load(names[path][name]), { env: { NODE_ENV: 'production' } })
  return made.exports
}
const names = ${JSON.stringify(Object.fromEntries([...texts.keys()].map(path => [path, required(path)])))}
export const { ${exported.join(', ')} } = load(${JSON.stringify(main)})
`
}

/** Reads a module and all that it requires. @returns its path */
function collect(name, require, texts) {
  const path = require.resolve(name)
  if (texts.has(path)) return path
  texts.set(path, readFileSync(path, 'utf8'))
  for (const other of Object.values(required(path))) collect(other, createRequire(path), texts)
  return path
}

/** What a module requires: paths by the names that it uses. Development builds are left out. */
function required(path) {
  const names = [...readFileSync(path, 'utf8').matchAll(/\brequire\(['"]([^'"]+)['"]\)/g)].map(([, name]) => name)
  return Object.fromEntries(names.filter(name => !name.includes('development')).map(name => [name, createRequire(path).resolve(name)]))
}
