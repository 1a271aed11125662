import { MAX_AUTHOR, MAX_CONTENT } from '../protocol/comment.js'
import { MAX_SLOW_MODE_SECONDS } from '../protocol/entry.js'
import type { ErrorCode } from '../protocol/errors.js'
import { MAX_RATES } from '../protocol/limits.js'
import { Places, sharedEvents, withIds } from '../protocol/several.js'
import { skippedEvent } from '../protocol/sse.js'
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
  readonly put?: Operation
  readonly delete?: Operation
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
/** Events of `demo` as a stream of it and of another video has them. */
const exampleSeveral = (() => {
  const places = new Places([{ videoId: 'demo', after: undefined }, { videoId: 'other', after: Number(exampleComment.id) }])
  return (text: string) => {
    const shared = sharedEvents('events', 'demo', text)
    return withIds('events', shared, places.passed(0, shared.cursors)).toString()
  }
})()
const exampleSettings = { slowModeSeconds: 10, closed: false, signedInOnly: false }
const settings: Readonly<Record<string, Schema>> = {
  slowModeSeconds: { type: 'integer', minimum: 0, maximum: MAX_SLOW_MODE_SECONDS, description: 'The least time between two comments of an author.' },
  closed: { type: 'boolean', description: 'Nobody may post.' },
  signedInOnly: { type: 'boolean', description: 'Only an author whom a token names may post.' },
}
const exampleKey = '0b9c6c6e-7d3b-4c1e-9d0e-5f2b7a1c8e44'
const exampleHeld = { id: '0f1e2d3c4b5a69788796a5b4c3d2e1f0', videoId: 'demo', authorId: 'ann', content: 'hello', heldAt: 1_795_235_867_245 }

function failure(description: string, codes: readonly ErrorCode[], message: string, headers?: Response['headers'], details: Readonly<Record<string, { readonly schema: Schema; readonly example: string }>> = {}): Response {
  const schemas = Object.fromEntries(Object.entries(details).map(([name, { schema }]) => [name, schema]))
  const examples = Object.fromEntries(Object.entries(details).map(([name, { example }]) => [name, example]))
  const error = object({ code: { type: 'string', enum: codes }, message: { type: 'string', description: 'For people; the text may change.' }, ...schemas })
  return { description, ...(headers && { headers }), content: { 'application/json': { schema: object({ error }), example: { error: { code: codes[0], message, ...examples } } } } }
}

