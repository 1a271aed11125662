import { MAX_RATES, MAX_RECENT } from '../protocol/limits.js'
import { CLOSE_CODES, closeText, messagesOf, SUBPROTOCOL } from '../protocol/message.js'
import { Places, sharedEvents, withIds } from '../protocol/several.js'
import { VERSION } from '../runtime/version.js'
import { openApi, type Schema } from './openapi.js'

/** The WebSocket's description in AsyncAPI 3.0, of which only the used parts are typed. Its events and schemas are those of OpenAPI. */
export interface AsyncApi {
  readonly asyncapi: string
  readonly info: { readonly title: string; readonly version: string; readonly description: string; readonly license: { readonly name: string } }
  readonly defaultContentType: string
  readonly channels: Readonly<Record<string, { readonly address: string; readonly parameters: Readonly<Record<string, { readonly description: string }>>; readonly messages: Readonly<Record<string, Reference>>; readonly bindings: { readonly ws: Readonly<Record<string, unknown>> } }>>
  readonly operations: Readonly<Record<string, Operation>>
  readonly components: { readonly messages: Readonly<Record<string, Message>>; readonly schemas: Readonly<Record<string, Schema>> }
}

interface Reference {
  readonly $ref: string
}

/** From the gateway's side. */
interface Operation {
  readonly action: 'send' | 'receive'
  readonly channel: Reference
  readonly summary: string
  readonly messages: readonly Reference[]
  readonly reply?: { readonly channel: Reference; readonly messages: readonly Reference[] }
}

interface Message {
  readonly summary: string
  readonly payload: Schema
  readonly examples: readonly { readonly payload: unknown }[]
}

const schema = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })
const object = (properties: Readonly<Record<string, Schema>>, required = Object.keys(properties)): Schema => ({ type: 'object', required, properties })
const channel = (name: string): Reference => ({ $ref: `#/channels/${name}` })
const inChannel = (channel: string, name: string): Reference => ({ $ref: `#/channels/${channel}/messages/${name}` })
const named = (name: string): Reference => ({ $ref: `#/components/messages/${name}` })

const path = openApi.paths['/comments/{videoId}']!
const events = Object.entries(path.get!.responses[200]!.content!['text/event-stream']!['x-server-sent-events']!)
const comment = path.post!.responses[201]!.content!['application/json']!.example
const ref: Schema = { type: ['string', 'number'], maxLength: 64, description: 'The same as in the post; absent where that had none.' }
const postFields: Readonly<Record<string, Schema>> = {
  content: schema('Content'),
  authorId: schema('AuthorId'),
  key: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$', description: 'The same as `Idempotency-Key` over HTTP: with it a post can safely be sent again.' },
}
const closes = Object.entries(CLOSE_CODES).map(([reason, code]) => `${code} \`${reason}\``).join(', ')

