import { MAX_AUTHOR, MAX_CONTENT } from '../protocol/comment.js'
import type { ErrorCode } from '../protocol/errors.js'
import { VERSION } from '../runtime/version.js'

/** The public API's description in OpenAPI 3.1, of which only the used parts are typed. A test checks it against the
 * gateway's real answers. */
export interface OpenApi {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string; readonly description: string; readonly license: { readonly name: string; readonly identifier: string } }
  readonly servers: readonly { readonly url: string }[]
  readonly paths: Readonly<Record<string, PathItem>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly securitySchemes: Readonly<Record<string, SecurityScheme>> }
}

export type SecurityScheme =
  | { readonly type: 'http'; readonly scheme: 'bearer'; readonly bearerFormat: 'JWT'; readonly description: string }
  | { readonly type: 'apiKey'; readonly in: 'cookie' | 'query'; readonly name: string; readonly description: string }

export interface PathItem {
  readonly parameters?: readonly Parameter[]
  readonly get?: Operation
  readonly post?: Operation
}

export interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly description?: string
  /** Any of these will do; `{}`: none is needed. */
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, Response>>
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly description: string
  readonly schema: Schema
  readonly example?: string | number
}

export interface Response {
  readonly description: string
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: Schema }>>
  readonly content?: Content
}

export type Content = Readonly<Record<string, Media>>

export interface Media {
  readonly schema: Schema
  readonly example?: unknown
  /** OpenAPI 3.1 cannot describe a stream. Its events by name, `message` for unnamed ones. */
  readonly 'x-server-sent-events'?: Readonly<Record<string, { readonly description: string; readonly id: string; readonly data: Schema; readonly example: string }>>
}

/** JSON Schema 2020-12. */
export type Schema = Readonly<Record<string, unknown>>

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })
const object = (properties: Readonly<Record<string, Schema>>, required = Object.keys(properties)): Schema => ({ type: 'object', required, properties })
const exampleComment = { id: '243901510635520', videoId: 'demo', authorId: 'anonymous', content: 'hello', createdAt: 1_795_235_867_245 }
const { videoId: _, ...exampleEvent } = exampleComment
const exampleKey = '0b9c6c6e-7d3b-4c1e-9d0e-5f2b7a1c8e44'

function failure(description: string, codes: readonly ErrorCode[], message: string, headers?: Response['headers'], details: Readonly<Record<string, { readonly schema: Schema; readonly example: string }>> = {}): Response {
  const schemas = Object.fromEntries(Object.entries(details).map(([name, { schema }]) => [name, schema]))
  const examples = Object.fromEntries(Object.entries(details).map(([name, { example }]) => [name, example]))
  const error = object({ code: { type: 'string', enum: codes }, message: { type: 'string', description: 'For people; the text may change.' }, ...schemas })
  return { description, ...(headers && { headers }), content: { 'application/json': { schema: object({ error }), example: { error: { code: codes[0], message, ...examples } } } } }
}

const retryAfter = { 'retry-after': { description: 'Seconds to wait; only with `OVERLOADED`.', schema: { type: 'string', pattern: '^[0-9]+$' } } }
const unavailable = failure('No dispatcher is available, or it cannot read its store. Try again.', ['UNAVAILABLE', 'STORE_UNAVAILABLE', 'OVERLOADED', 'NOT_READY'], 'no dispatcher is available', retryAfter)
const tooMany = (description: string, message: string) => failure(description, ['RATE_LIMITED'], message, { 'retry-after': { description: 'Seconds to wait.', schema: { type: 'string', pattern: '^[1-9][0-9]*$' } } })
const denied = (needed: string) => ({
  401: failure(`With identity on${needed}: the token is missing or invalid; the message says why. Gateways and edges check the same.`, ['UNAUTHORIZED'], 'the token has expired', {
    'www-authenticate': { description: 'As in RFC 6750.', schema: { type: 'string', pattern: '^Bearer ' } },
  }),
  403: failure(`With identity on${needed}: the token is for other videos.`, ['FORBIDDEN'], 'the token is for other videos'),
})
const toWatch = ' and `AUTH_REQUIRE_TO_WATCH`'
const fromCache: Response = { description: 'Unchanged: `If-None-Match` named the current `ETag`.' }

