import { API_HEADERS } from './api-headers.js'
import type { Exchange } from './http.js'

/** Web origins whose pages may read answers. */
export type AllowedOrigins = '*' | ReadonlySet<string>

type Headers = Readonly<Record<string, string>>

const PREFLIGHT: Headers = {
  'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
  'access-control-allow-headers': 'content-type, idempotency-key, last-event-id, authorization',
  'access-control-max-age': '7200', // the most that browsers keep
}

/** Where one path has several answers, by what of the request. */
const NEGOTIATED = /^\/comments\/[^/]+$/

/** The headers of every answer on a public port: those of all we say, and those by which pages of the allowed origins
 * may call us and read it. Made once for all requests that are answered alike: every viewer that comes asks for them.
 * @param identity tokens are looked at: listed origins may send theirs as a cookie, `*` never may */
export function publicHeaders(allowed: AllowedOrigins, identity: boolean): (exchange: Exchange) => Headers {
  const made = new Map<string, Headers>()
  return exchange => {
    const said = allowed === '*' ? '*' : exchange.header('origin')
    const origin = allowed === '*' || allowed.has(said) ? said : ''
    const negotiated = NEGOTIATED.test(exchange.path)
    const preflight = exchange.method === 'OPTIONS'
    const kind = `${Number(negotiated)}${Number(preflight)}${origin}`
    const known = made.get(kind)
    if (known) return known
    const vary = [...(allowed === '*' ? [] : ['Origin']), ...(negotiated ? ['Accept', 'Accept-Encoding'] : [])].join(', ')
    const headers: Headers = {
      ...API_HEADERS,
      ...(vary === '' ? {} : { vary }),
      ...(origin === '' ? {} : { 'access-control-allow-origin': origin }),
      ...(origin !== '' && identity && allowed !== '*' ? { 'access-control-allow-credentials': 'true' } : {}),
      ...(origin === '' ? {} : preflight ? PREFLIGHT : { 'access-control-expose-headers': 'retry-after' }),
    }
    made.set(kind, headers)
    return headers
  }
}
