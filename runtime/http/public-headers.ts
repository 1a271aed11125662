import type { Exchange } from './exchange.js'

/** Headers of every answer on a public port: no content sniffing, no scripts, no framing, and no Referer, since our URLs
 * may hold a token. Pages have their own policy instead. */
export const API_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

/** Web origins whose pages may read answers. */
export type AllowedOrigins = '*' | ReadonlySet<string>

type Headers = Readonly<Record<string, string>>

/** What we read, then what stream clients, HTTP libraries and tracing add by themselves: a preflight that lacks one of them
 * refuses the whole request. */
const ALLOWED_HEADERS = [
  'accept', 'authorization', 'content-type', 'idempotency-key', 'last-event-id',
  'cache-control', 'pragma', 'expires', 'if-modified-since', 'user-agent', 'x-requested-with', 'x-request-id', 'x-correlation-id',
  'traceparent', 'tracestate', 'baggage', 'sentry-trace', 'newrelic', 'request-id', 'request-context', 'elastic-apm-traceparent',
  'uber-trace-id', 'b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-amzn-trace-id', 'x-cloud-trace-context',
  'x-datadog-trace-id', 'x-datadog-parent-id', 'x-datadog-origin', 'x-datadog-sampling-priority', 'x-datadog-tags',
].join(', ')

const PREFLIGHT: Headers = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE, OPTIONS',
  'access-control-allow-headers': ALLOWED_HEADERS,
  'access-control-max-age': '7200', // the most that browsers keep
}

/** Where any page may call us, none does so with credentials: only then may a star stand for any header. */
const OPEN_PREFLIGHT: Headers = { ...PREFLIGHT, 'access-control-allow-headers': `${ALLOWED_HEADERS}, *` }

/** Paths whose answer depends on Accept and Accept-Encoding. */
const NEGOTIATED = /^\/comments(?:\/[^/]+)?$/

/** The headers of an answer on a public port: API_HEADERS and those that let pages of the allowed origins call us (CORS).
 * Requests that get the same headers share one object, since every viewer asks for them.
 * @param identity whether tokens are checked: listed origins may then send theirs as a cookie, `*` never may
 * @param hstsSeconds how long browsers must use https for this host from now on (RFC 6797); 0: not sent */
export function publicHeaders(allowed: AllowedOrigins, identity: boolean, hstsSeconds = 0): (exchange: Exchange) => Headers {
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
      ...(hstsSeconds === 0 ? {} : { 'strict-transport-security': `max-age=${hstsSeconds}` }),
      ...(vary === '' ? {} : { vary }),
      ...(origin === '' ? {} : { 'access-control-allow-origin': origin }),
      ...(origin !== '' && identity && allowed !== '*' ? { 'access-control-allow-credentials': 'true' } : {}),
      ...(origin === '' ? {} : preflight ? (allowed === '*' ? OPEN_PREFLIGHT : PREFLIGHT) : { 'access-control-expose-headers': 'retry-after' }),
    }
    made.set(kind, headers)
    return headers
  }
}
