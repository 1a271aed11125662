import type { Exchange } from './exchange.js'

/** Of every answer on a public port: it is of the type it says, it is no page and nobody's frame, and no other site is
 * told an address of ours, which may hold a token. Pages have rules of their own instead. */
export const API_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

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
