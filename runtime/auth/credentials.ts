import type { Exchange } from '../http/exchange.js'
import type { AllowedOrigins } from '../http/public-headers.js'
import { unauthorized } from './token.js'

export interface CredentialRules {
  /** The name of the cookie. */
  readonly cookie: string
  readonly allowedOrigins: AllowedOrigins
}

/** The token that a request carries: in `Authorization`, where `query` allows it in `?access_token=`, or in a cookie.
 * A cookie is sent by the browser whoever made it ask, so it counts only for a page of ours or of a listed origin.
 * @throws LiveError UNAUTHORIZED where there is none */
export function tokenOf(request: Pick<Exchange, 'header' | 'query'>, { cookie, allowedOrigins }: CredentialRules, { query }: { query: boolean }): string {
  const bearer = /^Bearer +(\S+)$/i.exec(request.header('authorization'))?.[1]
  const asked = query ? request.query.get('access_token') : null
  const token = bearer ?? asked
  if (token !== null && token !== '') return token
  const kept = cookieOf(request.header('cookie'), cookie)
  if (kept === undefined) throw unauthorized('a token is needed', undefined)
  if (!isOwn(request, allowedOrigins)) throw unauthorized('a cookie counts only from this origin, or one that is listed as allowed', undefined)
  return kept
}

/** `Sec-Fetch-Site` cannot be set by a page; browsers send it where there is TLS, and on loopback. `Origin` is in every
 * post and every request across origins. A request with neither may come from anywhere. */
function isOwn(request: Pick<Exchange, 'header'>, allowed: AllowedOrigins): boolean {
  const origin = request.header('origin')
  if (allowed !== '*' && allowed.has(origin)) return true
  const site = request.header('sec-fetch-site')
  if (site !== '') return site === 'same-origin'
  return URL.canParse(origin) && new URL(origin).host === request.header('host')
}

function cookieOf(header: string, name: string): string | undefined {
  const found = header.split(';').map(pair => pair.trim()).find(pair => pair.startsWith(`${name}=`))
  const value = found?.slice(name.length + 1).replace(/^"(.*)"$/, '$1')
  return value === '' ? undefined : value
}
