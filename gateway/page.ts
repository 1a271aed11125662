import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'
import { LiveError } from '../protocol/errors.js'
import { GZIP_HEADERS } from '../protocol/gzip.js'
import type { AllowedOrigins } from '../runtime/http/public-headers.js'
import type { Handler, Router } from '../runtime/http/server.js'
import { acceptsGzip } from '../runtime/http/stream-request.js'
import { projectRoot } from '../runtime/root.js'

const FOLDER = join(projectRoot, 'gateway', 'page')
/** What `npm run page`, a part of each build, makes of its modules and the client: one small file for each that is loaded. */
const BUILT_FOLDER = join(projectRoot, 'dist', 'gateway', 'page')
const BUILT = ['page.js', 'menu.js', 'replay.js'] as const
const PLAIN = ['style.css', 'icon.svg', 'look.js', 'words-ar.js', 'words-de.js', 'words-es.js', 'words-fr.js'] as const
const TYPES: Readonly<Record<string, string>> = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' }

const YEAR = 'public, max-age=31536000, immutable'

/** The viewer page: read once, at `/` for people and at `/embed` for other sites' frames; at `/replay` a recorded video
 * with its comments. What they load lies under one hash of all of it, so that plain imports hold, a browser keeps the files
 * for good, and a page never mixes two versions.
 * @param identity a token says who writes, so the page does not ask. The token may be a cookie, which the page sends in any
 * frame: `*` then names no site that may frame it */
export function routePage(server: Router, allowedOrigins: AllowedOrigins, identity: boolean): void {
  const files = new Map<string, File>([...PLAIN.map(name => [name, read(FOLDER, name)] as const), ...BUILT.map(name => [name, read(BUILT_FOLDER, name)] as const)])
  const hash = digest(...Array.from(files.values(), ({ bytes }) => bytes))
  const assets = `/page/${hash}`
  const htmlOf = (name: string) => readFileSync(join(FOLDER, name), 'utf8').replaceAll('{assets}', assets)
  let html = htmlOf('index.html')
  if (identity) html = html.replace('<label id="name"', '<label id="name" hidden')
  const framedBy = allowedOrigins !== '*' ? ["'self'", ...allowedOrigins].join(' ') : identity ? "'self'" : '*'
  const vary = allowedOrigins === '*' ? 'Accept-Encoding' : 'Origin, Accept-Encoding'
  server
    .route('GET', '/', pageHandler(html, "'self'"))
    .route('GET', '/embed', pageHandler(html, framedBy))
    // The video may be anybody's.
    .route('GET', '/replay', pageHandler(htmlOf('replay.html'), framedBy, '*'))
    .route('GET', '/page/:hash/:file', exchange => {
      const name = exchange.parameter(1)
      const file = files.get(name)
      if (!file) throw new LiveError('NOT_FOUND', 'there is nothing at this path')
      const gzip = acceptsGzip(exchange.headers('accept-encoding'))
      return {
        status: 200,
        headers: { ...headersOf(name, exchange.parameter(0) === hash), vary, ...(gzip ? GZIP_HEADERS : {}) },
        body: gzip ? file.gzipped : file.bytes,
      }
    })
}

interface File {
  readonly bytes: Buffer
  readonly gzipped: Buffer
}

/** @throws Error if the build has not made it */
function read(folder: string, name: string): File {
  const path = join(folder, name)
  if (!existsSync(path)) throw new Error(`${path} is missing: npm run build makes it`)
  const bytes = readFileSync(path)
  return { bytes, gzipped: gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }) }
}

/** @param current the hash is ours. While gateways are being upgraded a page may come from one version and ask another:
 * what that one has most likely works, and must not be kept under a name that is not its own. */
function headersOf(name: string, current: boolean): Readonly<Record<string, string>> {
  return { 'content-type': TYPES[name.slice(name.lastIndexOf('.') + 1)]!, 'cache-control': current ? YEAR : 'no-store', 'x-content-type-options': 'nosniff' }
}

/** @param media where a video may come from, in the words of a Content-Security-Policy; without it there is none */
function pageHandler(html: string, framedBy: string, media?: string): Handler {
  const etag = `"${digest(html)}"`
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    etag,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    'content-security-policy': policy(framedBy, media),
  }
  return exchange => {
    const known = exchange.header('if-none-match').split(',').some(tag => tag.trim().replace(/^W\//, '') === etag)
    return known ? { status: 304, headers } : { status: 200, headers, body: html }
  }
}

/** Ours and nothing else; and no string becomes markup or code (trusted types), whatever the page's scripts do. */
function policy(framedBy: string, media?: string): string {
  return [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'", ...(media === undefined ? [] : [`media-src ${media}`]),
    "base-uri 'none'", "form-action 'none'", `frame-ancestors ${framedBy}`,
    "require-trusted-types-for 'script'", "trusted-types 'none'",
  ].join('; ')
}

function digest(...parts: readonly (string | Buffer)[]): string {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part)
  return sum.digest('base64url').slice(0, 16)
}
