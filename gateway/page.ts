import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Handler, HttpServer } from '../registry/node/http.js'
import { projectRoot } from '../registry/node/root.js'

const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/style.css', 'style.css', 'text/css; charset=utf-8'],
] as const

const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"

/** The viewer page: three files, read once. */
export function routePage(server: HttpServer): void {
  for (const [path, name, type] of FILES) server.route('GET', path, file(join(projectRoot, 'gateway', 'page', name), type))
}

function file(path: string, type: string): Handler {
  const body = readFileSync(path)
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  const headers = { 'content-type': type, 'cache-control': 'no-cache', etag, 'x-content-type-options': 'nosniff', 'content-security-policy': CSP }
  return exchange => {
    const known = exchange.header('if-none-match').split(',').some(tag => tag.trim().replace(/^W\//, '') === etag)
    return known ? { status: 304, headers } : { status: 200, headers, body }
  }
}
