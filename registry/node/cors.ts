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
 * may call us and read it. @param identity tokens are looked at: listed origins may send theirs as a cookie, `*` never may */
export function publicHeaders(allowed: AllowedOrigins, identity: boolean): (exchange: Exchange) => Headers {
  return exchange => {
    const origin = allowed === '*' ? '*' : exchange.header('origin')
    const vary = [...(allowed === '*' ? [] : ['Origin']), ...(NEGOTIATED.test(exchange.path) ? ['Accept', 'Accept-Encoding'] : [])].join(', ')
    const all: Headers = { ...API_HEADERS, ...(vary === '' ? {} : { vary }) }
    if (allowed !== '*' && !allowed.has(origin)) return all
    return {
      ...all,
      'access-control-allow-origin': origin,
      ...(identity && allowed !== '*' ? { 'access-control-allow-credentials': 'true' } : {}),
      ...(exchange.method === 'OPTIONS' ? PREFLIGHT : { 'access-control-expose-headers': 'retry-after' }),
    }
  }
}
