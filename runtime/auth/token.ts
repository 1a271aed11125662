import { decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose'
import { checkAuthor, type VideoId } from '../../protocol/comment.js'
import { LiveError } from '../../protocol/errors.js'
import type { Key, Keys } from './keys.js'

/** How much the issuer's clock may differ from ours. */
export const SKEW_MS = 30_000
/** The longest token that is read, characters. */
const MAX_TOKEN = 8_192
export const UNKNOWN_KEY = "the token's key is not known"

export interface TokenRules {
  readonly audience: string | undefined
  readonly issuer: string | undefined
}

/** The author that a token names. */
export interface Bearer {
  /** Its `sub`, checked like an authorId. */
  readonly authorId: string
  /** Its `name`. */
  readonly authorName?: string
  /** Its `exp`, Unix ms. */
  readonly expiresAt: number
  /** Whether its `mod` makes the author a moderator of the video that was asked for. */
  readonly isModerator?: true
}

/** Verifies a token for a video, or for all of several.
 * @param nowMs wall clock, Unix ms
 * @throws LiveError UNAUTHORIZED, saying what is wrong; FORBIDDEN if the token is for other videos */
export async function readToken(token: string, video: VideoId | readonly VideoId[], keys: Keys, { audience, issuer }: TokenRules, nowMs: number): Promise<Bearer> {
  const claims = await verify(token, keys, {
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer }),
    requiredClaims: ['exp', 'sub'],
    clockTolerance: SKEW_MS / 1000,
    currentDate: new Date(nowMs),
  })
  const videos = [video].flat()
  const bearer = {
    authorId: checkClaim(claims.sub, 'sub'),
    ...(claims['name'] === undefined ? {} : { authorName: checkClaim(claims['name'], 'name') }),
    expiresAt: claims.exp! * 1000,
    ...(videos.every(videoId => moderates(claims['mod'], videoId)) ? { isModerator: true as const } : {}),
  }
  if (!videos.every(videoId => covers(claims['videos'], videoId))) throw forbidden('the token is for other videos')
  return bearer
}

/** The key that a token names, whoever signed it. @throws LiveError UNAUTHORIZED */
export function keyOf(token: string, keys: Keys): Key {
  if (token.length > MAX_TOKEN) throw unauthorized('the token is too long')
  let kid: string | undefined
  try {
    ;({ kid } = decodeProtectedHeader(token))
  } catch (error) {
    throw unauthorized(reasonOf(error))
  }
  const key = keys.find(kid)
  if (!key) throw unauthorized(kid === undefined ? 'the token names no key, and there are several' : UNKNOWN_KEY)
  return key
}

async function verify(token: string, keys: Keys, options: Parameters<typeof jwtVerify>[2]): Promise<JWTPayload> {
  const key = keyOf(token, keys)
  try {
    return (await jwtVerify(token, key.key, { ...options, algorithms: [...key.algorithms] })).payload
  } catch (error) {
    // Any error that the token makes the library throw is the token's fault.
    throw unauthorized(reasonOf(error))
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired'
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error
    if (reason === 'missing') return `the token has no ${claim}`
    if (reason === 'check_failed' && claim in REASONS) return REASONS[claim]!
    return `the token's ${claim} cannot be read`
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return 'the token\'s algorithm is not that of its key'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the token\'s signature is wrong'
  return 'the token cannot be read'
}

const REASONS: Readonly<Record<string, string>> = {
  nbf: 'the token is not valid yet',
  aud: 'the token is for another audience',
  iss: 'the token is from another issuer',
}

function checkClaim(value: unknown, claim: string): string {
  try {
    return checkAuthor(value, `the token's ${claim}`)
  } catch (error) {
    throw error instanceof LiveError ? unauthorized(error.message) : error
  }
}

function covers(videos: unknown, videoId: VideoId): boolean {
  return videos === undefined || videos === '*' || (Array.isArray(videos) && (videos.includes(videoId) || videos.includes('*')))
}

/** @param mod `true`, or a list of videos */
function moderates(mod: unknown, videoId: VideoId): boolean {
  return mod === true || (Array.isArray(mod) && mod.includes(videoId))
}

/** @param message without quotation marks, since a header repeats it (RFC 6750, section 3) */
export function unauthorized(message: string, error: 'invalid_token' | undefined = 'invalid_token'): LiveError {
  const said = error === undefined ? '' : `, error="${error}", error_description="${message}"`
  return new LiveError('UNAUTHORIZED', message, { headers: { 'www-authenticate': `Bearer realm="live-comments"${said}` } })
}

/** @param message as of `unauthorized` */
export function forbidden(message: string): LiveError {
  return new LiveError('FORBIDDEN', message, { headers: { 'www-authenticate': `Bearer realm="live-comments", error="insufficient_scope", error_description="${message}"` } })
}
