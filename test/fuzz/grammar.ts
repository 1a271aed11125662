import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { toEventJson, type Draft } from '../../protocol/comment.js'
import type { WireComment } from '../../protocol/wire.js'

/** What the parts say when all is well. */

/** Few, so that inputs meet in the same videos. */
export const videoId = fc.oneof(fc.constantFrom('v', 'demo', 'a-_9'), fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/))
export const cursor = fc.oneof(fc.nat({ max: 60 }), fc.maxSafeNat())
export const id = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))
/** What is not seen, breaks a line, turns text or stands on other characters. */
export const odd = fc.constantFrom(...'\u200b\u3164\u2800\ufe0f\u200d\u2028\u2029\u202a\u202b\u202c\u202e\u2066\u2068\u2069\u0301\u0489\u0e47', '\u{e0061}', '\n\n', 'e\u0301\u0316', '\u2067א\u2069')
export const text = fc.string({ unit: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...'abc é😀\n\t<&"\\') }, { weight: 1, arbitrary: odd }, { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) }), minLength: 1, maxLength: 30 })
export const key = fc.stringMatching(/^[\x21-\x7e]{1,20}$/)

export const draft: fc.Arbitrary<Draft> = fc.record({ videoId, authorId: text, content: text, key })

export const wireComment: fc.Arbitrary<WireComment> = fc
  .tuple(videoId, cursor, id, text, text)
  .map(([videoId, before, id, authorId, content]) => ({ videoId, prev: before < id ? before : id - 1, id, json: toEventJson({ id, videoId, authorId, content, createdAt: 1_750_000_000_000 }) }))

export const bytes = (text: string): Buffer => Buffer.from(text)

export interface RequestWords {
  readonly paths: fc.Arbitrary<string>
  /** Whole lines, without their ends. */
  readonly headers: readonly string[]
  readonly bodies: fc.Arbitrary<Buffer>
  /** Lines that every request has. */
  readonly always?: readonly string[]
}

/** One to three HTTP requests, one behind the other, as bytes: mostly with a length that is right. */
export function requests({ paths, headers, bodies, always = [] }: RequestWords): fc.Arbitrary<Buffer> {
  const method = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('GET', 'POST') }, { weight: 1, arbitrary: fc.constantFrom('HEAD', 'OPTIONS', 'DELETE', 'PUT', 'TRACE', 'get', 'M-SEARCH') })
  const framing = fc.oneof({ weight: 6, arbitrary: fc.constant('length') }, { weight: 1, arbitrary: fc.constantFrom('chunks', 'none', 'short', 'long', 'both') })
  const request = fc.tuple(method, paths, fc.subarray([...headers], { maxLength: 5 }), bodies, framing).map(([method, path, lines, body, framing]) => {
    const withBody = method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
    const length = framing === 'short' ? Math.max(0, body.length - 1) : framing === 'long' ? body.length + 1 : body.length
    const chunks = framing === 'chunks' || framing === 'both'
    const end = [...(withBody && framing !== 'none' && framing !== 'chunks' ? [`Content-Length: ${length}`] : []), ...(withBody && chunks ? ['Transfer-Encoding: chunked'] : [])]
    const head = bytes(`${method} ${path} HTTP/1.1\r\nHost: x\r\n${[...always, ...lines, ...end].map(line => `${line}\r\n`).join('')}\r\n`)
    if (!withBody) return head
    return chunks ? Buffer.concat([head, bytes(`${body.length.toString(16)}\r\n`), body, bytes('\r\n0\r\n\r\n')]) : Buffer.concat([head, body])
  })
  return fc.array(request, { minLength: 1, maxLength: 3 }).map(list => Buffer.concat(list))
}

export interface SocketWords extends Omit<RequestWords, 'bodies'> {
  readonly messages: fc.Arbitrary<string>
}

const HANDSHAKE = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==']
const TEXT = 1

/** A WebSocket's handshake, as bytes, mostly with all that belongs to it, and frames behind it: messages, pings, a close, and
 * what no client may send. */
export function sockets({ paths, headers, messages, always = [] }: SocketWords): fc.Arbitrary<Buffer> {
  const opcode = fc.oneof({ weight: 6, arbitrary: fc.constant(TEXT) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 15 }) })
  const frames = fc.array(fc.tuple(opcode, messages, fc.boolean(), fc.boolean()).map(([opcode, text, isLast, isMasked]) => frame(opcode, bytes(text), isLast || opcode === TEXT, isMasked || opcode === TEXT)), { maxLength: 4 })
  const handshake = fc.oneof({ weight: 6, arbitrary: fc.constant(HANDSHAKE) }, { weight: 1, arbitrary: fc.subarray(HANDSHAKE) })
  return fc.tuple(paths, handshake, fc.subarray([...headers], { maxLength: 3 }), frames).map(([path, handshake, lines, frames]) => Buffer.concat([bytes(`GET ${path} HTTP/1.1\r\nHost: x\r\n${[...always, ...handshake, ...lines].map(line => `${line}\r\n`).join('')}\r\n`), ...frames]))
}

/** RFC 6455, section 5.2. The mask is of zeros, so that the payload stays readable. */
function frame(opcode: number, payload: Buffer, isLast: boolean, isMasked: boolean): Buffer {
  const long = payload.length > 65_535 ? [127, ...Buffer.from(payload.length.toString(16).padStart(16, '0'), 'hex')] : payload.length > 125 ? [126, payload.length >> 8, payload.length & 255] : [payload.length]
  const mask = isMasked ? 128 : 0
  return Buffer.concat([Buffer.from([(isLast ? 128 : 0) | opcode, mask | long[0]!, ...long.slice(1), ...(isMasked ? [0, 0, 0, 0] : [])]), payload])
}

export const FRAMING_WORDS = ['Content-Length: ', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: identity\r\n', '0\r\n\r\n', 'ffffffff\r\n', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', ' HTTP/1.1\r\n', 'Host: y\r\n', ': x\r\n', 'Expect: 100-continue\r\n', 'Connection: close\r\n', 'Connection: upgrade\r\nUpgrade: websocket\r\n']
