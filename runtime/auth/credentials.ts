import { protocolsOf } from '../../protocol/message.js'
import type { Exchange } from '../http/exchange.js'
import type { AllowedOrigins } from '../http/public-headers.js'
import { unauthorized } from './token.js'

export interface CredentialRules {
  /** The name of the cookie. */
  readonly cookie: string
  readonly allowedOrigins: AllowedOrigins
  /** Whether the public port speaks TLS: a page that came over plain HTTP is then another site's. */
  readonly secure: boolean
}

/** The token of a request: from `Authorization`, from `?access_token=` or `Sec-WebSocket-Protocol` if `query` allows it (browsers can set
 * no header of a stream or a WebSocket), or from a cookie. Browsers send a cookie no matter which page made the request, so it counts
 * only for pages of ours or of a listed origin.
 * @throws LiveError UNAUTHORIZED if there is none */
export function tokenOf(request: Pick<Exchange, 'header' | 'query'>, { cookie, allowedOrigins, secure }: CredentialRules, { query }: { query: boolean }): string {
  const authorization = request.header('authorization')
  const bearer = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
  // Another scheme is for somebody else, such as a proxy in front.
  if (bearer === undefined && /^Bearer\b/i.test(authorization)) throw unauthorized('the Authorization header has no token')
  const offered = query ? protocolsOf(request.header('sec-websocket-protocol')).token : undefined
  const asked = query ? (request.query.get('access_token') ?? '') : ''
  const token = bearer ?? offered ?? asked
  if (token !== '') return token
  const [kept, other] = cookiesOf(request.header('cookie'), cookie)
  if (other !== undefined) throw unauthorized('there are two cookies of that name')
  if (kept === undefined) throw unauthorized('a token is needed', undefined)
  if (!isOwn(request, allowedOrigins, secure)) throw unauthorized('a cookie counts only from this origin or a listed one', undefined)
  return kept
}

/** Whether a page of ours or of a listed origin made the request. Pages cannot set `Sec-Fetch-Site`; browsers send it over
 * TLS and on loopback. `Origin` is in every post and every cross-origin request. A request with neither may come from
 * anywhere. */
function isOwn(request: Pick<Exchange, 'header'>, allowed: AllowedOrigins, secure: boolean): boolean {
  const origin = request.header('origin')
  if (allowed !== '*' && allowed.has(origin)) return true
  const site = request.header('sec-fetch-site')
  if (site !== '') return site === 'same-origin'
  if (!URL.canParse(origin)) return false
  const { host, protocol } = new URL(origin)
  return host === request.header('host') && (!secure || protocol === 'https:')
}

/** The different values of the cookies of that name: a site beside ours may have set one too, and either may come first. */
function cookiesOf(header: string, name: string): string[] {
  const found = header.split(';').map(pair => pair.trim()).filter(pair => pair.startsWith(`${name}=`))
  return [...new Set(found.map(pair => pair.slice(name.length + 1).replace(/^"(.*)"$/, '$1')))].filter(value => value !== '')
}
