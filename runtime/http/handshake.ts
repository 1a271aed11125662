import { LiveError } from '../../protocol/errors.js'
import { protocolsOf, SUBPROTOCOL } from '../../protocol/message.js'
import { isUnclear, type Exchange } from './exchange.js'
import type { AllowedOrigins } from './public-headers.js'

/** The only version of WebSockets that there is (RFC 6455, section 4.4). */
const VERSION = '13'

/** What is answered to a client that asks for a WebSocket. Browsers ask nobody's leave for one, so that CORS protects none: a page
 * of an origin that is not listed is refused here. Programs send no `Origin`.
 * @returns the subprotocol, '' for none
 * @throws LiveError BAD_REQUEST, FORBIDDEN */
export function handshake(exchange: Pick<Exchange, 'header' | 'headers'>, allowed: AllowedOrigins): string {
  if (exchange.header('sec-websocket-version') !== VERSION) throw new LiveError('BAD_REQUEST', `Sec-WebSocket-Version must be ${VERSION}`, { headers: { 'sec-websocket-version': VERSION } })
  if (!isAllowed(exchange, allowed)) throw new LiveError('FORBIDDEN', 'pages of this origin may open no WebSocket here')
  return protocolsOf(exchange.headers('sec-websocket-protocol').join(',')).ours ? SUBPROTOCOL : ''
}

function isAllowed(exchange: Pick<Exchange, 'header' | 'headers'>, allowed: AllowedOrigins): boolean {
  const [origin, ...others] = exchange.headers('origin')
  if (allowed === '*' || origin === undefined) return true
  return others.length === 0 && !isUnclear([origin]) && (allowed.has(origin) || isOwn(origin, exchange.header('host')))
}

function isOwn(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host
}
