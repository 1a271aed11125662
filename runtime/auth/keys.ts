import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto'

/** A key and its algorithm, which the key decides and never the token. */
export interface Key {
  readonly kid: string | undefined
  readonly key: KeyObject
  /** Names of its one algorithm. */
  readonly algorithms: readonly string[]
}

/** Why a key set is unusable, for operators. The message quotes nothing of it but a key's id. */
export class KeySetError extends Error {
  override readonly name = 'KeySetError'
}

/** RFC 7518, section 3.3. */
const MIN_RSA_BITS = 2048

/** The keys that tokens may be signed with, by id. */
export class Keys {
  readonly #keys: readonly Key[]

  constructor(keys: readonly Key[]) {
    this.#keys = keys
  }

  /** The key with this id. A single key also matches a token without a kid, and any kid if it has none itself. */
  find(kid: string | undefined): Key | undefined {
    const [only] = this.#keys.length === 1 ? this.#keys : []
    return only && (kid === undefined || only.kid === undefined) ? only : this.#keys.find(key => kid !== undefined && key.kid === kid)
  }

  /** Whether it is one of them, by its id and by itself. */
  holds({ kid, key }: Key): boolean {
    return this.#keys.some(each => each.kid === kid && each.key.equals(key))
  }
}

export function secretKeys(secret: string): Keys {
  return new Keys([{ kid: undefined, key: createSecretKey(Buffer.from(secret)), algorithms: ['HS256'] }])
}

/** Whether it is a key set from which every key was removed: an operator's word, unlike a file that is broken. */
export function isEmptySet(text: string): boolean {
  return /^\s*\{\s*"keys"\s*:\s*\[\s*\]\s*\}\s*$/.test(text)
}

/** Parses a JSON Web Key Set (RFC 7517). Keys for other algorithms or uses are skipped, as its section 5 asks.
 * @throws KeySetError */
export function parseJwks(text: string): Keys {
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    throw new KeySetError('is not JSON') // without a cause, which would quote the text
  }
  const list = (set as { keys?: unknown } | null)?.keys
  if (!Array.isArray(list)) throw new KeySetError('has no array "keys"')
  const keys = list.flatMap((jwk: unknown, index) => readKey(jwk, index) ?? [])
  if (keys.length === 0) throw new KeySetError('holds no key for RS256, ES256 or EdDSA')
  for (const { kid } of keys) if (kid !== undefined && keys.filter(key => key.kid === kid).length > 1) throw new KeySetError(`holds two keys with the kid ${JSON.stringify(kid)}`)
  return new Keys(keys)
}

function readKey(jwk: unknown, index: number): Key | undefined {
  if (typeof jwk !== 'object' || jwk === null) throw new KeySetError(`key ${index + 1} is not an object`)
  const { kid, use, alg, d, ...rest } = jwk as Record<string, unknown>
  const algorithms = algorithmsOf(rest)
  if (algorithms === undefined || (use !== undefined && use !== 'sig') || (alg !== undefined && !algorithms.includes(alg as string))) return undefined
  if (kid !== undefined && typeof kid !== 'string') throw new KeySetError(`key ${index + 1} has a kid that is not a string`)
  const name = kid === undefined ? `key ${index + 1}` : `the key ${JSON.stringify(kid)}`
  if (d !== undefined) throw new KeySetError(`${name} is a private one: only the public part belongs here`)
  let key: KeyObject
  try {
    key = createPublicKey({ key: rest as JsonWebKey, format: 'jwk' })
  } catch {
    throw new KeySetError(`${name} cannot be read`)
  }
  if ((key.asymmetricKeyDetails?.modulusLength ?? MIN_RSA_BITS) < MIN_RSA_BITS) throw new KeySetError(`${name} has fewer than ${MIN_RSA_BITS} bits`)
  return { kid, key, algorithms }
}

function algorithmsOf({ kty, crv }: Record<string, unknown>): readonly string[] | undefined {
  if (kty === 'RSA') return ['RS256']
  if (kty === 'EC' && crv === 'P-256') return ['ES256']
  if (kty === 'OKP' && crv === 'Ed25519') return ['EdDSA', 'Ed25519'] // RFC 9864 renamed it
  return undefined
}