export const openApi: OpenApi = {
  openapi: '3.1.0',
  info: {
    title: 'Live comments',
    version: VERSION,
    description:
      'Post comments on a live video, page through its history, and watch new comments live.\n\n' +
      'Ids are decimal strings, unique and ascending within a video: the same cursor serves the stream, resuming and paging. ' +
      'Errors are `{"error":{"code","message"}}` with stable codes. Besides the answers listed, an unknown path is 404 `NOT_FOUND` ' +
      'and an unsupported method is 405 `METHOD_NOT_ALLOWED` with `Allow`; HEAD works wherever GET does, and OPTIONS answers browsers\' preflights.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: '/' }],
  paths: {
    '/comments/{videoId}': {
      parameters: [{ name: 'videoId', in: 'path', required: true, description: 'The video. It need not be created first.', schema: ref('VideoId'), example: 'demo' }],
      get: {
        operationId: 'readOrWatch',
        security: [{}, { bearer: [] }, { cookie: [] }, { query: [] }],
        summary: 'Read a video\'s history, or watch it live',
        description:
          'With `Accept: text/event-stream` the answer is the live stream; otherwise it is a page of history.\n\n' +
          'The stream answers 200 to every request that may succeed later, since EventSource gives up for good on anything else: if there is no room for the viewer, it sends `retry:` and ends. ' +
          'First come replayed comments (`recent`, or all after the cursor), then `ready`, then new comments; each once, in ascending order. ' +
          'A client that reconnects with the last id it saw misses nothing. The stream sends something at least every 15 s; after 35 s of silence the connection is dead.',
        parameters: [
          { name: 'cursor', in: 'query', description: 'History: the page begins next to this id. Without it, `before` begins at the newest comment and `after` at the oldest.', schema: ref('Cursor') },
          { name: 'direction', in: 'query', description: 'History: `before` the cursor, newest first, or `after` it, oldest first.', schema: { type: 'string', enum: ['before', 'after'], default: 'before' } },
          { name: 'pageSize', in: 'query', description: 'History: comments on a page.', schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 } },
          { name: 'recent', in: 'query', description: 'Stream: begin with this many of the last comments. A cursor takes precedence.', schema: { type: 'integer', minimum: 0, maximum: 200 } },
          { name: 'lastEventId', in: 'query', description: 'Stream: begin after this id.', schema: ref('Cursor') },
          { name: 'Last-Event-ID', in: 'header', description: 'Stream: begin after this id. It takes precedence over the query, and is ignored if it cannot be read.', schema: { type: 'string' } },
        ],
        responses: {
          200: {
            description: 'A page of history, or the live stream.',
            content: {
              'application/json': { schema: ref('Page'), example: { comments: [exampleComment], nextCursor: null } },
              'text/event-stream': {
                schema: { type: 'string', description: 'Server-sent events, UTF-8. A line `retry:` says how many ms to wait before reconnecting; lines that begin with a colon are heartbeats.' },
                example: `retry: 2315\n:\nid: ${exampleComment.id}\ndata: ${JSON.stringify(exampleEvent)}\n\nevent: ready\nid: ${exampleComment.id}\ndata: {"videoId":"demo","viewers":1}\n\n`,
                'x-server-sent-events': {
                  message: { description: 'A comment. Events of this kind have no `event:` line.', id: 'the comment\'s', data: ref('StreamComment'), example: `id: ${exampleComment.id}\ndata: ${JSON.stringify(exampleEvent)}\n\n` },
                  ready: { description: 'The replay is complete; what follows is live.', id: 'the last comment sent, or the video\'s last; 0 in an empty video', data: ref('Ready'), example: `event: ready\nid: ${exampleComment.id}\ndata: {"videoId":"demo","viewers":1}\n\n` },
                  viewers: { description: 'The number of viewers: after a change, at most once a second, and at least every 15 s.', id: 'none', data: ref('Viewers'), example: 'event: viewers\ndata: {"viewers":2}\n\n' },
                  gap: { description: 'The client missed more comments than are replayed: those in (from, to] are in history. If `to` is below `from`, the store went back to an older state: comments above `to` no longer exist.', id: 'to', data: ref('Gap'), example: 'event: gap\nid: 20\ndata: {"from":"10","to":"20"}\n\n' },
                },
              },
            },
          },
          400: failure('The video id or a parameter breaks its rule; the message names it.', ['BAD_VIDEO_ID', 'BAD_CURSOR', 'BAD_DIRECTION', 'BAD_PAGE_SIZE', 'BAD_RECENT'], 'videoId must be 1 to 64 of A-Z a-z 0-9 _ -'),
          429: tooMany('The address or author has too many open streams. If an address opens too many connections, further ones are closed unanswered.', 'at most 2000 streams may be open from one address'),
          ...denied(toWatch),
          503: unavailable,
        },
      },
      post: {
        operationId: 'post',
        security: [{}, { bearer: [] }, { cookie: [] }],
        summary: 'Post a comment',
        description: 'The answer comes once the comment is on disk. If it is lost, the post can safely be sent again with the same `Idempotency-Key`.',
        parameters: [{ name: 'Idempotency-Key', in: 'header', description: 'Unique for video and author, and kept at least 24 h. A repeated key with the same content is answered with the first comment.', schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' }, example: exampleKey }],
        requestBody: { required: true, content: { 'application/json': { schema: ref('NewComment'), example: { content: 'hello', authorId: 'me' } } } },
        responses: {
          201: { description: 'Stored.', content: { 'application/json': { schema: ref('Comment'), example: exampleComment } } },
          400: failure('The video id, the key or the body breaks its rule; the message names it.', ['BAD_COMMENT', 'BAD_VIDEO_ID', 'BAD_IDEMPOTENCY_KEY'], 'content must not be empty'),
          ...denied(''),
          413: failure('The body is larger than 8 KiB. The connection is closed.', ['BODY_TOO_LARGE'], 'the body must be at most 8192 bytes'),
          415: failure('The body is not `application/json`. The connection is closed.', ['UNSUPPORTED_MEDIA_TYPE'], 'content-type must be application/json'),
          422: failure('The key was used with other content, or the comment breaks a rule of this site; the code says which.', ['KEY_REUSED', 'CONTENT_TOO_LONG', 'LINKS_NOT_ALLOWED', 'WORD_NOT_ALLOWED', 'DUPLICATE_COMMENT'], 'this Idempotency-Key was used with other content'),
          429: tooMany('More posts per second than one author or one address may send.', 'at most 5 posts a second are taken from one author'),
          503: { ...unavailable, description: 'Not stored, and not about to be. Send it again.' },
          504: failure('The comment may have been stored. A retry with the same key reveals the outcome.', ['OUTCOME_UNKNOWN'], 'the comment may have been stored: a retry with the same Idempotency-Key reveals the outcome', undefined, {
            idempotencyKey: { schema: { type: 'string', description: 'The key to retry with: the client\'s or, if it gave none, the gateway\'s.' }, example: exampleKey },
          }),
        },
      },
    },
    '/comments/{videoId}/stats': {
      parameters: [{ name: 'videoId', in: 'path', required: true, description: 'The video.', schema: ref('VideoId'), example: 'demo' }],
      get: {
        operationId: 'stats',
        security: [{}, { bearer: [] }, { cookie: [] }],
        summary: 'Count a video\'s viewers',
        responses: {
          200: { description: 'As this gateway sees it; exact within 2 s after the last change.', content: { 'application/json': { schema: ref('Stats'), example: { videoId: 'demo', viewers: 2, edges: 1 } } } },
          400: failure('The video id breaks its rule.', ['BAD_VIDEO_ID'], 'videoId must be 1 to 64 of A-Z a-z 0-9 _ -'),
          ...denied(toWatch),
          503: failure('The registry has not been read yet.', ['UNAVAILABLE'], 'the registry has not been read yet'),
        },
      },
    },
    '/healthz': { get: { operationId: 'health', summary: 'Check that the process answers', responses: { 200: status('It does.', 'ok') } } },
    '/readyz': {
      get: {
        operationId: 'readiness',
        summary: 'Check that it is ready for traffic',
        responses: { 200: status('It is.', 'ready'), 503: failure('It waits for the registry, or is about to stop; the message says which.', ['NOT_READY'], 'waiting for the registry') },
      },
    },
    '/openapi.json': {
      get: { operationId: 'description', summary: 'Get this description', responses: { 200: { description: 'OpenAPI 3.1.', content: { 'application/json': { schema: object({ openapi: { const: '3.1.0' }, info: { type: 'object' }, paths: { type: 'object' } }) } } }, 304: fromCache } },
    },
    '/docs': { get: { operationId: 'docs', summary: 'Get this description as a page', responses: { 200: { description: 'A page.', content: { 'text/html': { schema: { type: 'string' } } } }, 304: fromCache } } },
  },
  components: {
    schemas: {
      VideoId: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' },
      CommentId: { type: 'string', pattern: '^[1-9][0-9]{0,15}$', description: 'Decimal, below 2^53; unique and ascending within its video.' },
      Cursor: { type: 'string', pattern: '^[0-9]{1,16}$', description: 'A comment\'s id, or 0: 0 to 2^53 − 1.' },
      AuthorName: { type: 'string', minLength: 1, maxLength: MAX_AUTHOR, description: 'The author\'s display name: the `name` of the poster\'s token, if it had one.' },
      AuthorId: { type: 'string', minLength: 1, maxLength: MAX_AUTHOR },
      Content: { type: 'string', minLength: 1, maxLength: MAX_CONTENT, description: 'Length in code points; trimmed; no control characters but newline and tab.' },
      Time: { type: 'integer', minimum: 0, description: 'Unix milliseconds.' },
      NewComment: object({ content: ref('Content'), authorId: { ...ref('AuthorId'), default: 'anonymous', description: 'Only if identity is off; otherwise the token names the author.' } }, ['content']),
      Comment: object({ id: ref('CommentId'), videoId: ref('VideoId'), authorId: ref('AuthorId'), authorName: ref('AuthorName'), content: ref('Content'), createdAt: ref('Time') }, ['id', 'videoId', 'authorId', 'content', 'createdAt']),
      Page: object({ comments: { type: 'array', items: ref('Comment'), maxItems: 200 }, nextCursor: { anyOf: [ref('CommentId'), { type: 'null' }], description: 'The cursor of the next page; null at the end.' } }),
      Stats: object({ videoId: ref('VideoId'), viewers: { type: 'integer', minimum: 0 }, edges: { type: 'integer', minimum: 0 } }),
      StreamComment: object({ id: ref('CommentId'), authorId: ref('AuthorId'), authorName: ref('AuthorName'), content: ref('Content'), createdAt: ref('Time') }, ['id', 'authorId', 'content', 'createdAt']),
      Ready: object({ videoId: ref('VideoId'), viewers: { type: 'integer', minimum: 0 } }),
      Viewers: object({ viewers: { type: 'integer', minimum: 0 } }),
      Gap: object({ from: ref('Cursor'), to: ref('Cursor') }),
    },
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'With identity on: `sub` is the author\'s id, `name` the displayed name, `videos` (ids, or `*`) the videos that the token is valid for, `exp` its expiry.' },
      cookie: { type: 'apiKey', in: 'cookie', name: 'live_comments_token', description: 'The same token; `AUTH_COOKIE` names the cookie. It counts only from pages of this origin and of those that `ALLOWED_ORIGINS` lists.' },
      query: { type: 'apiKey', in: 'query', name: 'access_token', description: 'The same token, for streams only: EventSource cannot send headers.' },
    },
  },
}

function status(description: string, word: string): Response {
  return { description, content: { 'application/json': { schema: object({ status: { const: word } }), example: { status: word } } } }
}
