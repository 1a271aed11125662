import type { Clock } from '../clock.js'
import type { AllowedOrigins } from '../http/public-headers.js'
import type { Log } from '../log.js'
import type { Identity } from './identity.js'
import { KeyFile } from './key-file.js'
import { secretKeys } from './keys.js'

export interface IdentityConfig {
  readonly AUTH_JWT_SECRET?: string | undefined
  readonly AUTH_JWKS_FILE?: string | undefined
  readonly AUTH_AUDIENCE?: string | undefined
  readonly AUTH_ISSUER?: string | undefined
  readonly AUTH_REQUIRE_TO_WATCH: boolean
  readonly AUTH_COOKIE: string
  readonly ALLOWED_ORIGINS: AllowedOrigins
  readonly TLS_CERT_FILE?: string | undefined
}

/** The configured identity; undefined if it is off, in which case its library is not loaded either. */
export async function openIdentity(config: IdentityConfig, clock: Clock, log: Log): Promise<Identity | undefined> {
  const { AUTH_JWT_SECRET: secret, AUTH_JWKS_FILE: path } = config
  if (secret === undefined && path === undefined) return undefined
  const { Identity } = await import('./identity.js')
  return new Identity({
    source: secret === undefined ? new KeyFile({ path: path!, clock, log }) : { keys: secretKeys(secret), close() {} },
    audience: config.AUTH_AUDIENCE,
    issuer: config.AUTH_ISSUER,
    requireToWatch: config.AUTH_REQUIRE_TO_WATCH,
    cookie: config.AUTH_COOKIE,
    allowedOrigins: config.ALLOWED_ORIGINS,
    secure: config.TLS_CERT_FILE !== undefined,
    clock,
    random: Math.random,
  })
}
