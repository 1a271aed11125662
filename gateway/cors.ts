import type { Exchange } from '../registry/node/http.js'
import type { AllowedOrigins } from './config.js'

type Headers = Readonly<Record<string, string>>

const PREFLIGHT: Headers = {
  'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
  'access-control-allow-headers': 'content-type, idempotency-key, last-event-id, authorization',
  'access-control-max-age': '7200', // the most that browsers keep
}

/** The headers by which pages of the allowed origins may call us and read what we answer. */
export function corsHeaders(allowed: AllowedOrigins): (exchange: Exchange) => Headers {
  return exchange => {
    const origin = allowed === '*' ? '*' : exchange.header('origin')
    const vary: Headers = allowed === '*' ? {} : { vary: 'Origin' }
    if (allowed !== '*' && !allowed.has(origin)) return vary
    return {
      ...vary,
      'access-control-allow-origin': origin,
      ...(exchange.method === 'OPTIONS' ? PREFLIGHT : { 'access-control-expose-headers': 'retry-after' }),
    }
  }
}
