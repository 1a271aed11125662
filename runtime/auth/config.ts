import { z } from 'zod'
import { readJwks } from './key-file.js'

/** RFC 7518, section 3.2: a key as long as the hash. */
const MIN_SECRET_BYTES = 32
/** A cookie's name as RFC 6265 has it. */
const COOKIE_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/

/** What a node with a public port reads about who may come in. */
export const identityVariables = {
  AUTH_JWT_SECRET: z.string().refine(secret => Buffer.byteLength(secret) >= MIN_SECRET_BYTES, `must be at least ${MIN_SECRET_BYTES} bytes`).optional().describe('turns identity on: the secret that tokens are signed with (HS256), at least 32 bytes'),
  AUTH_JWKS_FILE: z.string().superRefine(readable).optional().describe('turns identity on: a JWKS file with the public keys of tokens (RS256, ES256, EdDSA), read again when it changes'),
  AUTH_AUDIENCE: z.string().optional().describe('what a token must be for, its aud; none: not asked for'),
  AUTH_ISSUER: z.string().optional().describe('whom a token must be from, its iss; none: not asked for'),
  AUTH_REQUIRE_TO_WATCH: z.enum(['true', 'false'], 'must be true or false').default('false').transform(text => text === 'true').describe('true: a token is needed to watch and to read too'),
  AUTH_COOKIE: z.string().regex(COOKIE_NAME, 'must be a cookie\'s name').default('live_comments_token').describe('the cookie that may hold a token'),
}

/** What is wrong with these variables together, a line each. */
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