export const asyncApi: AsyncApi = {
  asyncapi: '3.0.0',
  info: {
    title: 'Live comments by WebSocket',
    version: VERSION,
    description:
      'The same events as by server-sent events, as JSON, and posts over the same connection. Each message from the server is a JSON array: events that are written together come together, and an empty array is a heartbeat. ' +
      'The server sends something at least every 15 s; after 35 s of silence the connection is dead. A client that reconnects with the last `id` it saw as `lastEventId` misses nothing and gets nothing twice.\n\n' +
      `A browser offers the subprotocol \`${SUBPROTOCOL}\` and, if it has a token, \`bearer.TOKEN\` beside it. With a list of allowed origins a page of any other is refused (403). ` +
      'Before the connection is open, errors are HTTP answers, as those of the same request for server-sent events. Afterwards a message that cannot be used is answered by an error, and the connection stays open; a binary one closes it, and one of more than 16 KB ends it without a word (1006).\n\n' +
      `The server closes with a code and a JSON text, \`${closeText('stopping', 1234)}\`: ${closes}. A client should come back after \`retryMs\`. One that has taken nothing for 6 s is cut without a word.`,
    license: { name: 'MIT' },
  },
  defaultContentType: 'application/json',
  channels: {
    comments: {
      address: '/comments/{videoId}',
      parameters: { videoId: { description: 'The video: 1 to 64 of `A–Z a–z 0–9 _ -`. It need not be created first.' } },
      messages: { events: named('events'), post: named('post'), posted: named('posted'), held: named('held'), refused: named('refused') },
      bindings: {
        ws: {
          method: 'GET',
          query: object({
            recent: { type: 'integer', minimum: 0, maximum: MAX_RECENT, description: 'Begin with this many of the last comments. A cursor takes precedence.' },
            lastEventId: { ...schema('Cursor'), description: 'Begin after this id.' },
            maxRate: { type: 'integer', enum: MAX_RATES, description: 'Show at most so many comments a second.' },
            access_token: { type: 'string', description: 'The token, where it is not offered as a subprotocol.' },
          }, []),
          bindingVersion: '0.1.0',
        },
      },
    },
    several: {
      address: '/comments',
      parameters: {},
      messages: { events: named('eventsOfSeveral'), post: named('postToOne'), posted: named('posted'), held: named('held'), refused: named('refused') },
      bindings: {
        ws: {
          method: 'GET',
          query: object({
            videos: { type: 'string', description: '1 to 50 videos, with a comma between two; `VIDEO:CURSOR` begins after that comment.' },
            recent: { type: 'integer', minimum: 0, maximum: MAX_RECENT, description: 'Begin each video that has no cursor with this many of its last comments.' },
            lastEventId: { ...schema('Places'), description: 'Begin after this id, in each video that it knows.' },
            maxRate: { type: 'integer', enum: MAX_RATES, description: 'Show at most so many comments a second of each video.' },
            access_token: { type: 'string', description: 'The token, where it is not offered as a subprotocol.' },
          }, ['videos']),
          bindingVersion: '0.1.0',
        },
      },
    },
  },
  operations: {
    watch: { action: 'send', channel: channel('comments'), summary: 'Replayed comments, then `ready`, then new ones as they are posted, each once and in order.', messages: [inChannel('comments', 'events')] },
    post: { action: 'receive', channel: channel('comments'), summary: 'A post. It is answered once the comment is on disk, or held, or refused.', messages: [inChannel('comments', 'post')], reply: { channel: channel('comments'), messages: [inChannel('comments', 'posted'), inChannel('comments', 'held'), inChannel('comments', 'refused')] } },
    watchSeveral: { action: 'send', channel: channel('several'), summary: 'The same of several videos.', messages: [inChannel('several', 'events')] },
    postToOne: { action: 'receive', channel: channel('several'), summary: 'A post to one of them.', messages: [inChannel('several', 'post')], reply: { channel: channel('several'), messages: [inChannel('several', 'posted'), inChannel('several', 'held'), inChannel('several', 'refused')] } },
  },
  components: {
    messages: {
      events: {
        summary: 'Events, oldest first; none is a heartbeat.',
        payload: { type: 'array', items: { anyOf: events.map(([name]) => schema(eventSchema(name))) } },
        examples: [{ payload: JSON.parse(messagesOf(events.map(([, { example }]) => example).join(''))) as unknown }, { payload: [] }],
      },
      post: {
        summary: 'A comment to be posted. Unknown fields are refused.',
        payload: object({
          post: { ...object(postFields, ['content']), additionalProperties: false },
          ref: { ...ref, description: 'What the client knows the answer by.' },
        }, ['post']),
        examples: [{ payload: { post: { content: 'hello', authorId: 'me' }, ref: 1 } }],
      },
      eventsOfSeveral: {
        summary: 'Events of one of several videos, oldest first; none is a heartbeat. A message has one `id` at most, in its last event that has a place in its video: what to resume from once all of the message is taken.',
        payload: { type: 'array', items: object({ event: { enum: events.map(([name]) => name) }, id: schema('Places'), data: schema('OfVideo') }, ['event', 'data']) },
        examples: [{ payload: JSON.parse(messagesOfSeveral()) as unknown }, { payload: [] }],
      },
      postToOne: {
        summary: 'A comment to be posted to one of the videos of the connection. Unknown fields are refused.',
        payload: object({ post: { ...object({ ...postFields, videoId: schema('VideoId') }, ['content', 'videoId']), additionalProperties: false }, ref: { ...ref, description: 'What the client knows the answer by.' } }, ['post']),
        examples: [{ payload: { post: { videoId: 'demo', content: 'hello', authorId: 'me' }, ref: 1 } }],
      },
      posted: {
        summary: 'The answer to a post: the comment is on disk.',
        payload: oneOf(object({ ref, posted: schema('Comment') }, ['posted'])),
        examples: [{ payload: [{ ref: 1, posted: comment }] }],
      },
      held: {
        summary: 'The answer to a post that waits for a moderator. A retry with the same key reveals the outcome.',
        payload: oneOf(object({ ref, held: schema('HeldPost') }, ['held'])),
        examples: [{ payload: [{ ref: 1, held: path.post!.responses[202]!.content!['application/json']!.example }] }],
      },
      refused: {
        summary: 'The answer to a message that was refused, by the codes of the same post over HTTP. After `OUTCOME_UNKNOWN` the comment may have been stored, and a retry with `idempotencyKey` reveals it.',
        payload: oneOf(object({ ref, error: object({ code: { type: 'string' }, message: { type: 'string' }, retryAfter: { type: 'integer', minimum: 1, description: 'Seconds to wait.' }, idempotencyKey: { type: 'string' } }, ['code', 'message']) }, ['error'])),
        examples: [{ payload: [{ ref: 1, error: { code: 'BAD_COMMENT', message: 'content must not be empty' } }] }],
      },
    },
    schemas: {
      ...openApi.components.schemas,
      ...Object.fromEntries(events.map(([name, { description, id, data }]) => [
        eventSchema(name),
        { ...object({ event: { const: name }, ...(id === 'none' ? {} : { id: { ...schema('Cursor'), description: `What to resume from: ${id}.` } }), data }), description },
      ])),
    },
  },
}

function messagesOfSeveral(): string {
  const shared = sharedEvents('messages', 'demo', events.map(([, { example }]) => example).join(''))
  return withIds('messages', shared, new Places([{ videoId: 'demo', after: undefined }, { videoId: 'other', after: 12 }]).passed(0, shared.cursors)).toString()
}

function eventSchema(name: string): string {
  return `${name[0]!.toUpperCase()}${name.slice(1)}Event`
}

/** An array of one. */
function oneOf(items: Schema): Schema {
  return { type: 'array', minItems: 1, maxItems: 1, items }
}
