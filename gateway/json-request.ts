import { isUtf8, type Buffer } from 'node:buffer'
import { checkKey } from '../protocol/comment.js'
import { LiveError, type ErrorCode } from '../protocol/errors.js'
import { isUnclear, type Exchange } from '../runtime/http/exchange.js'

/** Of a post or an act, and of a message that posts. */
export const MAX_BODY_BYTES = 8_192
const JSON_TYPE = /^application\/json\s*(;|$)/i

/** The body of a post or an act. It is taken also where it is refused: it is to have come before the connection is closed.
 * @throws LiveError UNSUPPORTED_MEDIA_TYPE; the promise rejects with BODY_TOO_LARGE */
export function bodyOf(exchange: Exchange): Promise<Buffer> {
  const body = exchange.body(MAX_BODY_BYTES)
  const types = exchange.headers('content-type')
  if (isUnclear(types) || !JSON_TYPE.test(types[0] ?? '')) throw new LiveError('UNSUPPORTED_MEDIA_TYPE', 'content-type must be application/json')
  const encodings = exchange.headers('content-encoding')
  if (encodings.some(encoding => encoding.toLowerCase() !== 'identity')) throw new LiveError('UNSUPPORTED_MEDIA_TYPE', 'content-encoding must be identity: bodies come uncompressed')
  return body
}

/** @param code of the error @throws LiveError */
export function parseBody(body: Buffer, code: ErrorCode): unknown {
  if (!isUtf8(body)) throw new LiveError(code, 'the body must be in UTF-8')
  try {
    return JSON.parse(body.toString())
  } catch {
    throw new LiveError(code, 'the body must be JSON') // without a cause: it quotes the text
  }
}

/** @returns undefined where the request has none @throws LiveError BAD_IDEMPOTENCY_KEY, also for one that is there and cannot be
 * read: a retry without a key would be done once more */
export function keyOf(exchange: Exchange): string | undefined {
  const keys = exchange.headers('idempotency-key')
  if (keys.some(key => key !== keys[0])) throw new LiveError('BAD_IDEMPOTENCY_KEY', 'Idempotency-Key must be given once')
  return keys[0] === undefined ? undefined : checkKey(keys[0])
}
