import { hostname } from 'node:os'
import { z } from 'zod'
import { isNodeId } from '../protocol/nodes.js'
import { networks } from './http/address.js'
import type { AllowedOrigins } from './http/public-headers.js'
import { limit } from './limits/limit.js'
import { tracesVariables } from './traces/open.js'

export const port = z.string().regex(/^[0-9]{1,9}$/, 'must be a port (0 to 65535)').transform(Number).refine(value => value <= 65535, 'must be a port (0 to 65535)')
const url = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).transform(text => text.replace(/\/+$/, ''))

export const count = (fallback: number) => z.string().regex(/^[0-9]{1,15}$/, 'must be a whole number, 0 or more').transform(Number).default(fallback)

// Tokens are separated by commas; only visible ASCII is safe in a header.
export const TOKENS = /^[\x21-\x2b\x2d-\x7e]{16,}(,[\x21-\x2b\x2d-\x7e]{16,})*$/
export const TOKENS_RULE = 'must be at least 16 visible ASCII characters; separate several tokens by commas'

/** INTERNAL_PROOF, of parts and operators' commands. */
export const internalProof = z.enum(['require', 'prefer'], 'must be require or prefer')

/** The variables that every node reads. @param role used in the default NODE_ID */
export function nodeVariables(role: string, internalPort: number) {
  return {
    NODE_ID: z.string().refine(isNodeId, 'must be 1 to 64 of A-Z a-z 0-9 _ - (no dot, no slash)').default(`${hostname().replace(/[^A-Za-z0-9_-]/g, '-')}-${role}`.slice(-64)).describe('this node\'s name in the registry'),
    INTERNAL_HOST: z.string().min(1).default('127.0.0.1').describe('address the internal port listens on'),
    INTERNAL_PORT: port.default(internalPort).describe('port for the other parts, metrics and health; 0: any free port'),
    INTERNAL_URL: url.optional().describe('URL where the other parts reach the internal port; unset: made from host and port'),
    INTERNAL_TOKEN: z.string().regex(TOKENS, TOKENS_RULE).optional().describe('secret shared by all parts, or several, comma-separated; the first is sent, any is accepted; unset: no check, allowed only on loopback with identity off'),
    INTERNAL_PROOF: internalProof.default('prefer').describe('whether a part must prove that it knows the token before the token is sent to it: require; prefer also trusts a part that offers no proof, as the former version does'),
    LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'must be one of trace, debug, info, warn, error, fatal, silent').default('info').describe('lowest level that is logged; what moderators do is logged in any case'),
    ...tracesVariables,
  }
}

/** The variables of those who write to viewers. */
export const gzipVariables = {
  EDGE_GZIP_LEVEL: z.string().regex(/^[1-9]$/, 'must be 1 to 9').transform(Number).default(6).describe('compression level for viewers that accept gzip, 1 to 9'),
  EDGE_GZIP_MIN_VIEWERS: count(4).describe('viewers that a video needs on an edge, or at a gateway, before its flushes are compressed'),
}

const LOOPBACK = /^(localhost|127(\.[0-9]{1,3}){3}|::1)$/i

/** Why a part with this environment must not be without INTERNAL_TOKEN, one line; nothing if it has one or needs none. Anyone who
 * reaches such a part's internal port can write into every stream. @param isSound whether all else is right: it is said last */
export function tokenConflicts({ INTERNAL_TOKEN, INTERNAL_HOST, AUTH_JWT_SECRET, AUTH_JWKS_FILE }: NodeJS.ProcessEnv, isSound: boolean): string[] {
  if (INTERNAL_TOKEN || !isSound) return []
  if (INTERNAL_HOST && !LOOPBACK.test(INTERNAL_HOST)) return ['INTERNAL_TOKEN: must be set where INTERNAL_HOST is not an address of loopback, such as 127.0.0.1']
  return AUTH_JWT_SECRET || AUTH_JWKS_FILE ? ['INTERNAL_TOKEN: must be set where identity is on (AUTH_JWT_SECRET or AUTH_JWKS_FILE), or anyone on this machine could post past it'] : []
}

/** `*`, or a comma-separated list of origins as browsers send them. */
const origins = z
  .string()
  .transform(text => text.split(',').map(part => part.trim()))
  .refine(list => list.length === 1 && list[0] === '*' ? true : list.every(isOrigin), 'must be * or a comma-separated list of origins such as https://example.com')
  .transform((list): AllowedOrigins => (list[0] === '*' ? '*' : new Set(list)))
  .default('*')

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

/** The variables that a node with a public port reads as well. */
export function publicVariables(publicPort: number) {
  return {
    HOST: z.string().min(1).default('127.0.0.1').describe('address the public port listens on'),
    PORT: port.default(publicPort).describe('public port; 0: any free port'),
    PUBLIC_URL: url.optional().describe('URL where clients reach the public port; unset: made from host and port'),
    TRUSTED_PROXIES: networks.describe('proxies whose X-Forwarded-For or Forwarded header is believed: comma-separated addresses and networks; unset: none'),
    CONNECTIONS_PER_ADDRESS: limit(4_000).describe('new connections per address in 12 s, and as many reuses of open ones; excess connections are closed; 0: no limit'),
    STREAMS_PER_ADDRESS: limit(2_000).describe('open streams per address; 0: no limit'),
    ALLOWED_ORIGINS: origins.describe('web origins whose pages may read answers: * or a comma-separated list'),
  }
}

/** The URL of a listener where none is configured. For a wildcard host it has this machine's name. */
export function urlOf(host: string, port: number, scheme: 'http' | 'https' = 'http'): string {
  const name = host === '0.0.0.0' || host === '::' ? hostname() : host
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}`
}
