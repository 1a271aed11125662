import { z } from 'zod'
import { readJwks } from './key-file.js'

/** RFC 7518, section 3.2: a key as long as the hash. */
const MIN_SECRET_BYTES = 32
/** RFC 6265, section 4.1.1: a token. */
const COOKIE_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/

/** The identity variables of a node with a public port. */
export const identityVariables = {
  AUTH_JWT_SECRET: z.string().refine(secret => Buffer.byteLength(secret) >= MIN_SECRET_BYTES, `must be at least ${MIN_SECRET_BYTES} bytes`).optional().describe('turns identity on: secret that signs the tokens (HS256), at least 32 bytes'),
  AUTH_JWKS_FILE: z.string().superRefine(readable).optional().describe('turns identity on: JWKS file with the public keys (RS256, ES256, EdDSA), reread when it changes'),
  AUTH_AUDIENCE: z.string().optional().describe('aud that a token must have; unset: no check'),
  AUTH_ISSUER: z.string().optional().describe('iss that a token must have; unset: no check'),
  AUTH_REQUIRE_TO_WATCH: z.enum(['true', 'false'], 'must be true or false').default('false').transform(text => text === 'true').describe('true: watching and reading need a token too'),
  AUTH_COOKIE: z.string().regex(COOKIE_NAME, 'must be a cookie\'s name').default('live_comments_token').describe('name of the cookie that may carry a token'),
}

/** Conflicts between these variables, one line each. */
export function identityConflicts(given: Readonly<Record<string, unknown>>): string[] {
  const has = (name: keyof typeof identityVariables) => given[name] !== undefined
  if (has('AUTH_JWT_SECRET') && has('AUTH_JWKS_FILE')) return ['AUTH_JWT_SECRET: must not be set together with AUTH_JWKS_FILE']
  if (has('AUTH_JWT_SECRET') || has('AUTH_JWKS_FILE')) return []
  const useless = (['AUTH_AUDIENCE', 'AUTH_ISSUER'] as const).filter(has)
  return [...useless, ...(given['AUTH_REQUIRE_TO_WATCH'] === 'true' ? ['AUTH_REQUIRE_TO_WATCH'] : [])].map(name => `${name}: needs AUTH_JWT_SECRET or AUTH_JWKS_FILE`)
}

function readable(path: string, context: z.RefinementCtx): void {
  try {
    readJwks(path)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
}