const retryAfter = { 'retry-after': { description: 'Seconds to wait, where that is known.', schema: { type: 'string', pattern: '^[0-9]+$' } } }
const waitSeconds = { 'retry-after': { description: 'Seconds to wait.', schema: { type: 'string', pattern: '^[1-9][0-9]*$' } } }
const tooMany = (description: string, message: string) => failure(description, ['RATE_LIMITED'], message, waitSeconds)
const denied = (needed: string) => ({
  401: failure(`With identity on${needed}: the token is missing or invalid; the message says why. Gateways and edges check the same.`, ['UNAUTHORIZED'], 'the token has expired', {
    'www-authenticate': { description: 'As in RFC 6750.', schema: { type: 'string', pattern: '^Bearer ' } },
  }),
  403: failure(`With identity on${needed}: the token is for other videos.`, ['FORBIDDEN'], 'the token is for other videos'),
})
/** @param who what the token must make of its bearer */
const mayAct = (who: string, message: string) => ({
  401: denied('')[401],
  403: failure(`Identity is off, and nobody may do it by this port; or the token is for other videos, or of nobody who ${who}.`, ['FORBIDDEN'], message),
})
/** The answers that all acts have in common. */
const refusedActs = (rule: string) => ({
  400: failure('The video id, the key or the act breaks its rule; the message names the field.', ['BAD_ACT', 'BAD_VIDEO_ID', 'BAD_IDEMPOTENCY_KEY'], rule),
  422: failure('The key was used for another act, which was done. So is a ban that is sent again later: it would end later.', ['KEY_REUSED'], 'this Idempotency-Key was used with other content'),
  429: tooMany('Acts count as posts: more per second than one author or one address may send.', 'at most 5 posts a second are taken from one author'),
  503: failure('Not done, and not about to be. Try again; `UPGRADE_UNFINISHED`: once every node runs this version.', ['UNAVAILABLE', 'HOME_UNAVAILABLE', 'STORE_UNAVAILABLE', 'OVERLOADED', 'NOT_READY', 'UPGRADE_UNFINISHED'], 'no dispatcher is available', retryAfter),
  504: failure('It may have been done. A retry with the same key reveals the outcome.', ['OUTCOME_UNKNOWN'], 'it may have been done: a retry with the same Idempotency-Key reveals the outcome', undefined, {
    idempotencyKey: { schema: { type: 'string', description: 'The key to retry with: the client\'s or, if it gave none, the gateway\'s.' }, example: exampleKey },
  }),
})
const withBody = {
  413: failure('The body is larger than 8 KiB. The connection is closed.', ['BODY_TOO_LARGE'], 'the body must be at most 8192 bytes'),
  415: failure('The body is not `application/json`, or it is compressed. The connection is closed.', ['UNSUPPORTED_MEDIA_TYPE'], 'content-type must be application/json'),
}
const notFound = { 404: failure('There is no such comment, or not any more.', ['COMMENT_NOT_FOUND'], 'there is no comment 243901510635520 in this video') }
const actDone = (schema: 'Act' | 'SettingsAct' | 'BanAct', more: Readonly<Record<string, unknown>> = {}): Response => ({
  description: 'Done. Viewers get it as an event with this id.',
  content: { 'application/json': { schema: ref(schema), example: { id: '243901510635521', ...more } } },
})
const byModerator = mayAct('moderates this video (`mod`)', 'the token has no mod for this video')
const actKey: Parameter = { name: 'Idempotency-Key', in: 'header', description: 'Unique for video and actor: an act is done once, however often it is sent.', schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' } }
const video: Parameter = { name: 'videoId', in: 'path', required: true, description: 'The video.', schema: ref('VideoId'), example: 'demo' }
const banned: Parameter = { name: 'authorId', in: 'path', required: true, description: 'The author, percent-encoded.', schema: ref('AuthorId'), example: 'troll' }
const byToken: NonNullable<Operation['security']> = [{ bearer: [] }, { cookie: [] }]
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
          'With `Accept: text/event-stream` the answer is the live stream, and with `wait` that of a long-poll; otherwise it is a page of history. With `Upgrade: websocket` the connection becomes a WebSocket, which `/asyncapi.json` describes.\n\n' +
          'The stream answers 200 to every request that may succeed later, since EventSource gives up for good on anything else: if there is no room for the viewer, it sends `retry:` and ends. ' +
          'First come replayed comments (`recent`, or all after the cursor), then `ready`, then new comments; each once, in ascending order. ' +
          'A client that reconnects with the last id it saw misses nothing. The stream sends something at least every 15 s; after 35 s of silence the connection is dead.\n\n' +
          'A long-poll is for clients that can have neither stream nor WebSocket. It is answered as soon as there is an event after `cursor`, or without events after `wait` seconds; the next one asks with the `cursor` of the answer, and misses nothing.',
        parameters: [
          { name: 'wait', in: 'query', description: 'Long-poll: how long to wait for an event, in seconds.', schema: { type: 'integer', minimum: 1, maximum: 60 } },
          { name: 'cursor', in: 'query', description: 'Long-poll: what is after this id; without it, the last `recent` comments, or what comes from now on. History: the page begins next to this id. Without it, `before` begins at the newest comment and `after` at the oldest.', schema: ref('Cursor') },
          { name: 'at', in: 'query', description: 'History: in place of `cursor`, the page begins at this time, Unix ms: `after` has the comments from then on, `before` those of earlier.', schema: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } },
          { name: 'direction', in: 'query', description: 'History: `before` the cursor, newest first, or `after` it, oldest first.', schema: { type: 'string', enum: ['before', 'after'], default: 'before' } },
          { name: 'pageSize', in: 'query', description: 'History: comments on a page.', schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 } },
          { name: 'recent', in: 'query', description: 'Stream and long-poll: begin with this many of the last comments. A cursor takes precedence.', schema: { type: 'integer', minimum: 0, maximum: 200 } },
          { name: 'lastEventId', in: 'query', description: 'Stream: begin after this id.', schema: ref('Cursor') },
          { name: 'maxRate', in: 'query', description: 'Stream: once the client is up to date, show at most so many comments a second, and after a quiet second as many at once; `skipped` names the others. Long-poll: at most so many in an answer to a poll with a cursor. Acts, and what moderators write, are shown in any case and do not count.', schema: { type: 'integer', enum: [...MAX_RATES] } },
          { name: 'Last-Event-ID', in: 'header', description: 'Stream: begin after this id. It takes precedence over the query, and is ignored if it cannot be read.', schema: { type: 'string' } },
        ],
        responses: {
          200: {
            description: 'A page of history, the live stream, or the answer to a long-poll.',
            content: {
              'application/json': { schema: { anyOf: [ref('Page'), ref('Poll')] }, example: { comments: [exampleComment], nextCursor: null } },
              'text/event-stream': {
                schema: { type: 'string', description: 'Server-sent events, UTF-8. A line `retry:` says how many ms to wait before reconnecting; lines that begin with a colon are heartbeats.' },
                example: `retry: 2315\n:\nid: ${exampleComment.id}\ndata: ${JSON.stringify(exampleEvent)}\n\nevent: ready\nid: ${exampleComment.id}\ndata: {"videoId":"demo","viewers":1}\n\n`,
                'x-server-sent-events': {
                  message: { description: 'A comment. Events of this kind have no `event:` line.', id: 'the comment\'s', data: ref('StreamComment'), example: `id: ${exampleComment.id}\ndata: ${JSON.stringify(exampleEvent)}\n\n` },
                  ready: { description: 'The replay is complete; what follows is live.', id: 'the last comment sent, or the video\'s last; 0 in an empty video', data: ref('Ready'), example: `event: ready\nid: ${exampleComment.id}\ndata: {"videoId":"demo","viewers":1}\n\n` },
                  viewers: { description: 'The number of viewers: after a change, at most once a second, and at least every 15 s.', id: 'none', data: ref('Viewers'), example: 'event: viewers\ndata: {"viewers":2}\n\n' },
                  deleted: { description: 'A comment is deleted: show it no longer, pinned or not. In a replay this event also stands in the place of a deleted comment.', id: 'the act\'s, or in a replay the comment\'s', data: ref('Deleted'), example: 'event: deleted\nid: 21\ndata: {"target":"20"}\n\n' },
                  pinned: { description: 'A comment is pinned, or with null none any longer.', id: 'the act\'s', data: ref('Pinned'), example: `event: pinned\nid: 22\ndata: ${JSON.stringify({ comment: exampleEvent })}\n\n` },
                  settings: { description: 'Who may post has changed.', id: 'the act\'s', data: ref('Settings'), example: `event: settings\nid: 23\ndata: ${JSON.stringify(exampleSettings)}\n\n` },
                  gap: { description: 'The client missed more comments than are replayed: those in (from, to] are in history. If `to` is below `from`, the store went back to an older state: comments above `to` no longer exist.', id: 'to', data: ref('Gap'), example: 'event: gap\nid: 20\ndata: {"from":"10","to":"20"}\n\n' },
                  skipped: { description: 'With `maxRate`: the `count` comments in (from, to] are left out. History has them.', id: 'to', data: ref('Skipped'), example: skippedEvent(3, 20, 23) },
                },
              },
            },
          },
          400: failure('The video id or a parameter breaks its rule; the message names it.', ['BAD_VIDEO_ID', 'BAD_CURSOR', 'BAD_AT', 'BAD_DIRECTION', 'BAD_PAGE_SIZE', 'BAD_RECENT', 'BAD_MAX_RATE', 'BAD_WAIT'], 'videoId must be 1 to 64 of A-Z a-z 0-9 _ -'),
          429: tooMany('The address or author has too many open streams. If an address opens too many connections, further ones are closed unanswered.', 'at most 2000 streams may be open from one address'),
          ...denied(toWatch),
          503: failure('No dispatcher is available, or it cannot read its store; for a long-poll: there is no room for the viewer now. Try again.', ['UNAVAILABLE', 'HOME_UNAVAILABLE', 'STORE_UNAVAILABLE', 'OVERLOADED', 'NO_CAPACITY', 'NOT_READY'], 'no dispatcher is available', retryAfter),
        },
      },
      post: {
        operationId: 'post',
        security: [{}, { bearer: [] }, { cookie: [] }],
        summary: 'Post a comment',
        description: 'The answer comes once the comment is on disk. If it is lost, the post can safely be sent again with the same `Idempotency-Key`.',
        parameters: [{ name: 'Idempotency-Key', in: 'header', description: 'Unique for video and author, and kept at least 24 h. A repeated key with the same content is answered with the first comment. A key that is empty, that cannot be read or that is given twice is refused.', schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' }, example: exampleKey }],
        requestBody: { required: true, content: { 'application/json': { schema: ref('NewComment'), example: { content: 'hello', authorId: 'me' } } } },
        responses: {
          201: { description: 'Stored.', content: { 'application/json': { schema: ref('Comment'), example: exampleComment } } },
          202: { description: 'Held: a moderator decides. A retry with the same key reveals the outcome: 202 as long as it waits, then 201 with the comment, or 422 `REVIEW_REFUSED`.', content: { 'application/json': { schema: ref('HeldPost'), example: { held: true, idempotencyKey: exampleKey } } } },
          400: failure('The video id, the key or the body breaks its rule; the message names it.', ['BAD_COMMENT', 'BAD_VIDEO_ID', 'BAD_IDEMPOTENCY_KEY'], 'content must not be empty'),
          401: failure('With identity on: the token is missing or invalid; the message says why. Or the video takes posts of signed-in authors only.', ['UNAUTHORIZED', 'SIGN_IN_REQUIRED'], 'the token has expired', {
            'www-authenticate': { description: 'As in RFC 6750.', schema: { type: 'string', pattern: '^Bearer ' } },
          }),
          403: failure('The token is for other videos, a moderator has banned the author, or has closed the video.', ['FORBIDDEN', 'BANNED', 'COMMENTS_CLOSED'], 'the token is for other videos'),
          413: failure('The body is larger than 8 KiB. The connection is closed.', ['BODY_TOO_LARGE'], 'the body must be at most 8192 bytes'),
          415: failure('The body is not `application/json`, or it is compressed. The connection is closed.', ['UNSUPPORTED_MEDIA_TYPE'], 'content-type must be application/json'),
          422: failure('The key was used with other content, the comment breaks a rule of this site, or a review or a moderator has refused it; the code says which. The message of `REVIEW_REFUSED` is the reason.', ['KEY_REUSED', 'CONTENT_TOO_LONG', 'LINKS_NOT_ALLOWED', 'WORD_NOT_ALLOWED', 'DUPLICATE_COMMENT', 'REVIEW_REFUSED'], 'this Idempotency-Key was used with other content'),
          429: failure('More posts per second than one author or one address may send, or sooner than the video\'s slow mode lets the author.', ['RATE_LIMITED', 'SLOW_MODE'], 'at most 5 posts a second are taken from one author', waitSeconds),
          503: failure('Not stored, and not about to be. Send it again.', ['UNAVAILABLE', 'HOME_UNAVAILABLE', 'STORE_UNAVAILABLE', 'OVERLOADED', 'NOT_READY', 'REVIEW_UNAVAILABLE', 'UPGRADE_UNFINISHED'], 'no dispatcher is available', retryAfter),
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
    '/comments': {
      get: {
        operationId: 'watchSeveral',
        security: [{}, { bearer: [] }, { cookie: [] }, { query: [] }],
        summary: 'Watch several videos live by one connection',
        description:
          'Of each video the events that a stream of its own would have, as soon as they come: once each, in ascending order, its `ready` among them. The data of each event also has `videoId` and, where the event has a place in its video, that place as `id`. ' +
          'The event\'s own id says where the client stands in all of the videos: it is opaque, and any gateway reads it. A client that reconnects with the last one misses nothing of any video; a video that it does not know begins as without a cursor. Not compressed.\n\n' +
          'With `Upgrade: websocket` the same comes by WebSocket, which `/asyncapi.json` describes. There is no long-poll of several videos.',
        parameters: [
          { name: 'videos', in: 'query', required: true, description: '1 to 50 videos, with a comma between two. `VIDEO:CURSOR` begins after that comment, unless the id to resume from says otherwise. A request has at most 4 KB of path, query and headers.', schema: { type: 'string' }, example: 'demo,other' },
          { name: 'recent', in: 'query', description: 'Begin each video that has no cursor with this many of its last comments.', schema: { type: 'integer', minimum: 0, maximum: 200 } },
          { name: 'lastEventId', in: 'query', description: 'Begin after this id, in each video that it knows.', schema: ref('Places') },
          { name: 'maxRate', in: 'query', description: 'Show at most so many comments a second of each video, as on a stream of one.', schema: { type: 'integer', enum: [...MAX_RATES] } },
          { name: 'Last-Event-ID', in: 'header', description: 'The same; it takes precedence over the query.', schema: { type: 'string' } },
        ],
        responses: {
          200: {
            description: 'The live stream.',
            content: {
              'text/event-stream': {
                schema: { type: 'string', description: 'Server-sent events, UTF-8, as of one video.' },
                'x-server-sent-events': {
                  message: { description: 'A comment. `deleted`, `pinned`, `settings`, `viewers`, `gap` and `skipped` are those of one video too.', id: 'where the client stands in each video', data: ref('OfVideo'), example: exampleSeveral(`id: ${exampleComment.id}\ndata: ${JSON.stringify(exampleEvent)}\n\n`) },
                  ready: { description: 'The replay of this video is complete.', id: 'the same', data: ref('OfVideo'), example: exampleSeveral(`event: ready\nid: ${exampleComment.id}\ndata: {"videoId":"demo","viewers":1}\n\n`) },
                },
              },
            },
          },
          400: failure('A parameter breaks its rule, or neither a stream nor a WebSocket is asked for; the message says which.', ['BAD_VIDEOS', 'BAD_VIDEO_ID', 'BAD_CURSOR', 'BAD_RECENT', 'BAD_MAX_RATE', 'BAD_REQUEST'], 'videos must name 1 to 50 videos, with a comma between two'),
          429: tooMany('The address or author has too many open streams; this one counts once for each five videos.', 'at most 2000 streams may be open from one address'),
          ...denied(toWatch),
        },
      },
    },
    '/counts': {
      get: {
        operationId: 'counts',
        security: [{}, { bearer: [] }, { cookie: [] }],
        summary: 'Count the viewers of many videos',
        parameters: [{ name: 'videos', in: 'query', required: true, description: '1 to 200 videos, with a comma between two.', schema: { type: 'string' }, example: 'demo,other' }],
        responses: {
          200: { description: 'As this gateway sees them, in the order of the request; exact within 2 s after the last change, and `staleMs` later at most while ZooKeeper cannot be reached.', content: { 'application/json': { schema: ref('Counts'), example: { counts: [{ videoId: 'demo', viewers: 2, edges: 1 }], staleMs: 0 } } } },
          400: failure('The parameter breaks its rule; the message names it.', ['BAD_VIDEOS', 'BAD_VIDEO_ID', 'BAD_CURSOR'], 'videos must name 1 to 200 videos, with a comma between two'),
          ...denied(toWatch),
          503: failure('The registry has not been read yet.', ['UNAVAILABLE'], 'the registry has not been read yet'),
        },
      },
    },
    '/comments/{videoId}/{commentId}': {
      parameters: [video, { name: 'commentId', in: 'path', required: true, description: 'The comment.', schema: ref('CommentId'), example: exampleComment.id }],
      delete: {
        operationId: 'deleteComment',
        security: byToken,
        summary: 'Delete a comment for good',
        description: 'Moderators may delete any comment, authors their own. When this is answered, the text is gone from the store; a tombstone stays in its place. Repeated, it is answered as the first time.',
        parameters: [actKey],
        responses: { 200: actDone('Act'), ...refusedActs('commentId must be the id of a comment, in decimal'), ...mayAct('is the author of the comment or moderates the video (`mod`)', 'only its author and moderators may delete a comment'), ...notFound },
      },
    },
    '/comments/{videoId}/pin': {
      parameters: [video],
      put: {
        operationId: 'pin',
        security: byToken,
        summary: 'Pin a comment, or none',
        parameters: [actKey],
        requestBody: { required: true, content: { 'application/json': { schema: ref('Pin'), example: { commentId: exampleComment.id } } } },
        responses: { 200: actDone('Act'), ...refusedActs('commentId must be the id of a comment, in decimal'), ...byModerator, ...notFound, ...withBody },
      },
    },
    '/comments/{videoId}/settings': {
      parameters: [video],
      get: {
        operationId: 'settings',
        security: [{}, ...byToken],
        summary: 'Read who may post to a video, and what is pinned',
        responses: {
          200: { description: 'As it is now.', content: { 'application/json': { schema: ref('VideoState'), example: { settings: exampleSettings, pinned: null } } } },
          400: failure('The video id breaks its rule.', ['BAD_VIDEO_ID'], 'videoId must be 1 to 64 of A-Z a-z 0-9 _ -'),
          ...denied(toWatch),
          503: failure('No dispatcher is available, or it cannot read its store. Try again.', ['UNAVAILABLE', 'HOME_UNAVAILABLE', 'STORE_UNAVAILABLE', 'OVERLOADED', 'NOT_READY', 'UPGRADE_UNFINISHED'], 'no dispatcher is available', retryAfter),
        },
      },
      put: {
        operationId: 'changeSettings',
        security: byToken,
        summary: 'Change who may post to a video, and how often',
        description: 'What the body leaves out stays as it is; of two changes at the same moment one may undo the other, which the answers show. Moderators may always post.',
        parameters: [actKey],
        requestBody: { required: true, content: { 'application/json': { schema: ref('SettingsChange'), example: { slowModeSeconds: 10 } } } },
        responses: { 200: actDone('SettingsAct', { settings: exampleSettings }), ...refusedActs('settings.slowModeSeconds must be a whole number from 0 to 3600'), ...byModerator, ...withBody },
      },
    },
    '/comments/{videoId}/bans/{authorId}': {
      parameters: [video, banned],
      put: {
        operationId: 'ban',
        security: byToken,
        summary: 'Keep an author from posting to a video for a time',
        description: 'Viewers are not told.',
        parameters: [actKey],
        requestBody: { required: true, content: { 'application/json': { schema: ref('Ban'), example: { forSeconds: 3600 } } } },
        responses: { 200: actDone('BanAct', { until: 1_795_239_467_245 }), ...refusedActs("authorId must not be the moderator's own"), ...byModerator, ...withBody },
      },
      delete: { operationId: 'unban', security: byToken, summary: 'Lift a ban', parameters: [actKey], responses: { 200: actDone('BanAct', { until: 0 }), ...refusedActs('authorId must be 1 to 64 characters'), ...byModerator } },
    },
    '/comments/{videoId}/held': {
      parameters: [video],
      get: {
        operationId: 'held',
        security: byToken,
        summary: 'List the comments that wait for a moderator',
        responses: {
          200: { description: 'The oldest first, at most 200.', content: { 'application/json': { schema: ref('HeldList'), example: { held: [exampleHeld] } } } },
          400: failure('The video id breaks its rule.', ['BAD_VIDEO_ID'], 'videoId must be 1 to 64 of A-Z a-z 0-9 _ -'),
          ...byModerator,
          503: failure('No dispatcher is available, or it cannot read its store. Try again.', ['UNAVAILABLE', 'HOME_UNAVAILABLE', 'STORE_UNAVAILABLE', 'OVERLOADED', 'NOT_READY', 'UPGRADE_UNFINISHED'], 'no dispatcher is available', retryAfter),
        },
      },
    },
    '/comments/{videoId}/held/{heldId}': {
      parameters: [video, { name: 'heldId', in: 'path', required: true, description: 'The held comment.', schema: ref('HeldId'), example: exampleHeld.id }],
      put: {
        operationId: 'decide',
        security: byToken,
        summary: 'Publish a comment that is held, or refuse it',
        description: 'An approved comment gets its id and its time now, and goes to viewers as any other. The same decision, sent again, is answered as the first time.',
        requestBody: { required: true, content: { 'application/json': { schema: ref('Decision'), example: { decision: 'approve' } } } },
        responses: {
          200: { description: 'Decided: `id` is that of the comment.', content: { 'application/json': { schema: { anyOf: [object({ id: ref('CommentId') }), object({ refused: { const: true } })] }, example: { id: exampleComment.id } } } },
          400: failure('The video id, the held comment\'s id or the body breaks its rule; the message names the field.', ['BAD_ACT', 'BAD_VIDEO_ID'], 'decision must be approve or refuse'),
          ...byModerator,
          404: failure('No such comment is held, nor was within the last day.', ['COMMENT_NOT_FOUND'], 'no such comment is held'),
          409: failure('It was decided otherwise before.', ['ALREADY_DECIDED'], 'it was refused before'),
          ...withBody,
          429: tooMany('Decisions count as posts: more per second than one author or one address may send.', 'at most 5 posts a second are taken from one author'),
          503: failure('Not done, and not about to be. Try again; `UPGRADE_UNFINISHED`: once every node runs this version.', ['UNAVAILABLE', 'HOME_UNAVAILABLE', 'STORE_UNAVAILABLE', 'OVERLOADED', 'NOT_READY', 'UPGRADE_UNFINISHED'], 'no dispatcher is available', retryAfter),
          504: failure('It may have been decided. The same decision, sent again, reveals it.', ['OUTCOME_UNKNOWN'], 'it may have been decided: the same decision, sent again, reveals it'),
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
    '/asyncapi.json': {
      get: { operationId: 'socketDescription', summary: 'Get the description of the WebSocket', responses: { 200: { description: 'AsyncAPI 3.0.', content: { 'application/json': { schema: object({ asyncapi: { const: '3.0.0' }, info: { type: 'object' }, channels: { type: 'object' }, operations: { type: 'object' }, components: { type: 'object' } }) } } }, 304: fromCache } },
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
      Content: { type: 'string', minLength: 1, maxLength: MAX_CONTENT, description: 'Length in code points; trimmed; no control characters but newline and tab; at least one visible character, at most two line breaks in a row, few combining marks on a character, no text direction that is overridden or left open.' },
      Time: { type: 'integer', minimum: 0, description: 'Unix milliseconds.' },
      By: { const: 'moderator', description: 'As whom the author wrote it; a viewer\'s comment has none.' },
      NewComment: object({ content: ref('Content'), authorId: { ...ref('AuthorId'), default: 'anonymous', description: 'Only if identity is off; otherwise the token names the author.' } }, ['content']),
      Comment: object({ id: ref('CommentId'), videoId: ref('VideoId'), authorId: ref('AuthorId'), authorName: ref('AuthorName'), by: ref('By'), content: ref('Content'), createdAt: ref('Time') }, ['id', 'videoId', 'authorId', 'content', 'createdAt']),
      Tombstone: object({ id: ref('CommentId'), videoId: ref('VideoId'), createdAt: ref('Time'), deleted: { const: true } }),
      Page: object({ comments: { type: 'array', items: { anyOf: [ref('Comment'), ref('Tombstone')] }, maxItems: 200, description: 'A tombstone stands where a comment was deleted.' }, nextCursor: { anyOf: [ref('CommentId'), { type: 'null' }], description: 'The cursor of the next page; null at the end.' } }),
      Poll: object({
        events: { type: 'array', items: object({ event: { type: 'string', description: 'The event\'s name as in the stream; `message` is a comment.' }, id: ref('Cursor'), data: { type: 'object' } }), description: 'Those of the stream that have an id, but for `ready`; oldest first.' },
        cursor: { ...ref('Cursor'), description: 'For the next poll.' },
        viewers: { type: 'integer', minimum: 0, description: 'How many watch the video, where that is known.' },
      }, ['events', 'cursor']),
      HeldId: { type: 'string', pattern: '^[0-9a-f]{32}$' },
      Held: object({ id: ref('HeldId'), videoId: ref('VideoId'), authorId: ref('AuthorId'), authorName: ref('AuthorName'), content: ref('Content'), heldAt: ref('Time') }, ['id', 'videoId', 'authorId', 'content', 'heldAt']),
      HeldList: object({ held: { type: 'array', items: ref('Held'), maxItems: 200 } }),
      HeldPost: object({ held: { const: true }, idempotencyKey: { type: 'string', description: 'The client\'s or, if it gave none, the gateway\'s.' } }),
      Decision: { ...object({ decision: { type: 'string', enum: ['approve', 'refuse'] }, reason: { type: 'string', minLength: 1, maxLength: 200, description: 'Of a refusal, for the poster: one line.' } }, ['decision']), additionalProperties: false },
      Stats: object({ videoId: ref('VideoId'), viewers: { type: 'integer', minimum: 0 }, edges: { type: 'integer', minimum: 0 } }),
      Counts: object({ counts: { type: 'array', items: ref('Stats') }, staleMs: { type: 'integer', minimum: 0, description: 'For how long the counts may have been out of date; 0 while the registry is current.' } }),
      Places: { type: 'string', pattern: '^~', maxLength: 900, description: 'The id of an event of a stream of several videos.' },
      OfVideo: { type: 'object', description: 'The data of the same event of one video, with its `videoId` and, unless it is `viewers`, with its `id` there: the cursor for a stream or a page of that video alone.' },
      StreamComment: object({ id: ref('CommentId'), authorId: ref('AuthorId'), authorName: ref('AuthorName'), by: ref('By'), content: ref('Content'), createdAt: ref('Time') }, ['id', 'authorId', 'content', 'createdAt']),
      Ready: object({ videoId: ref('VideoId'), viewers: { type: 'integer', minimum: 0 }, settings: ref('Settings'), pinned: { anyOf: [ref('StreamComment'), { type: 'null' }], description: 'This and `settings` are left out where nothing is set and nothing is pinned.' } }, ['videoId', 'viewers']),
      Settings: object(settings),
      SettingsChange: { type: 'object', properties: settings, minProperties: 1, additionalProperties: false },
      VideoState: object({ settings: ref('Settings'), pinned: { anyOf: [ref('Comment'), { type: 'null' }] } }),
      Pin: object({ commentId: { anyOf: [ref('CommentId'), { type: 'null' }], description: 'null: what is pinned is not any longer.' } }),
      Ban: object({ forSeconds: { type: 'integer', minimum: 1, maximum: 31_536_000, description: 'At most a year.' } }),
      Act: object({ id: { ...ref('CommentId'), description: 'Of the act: it has a place among the comments.' } }),
      SettingsAct: object({ id: ref('CommentId'), settings: ref('Settings') }),
      BanAct: object({ id: ref('CommentId'), until: { ...ref('Time'), description: '0: the ban is lifted.' } }),
      Deleted: object({ target: ref('CommentId') }),
      Pinned: object({ comment: { anyOf: [ref('StreamComment'), { type: 'null' }] } }),
      Viewers: object({ viewers: { type: 'integer', minimum: 0 } }),
      Gap: object({ from: ref('Cursor'), to: ref('Cursor') }),
      Skipped: object({ count: { type: 'integer', minimum: 1 }, from: ref('Cursor'), to: ref('Cursor') }),
    },
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'With identity on: `sub` is the author\'s id, `name` the displayed name, `videos` (ids, or `*`) the videos that the token is valid for, `mod` (`true`, or ids) those that its bearer moderates, `exp` its expiry.' },
      cookie: { type: 'apiKey', in: 'cookie', name: 'live_comments_token', description: 'The same token; `AUTH_COOKIE` names the cookie. It counts only from pages of this origin and of those that `ALLOWED_ORIGINS` lists.' },
      query: { type: 'apiKey', in: 'query', name: 'access_token', description: 'The same token, for streams only: EventSource cannot send headers.' },
    },
  },
}

function status(description: string, word: string): Response {
  return { description, content: { 'application/json': { schema: object({ status: { const: word } }), example: { status: word } } } }
}
