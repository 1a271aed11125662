import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import { Identity, type IdentityOptions } from '../../runtime/auth/identity.js'
import { parseJwks } from '../../runtime/auth/keys.js'

export type Algorithm = 'RS256' | 'ES256' | 'EdDSA'

/** A site that signs people in: makes tokens and tells its public keys. */
export class Issuer {
  readonly #keys = new Map<string, { readonly alg: Algorithm; readonly privateKey: KeyObject; readonly publicKey: KeyObject }>()

  constructor(keys: Readonly<Record<string, Algorithm>> = { rsa: 'RS256', ec: 'ES256', ed: 'EdDSA' }) {
    for (const [kid, alg] of Object.entries(keys)) this.#keys.set(kid, { alg, ...newPair(alg) })
  }

  /** Its key set as a file would hold it. @param kids of all keys by default */
  jwks(kids: readonly string[] = [...this.#keys.keys()]): string {
    return JSON.stringify({ keys: kids.map(kid => ({ kid, ...this.#key(kid).publicKey.export({ format: 'jwk' }) })) })
  }

  /** A token for an hour, of somebody named Ann. @param header more of it, such as another kid; undefined leaves out */
  token(kid: string, claims: JWTPayload = {}, header: Record<string, unknown> = {}): Promise<string> {
    const { alg, privateKey } = this.#key(kid)
    return new SignJWT({ ...good(), ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(privateKey)
  }

  /** The public key of `kid` as text, which is no secret, taken for an HMAC key. */
  async confused(kid: string): Promise<string> {
    const pem = this.#key(kid).publicKey.export({ type: 'spki', format: 'pem' })
    return new SignJWT(good()).setProtectedHeader({ alg: 'HS256', kid }).sign(createSecretKey(Buffer.from(pem)))
  }

  #key(kid: string) {
    const key = this.#keys.get(kid)
    if (!key) throw new Error(`no key ${kid}`)
    return key
  }
}

export const seconds = (): number => Math.floor(Date.now() / 1000)
export const good = (): JWTPayload => ({ sub: 'ann', name: 'Ann Example', aud: 'live', iss: 'https://site.example', exp: seconds() + 3600 })

/** What must not get in to the video `demo`, by what is wrong with it, and the status that says so. */
export async function badTokens(issuer: Issuer): Promise<Readonly<Record<string, { readonly token: string; readonly status: number; readonly says: RegExp }>>> {
  const now = seconds()
  const refused = (token: string, says: RegExp, status = 401) => ({ token, status, says })
  return {
    'expired': refused(await issuer.token('rsa', { exp: now - 31 }), /has expired/),
    'not yet valid': refused(await issuer.token('rsa', { nbf: now + 60 }), /not valid yet/),
    'wrong key': refused(await new Issuer().token('ec'), /signature is wrong/),
    'unknown kid': refused(await issuer.token('ed', {}, { kid: 'other' }), /key is not known/),
    'no kid where there are several keys': refused(await issuer.token('ed', {}, { kid: undefined }), /names no key/),
    'wrong video': refused(await issuer.token('ec', { videos: ['other'] }), /other videos/, 403),
    'alg: none': refused(new UnsecuredJWT(good()).encode(), /names no key|cannot be read/),
    'alg: none with a kid': refused(`${Buffer.from('{"alg":"none","kid":"rsa"}').toString('base64url')}.${Buffer.from(JSON.stringify(good())).toString('base64url')}.`, /algorithm/),
    'HS256 signed with the public RSA key': refused(await issuer.confused('rsa'), /algorithm/),
    'another audience': refused(await issuer.token('ec', { aud: 'shop' }), /another audience/),
    'another issuer': refused(await issuer.token('ec', { iss: 'https://other.example' }), /another issuer/),
    'no exp': refused(await issuer.token('ed', { exp: undefined }), /no exp/),
    'no sub': refused(await issuer.token('ed', { sub: undefined }), /no sub/),
    'no token': refused('not-a-token', /cannot be read/),
  }
}

/** The gate of a test's gateway or edge. */
export function identityOf(issuer: Issuer, given: Partial<IdentityOptions> = {}): Identity {
  return new Identity({
    source: { keys: parseJwks(issuer.jwks()), close() {} },
    audience: 'live',
    issuer: 'https://site.example',
    requireToWatch: true,
    cookie: 'live_comments_token',
    allowedOrigins: '*',
    secure: false,
    clock: { wall: () => Date.now() },
    random: Math.random,
    ...given,
  })
}

function newPair(alg: Algorithm) {
  if (alg === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
}
