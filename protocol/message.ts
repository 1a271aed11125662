import { Buffer } from 'node:buffer'
import type { VideoId } from './comment.js'
import { errorBody, LiveError } from './errors.js'

/** Events as JSON, for viewers by WebSocket and by long-poll: the same events, ids and data as in sse.ts. A WebSocket's message is an
 * array of them, since those that are written together are sent together; one without any is a heartbeat. */

/** What a client calls a post of its own, to know its answer by. */
export type Ref = string | number

const MAX_REF = 64

/** The subprotocol of our WebSockets, and how a client offers its token beside it: browsers can set no header. */
export const SUBPROTOCOL = 'live-comments'
const TOKEN_PROTOCOL = 'bearer.'

export const HEARTBEAT_MESSAGE = Buffer.from('[]')

/** Why the server ends a WebSocket, and the code that it closes it with (RFC 6455, section 7.4, and IANA's list). */
export const CLOSE_CODES = {
  /** The server stops or is drained: another one takes the viewer at once. */
  stopping: 1012,
  /** There is no room for the viewer now. */
  full: 1013,
  /** It took too little of what it was sent. One that takes nothing is cut, without a word. */
  slow: 1013,
  /** The token that the stream needed has expired, or its key is gone. */
  expired: 3000,
  /** The token is wrong: it came with the request, and was checked once the connection was open. */
  unauthorized: 3000,
  /** The token is for other videos. */
  forbidden: 3003,
  /** Its author has too many streams. */
  'too-many': 1008,
  /** Messages are text. */
  binary: 1003,
} as const
export type CloseReason = keyof typeof CLOSE_CODES

/** Why a connection that is open is closed where the same request over HTTP would have been refused with this error. */
export function refusalOf({ status }: LiveError): CloseReason {
  return status === 401 ? 'unauthorized' : status === 403 ? 'forbidden' : 'too-many'
}

/** The text of a close: JSON of at most 123 bytes. @param retryMs how long the client should wait before it comes back */
export function closeText(reason: CloseReason, retryMs?: number): string {
  return JSON.stringify({ reason, retryMs })
}

/** @param text whole server-sent events, as sse.ts prints them
 * @returns a JSON array of one object for each */
export function messagesOf(text: string): string {
  const messages: string[] = []
  for (let at = 0; ; ) {
    const end = text.indexOf('\n\n', at)
    if (end < 0) return `[${messages.join(',')}]`
    messages.push(messageOf(text.slice(at, end)))
    at = end + 2
  }
}

/** The data is JSON in one line already, and is copied. */
function messageOf(event: string): string {
  let name = 'message'
  let id: string | undefined
  let data = 'null'
  for (const line of event.split('\n')) {
    if (line.startsWith('data: ')) data = line.slice(6)
    else if (line.startsWith('id: ')) id = line.slice(4)
    else if (line.startsWith('event: ')) name = line.slice(7)
  }
  return id === undefined ? `{"event":"${name}","data":${data}}` : `{"event":"${name}","id":"${id}","data":${data}}`
}

/** One event as a client reads it. */
export interface Message {
  readonly event: string
  /** The cursor to resume from after it; events without one move no cursor. */
  readonly id?: string
  readonly data: unknown
}

/** A post that came by a WebSocket: the body that the same post would have over HTTP, and its Idempotency-Key. */
export interface PostMessage {
  readonly ref: Ref | undefined
  /** By a connection of several videos: which one it is for. */
  readonly videoId?: VideoId
  readonly body: Buffer
  readonly key: string | undefined
}

/** A client's message cannot be used. */
export class MessageError extends Error {
  override readonly name = 'MessageError'
  /** The `ref` of the message, where that could be read. */
  readonly ref: Ref | undefined
  override readonly cause: LiveError

  constructor(cause: LiveError, ref?: Ref) {
    super(cause.message, { cause })
    this.cause = cause
    this.ref = ref
  }
}

/** Reads `{"post":{"content","authorId","key"},"ref"}`, in which the post has a `videoId` where the connection is of several. What is
 * unknown is refused: a command of a later version, or a mistyped field, must not be taken for something else.
 * @param videos those of a connection of several
 * @throws MessageError */
export function parsePostMessage(text: string, videos?: readonly VideoId[]): PostMessage {
  const message = objectOf(parse(text), 'a message')
  const { ref, post, ...others } = message
  if (ref !== undefined && !isRef(ref)) throw refused(`ref must be a number, or a string of at most ${MAX_REF} characters`)
  const [other] = Object.keys(others)
  if (other !== undefined) throw refused('a message has post and ref, and nothing else', ref)
  if (post === undefined) throw refused('a message must have a post', ref)
  const { key, ...fields } = objectOf(post, 'post', ref)
  const { videoId, body } = videos ? forOneOf(videos, fields, ref) : { videoId: undefined, body: fields }
  if (Object.keys(body).some(field => field !== 'content' && field !== 'authorId')) throw refused(`post has content, authorId${videos ? ', videoId' : ''} and key, and nothing else`, ref)
  if (key !== undefined && typeof key !== 'string') throw new MessageError(new LiveError('BAD_IDEMPOTENCY_KEY', 'key must be a string'), ref)
  return { ref, ...(videoId !== undefined && { videoId }), body: Buffer.from(JSON.stringify(body)), key }
}

/** The video that a post names, and its other fields. */
function forOneOf(videos: readonly VideoId[], { videoId, ...body }: Record<string, unknown>, ref: Ref | undefined): { readonly videoId: VideoId; readonly body: Record<string, unknown> } {
  const named = videos.find(each => each === videoId)
  if (named === undefined) throw refused('post.videoId must be one of the videos of this connection', ref)
  return { videoId: named, body }
}

/** @param comment JSON of the comment, as a post over HTTP is answered */
export function postedMessage(ref: Ref | undefined, comment: string): string {
  return ref === undefined ? `[{"posted":${comment}}]` : `[{"ref":${JSON.stringify(ref)},"posted":${comment}}]`
}

/** @param held JSON, as a post over HTTP is answered that waits for a moderator */
export function heldMessage(ref: Ref | undefined, held: string): string {
  return ref === undefined ? `[{"held":${held}}]` : `[{"ref":${JSON.stringify(ref)},"held":${held}}]`
}

/** The error as any answer has it, with `Retry-After` as `retryAfter`, s. */
export function errorMessage(ref: Ref | undefined, error: LiveError): string {
  const retryAfter = error.headers['retry-after']
  return JSON.stringify([{ ref, error: { ...errorBody(error).error, retryAfter: retryAfter === undefined ? undefined : Number(retryAfter) } }])
}

/** What a client offers as `Sec-WebSocket-Protocol`: our subprotocol, and its token if it has one.
 * @param header its value, '' where there is none */
export function protocolsOf(header: string): { readonly ours: boolean; readonly token: string | undefined } {
  const offered = header.split(',').map(each => each.trim())
  return { ours: offered.includes(SUBPROTOCOL), token: offered.find(each => each.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refused('a message must be JSON') // without a cause: it quotes the text
  }
}

function objectOf(value: unknown, what: string, ref?: Ref): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused(`${what} must be a JSON object`, ref)
  return value as Record<string, unknown>
}

function isRef(value: unknown): value is Ref {
  return Number.isFinite(value) || (typeof value === 'string' && value.length <= MAX_REF)
}

function refused(message: string, ref?: Ref): MessageError {
  return new MessageError(new LiveError('BAD_REQUEST', message), ref)
}
