// Serves this folder and the compiled client: http://127.0.0.1:8090/

import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'

const folder = join(import.meta.dirname, '..')
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript' }

createServer(({ url }, response) => {
  const { pathname } = new URL(url, 'http://localhost')
  const path = join(folder, pathname === '/' ? 'examples/plain/index.html' : pathname)
  const type = TYPES[extname(path)]
  if (!type || !existsSync(path)) return response.writeHead(404).end()
  response.setHeader('content-type', type)
  createReadStream(path).pipe(response)
}).listen(8090, '127.0.0.1', () => process.stdout.write('http://127.0.0.1:8090/?video=demo\n'))
