import { randomUUID } from 'node:crypto'
import { checkVideoId, toPublic, type VideoId } from '../protocol/comment.js'
import { checkAct, checkOrder, DEFAULT_SETTINGS, type Act, type Settings } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import { checkDecision, checkHeldId, type HeldComment } from '../protocol/held.js'
import { parseCursor, type CommentId } from '../protocol/id.js'
import type { Identity } from '../runtime/auth/identity.js'
import { forbidden, type Bearer } from '../runtime/auth/token.js'
import type { Clients } from '../runtime/http/client-address.js'
import type { Exchange } from '../runtime/http/exchange.js'
import { json, type Reply } from '../runtime/http/reply.js'
import type { Router } from '../runtime/http/server.js'
import { counted } from './counted.js'
import type { Gateway } from './gateway.js'
import { bodyOf, keyOf, parseBody } from './json-request.js'
import type { Limits } from './limits.js'
import type { GatewayMetrics } from './metrics.js'

/** A year. */
export const MAX_BAN_SECONDS = 365 * 86_400
const NO_STORE = { 'cache-control': 'no-store' }

/** Who may do it: a moderator alone, or the comment's author, too. */
type Who = 'moderator' | 'author'
type Body = Readonly<Record<string, unknown>>

/** A request, read and allowed. */
interface Order {
  readonly videoId: VideoId
  /** How long it waited for this process to run. */
  readonly lostMs: number
  readonly key: string
  readonly actor: Bearer
  /** {} of a DELETE. */
  readonly body: Body
}

export interface ModerationOptions {
  readonly gateway: Gateway
  readonly metrics: GatewayMetrics
  /** Who may post, watch and moderate; undefined: anyone may post and watch, and nobody moderates. */
  readonly identity?: Identity | undefined
  /** What one client may do. */
  readonly limits: Limits
  readonly clients: Clients
}

/** What moderators do to a video's comments, and authors to their own. A handler reads all of its request before anything is awaited. */
export function routeModeration(router: Router, options: ModerationOptions): void {
  const moderation = new Moderation(options)
  router
    .route('DELETE', '/comments/:videoId/:commentId', exchange => {
      const target = exchange.parameter(1)
      return moderation.act(exchange, 'author', () => ({ type: 'deleted', target: checkCommentId(target) }))
    })
    .route('PUT', '/comments/:videoId/pin', exchange =>
      moderation.act(exchange, 'moderator', ({ commentId }) => ({ type: 'pinned', target: commentId === null ? undefined : checkCommentId(commentId, ', or null') })),
    )
    .route('GET', '/comments/:videoId/settings', exchange => moderation.settings(exchange))
    .route('PUT', '/comments/:videoId/settings', exchange =>
      moderation.act(exchange, 'moderator', async (body, videoId) => {
        const change = checkPatch(body)
        const { settings } = await options.gateway.acts.state(videoId)
        return { type: 'settings', settings: { ...settings, ...change } }
      }),
    )
    .route('PUT', '/comments/:videoId/bans/:authorId', exchange => {
      const authorId = exchange.parameter(1)
      return moderation.act(exchange, 'moderator', ({ forSeconds }) => checkAct({ type: 'author-banned', authorId, until: options.gateway.clock.wall() + checkBanSeconds(forSeconds) * 1_000 }))
    })
    .route('DELETE', '/comments/:videoId/bans/:authorId', exchange => {
      const authorId = exchange.parameter(1)
      return moderation.act(exchange, 'moderator', () => checkAct({ type: 'author-banned', authorId, until: 0 }))
    })
    .route('GET', '/comments/:videoId/held', exchange => moderation.held(exchange))
    .route('PUT', '/comments/:videoId/held/:heldId', exchange => moderation.decide(exchange))
}

class Moderation {
  readonly #options: ModerationOptions

  constructor(options: ModerationOptions) {
    this.#options = options
  }

  /** Does what `read` finds in the body, {} for a DELETE. */
  act(exchange: Exchange, who: Who, read: (body: Body, videoId: string) => Act | Promise<Act>): Promise<Reply> {
    return counted(this.#act(exchange, who, read), status => this.#options.metrics.acts.inc({ status }))
  }

  /** How the video is set, and what is pinned. */
  async settings(exchange: Exchange): Promise<Reply> {
    const { identity, gateway, limits, clients } = this.#options
    const videoId = checkVideoId(exchange.parameter(0))
    const client = clients.of(exchange)
    if (identity?.requireToWatch) await identity.bearer(exchange, videoId)
    const read = async () => {
      const { settings, pinned } = await gateway.acts.state(videoId)
      return json({ settings, pinned: pinned ? toPublic(pinned) : null }, 200, NO_STORE)
    }
    return limits.read(client, read, () => !exchange.aborted)
  }

  /** The comments that wait for a moderator, the oldest first. */
  async held(exchange: Exchange): Promise<Reply> {
    const { gateway, limits, clients } = this.#options
    const videoId = checkVideoId(exchange.parameter(0))
    const client = clients.of(exchange)
    await this.#actor(exchange, videoId, 'moderator')
    const read = async () => json({ held: (await gateway.held.list(videoId)).map(toPublicHeld) }, 200, NO_STORE)
    return limits.read(client, read, () => !exchange.aborted)
  }

  /** Publishes a held comment, or refuses it. */
  decide(exchange: Exchange): Promise<Reply> {
    return counted(this.#decide(exchange, exchange.parameter(1)), status => this.#options.metrics.acts.inc({ status }))
  }

  async #decide(exchange: Exchange, heldId: string): Promise<Reply> {
    const { videoId, lostMs, actor, body } = await this.#order(exchange, 'moderator')
    const decided = await this.#options.gateway.held.decide(videoId, checkHeldId(heldId), { actorId: actor.authorId, decision: checkDecision(body) }, lostMs)
    return json('id' in decided ? { id: String(decided.id) } : decided)
  }

  async #act(exchange: Exchange, who: Who, read: (body: Body, videoId: string) => Act | Promise<Act>): Promise<Reply> {
    const { videoId, lostMs, key, actor, body } = await this.#order(exchange, who)
    const act = await read(body, videoId)
    const id = await this.#options.gateway.acts.perform(checkOrder({ videoId, key, actorId: actor.authorId, asModerator: actor.isModerator === true, act }), lostMs)
    return json({ id: String(id), ...shown(act) })
  }

  /** What somebody who may act asks for. Async only to reject where it throws. */
  async #order(exchange: Exchange, who: Who): Promise<Order> {
    const { gateway, limits, clients } = this.#options
    const videoId = checkVideoId(exchange.parameter(0))
    const lostMs = gateway.pauses.lostMs()
    const client = clients.of(exchange)
    limits.post(client)
    const body = exchange.method === 'DELETE' ? undefined : bodyOf(exchange)
    const key = keyOf(exchange) ?? randomUUID()
    const actor = await this.#actor(exchange, videoId, who)
    limits.postBy(actor.authorId, client)
    return { videoId, lostMs, key, actor, body: body === undefined ? {} : checkBody(await body) }
  }

  /** @throws LiveError UNAUTHORIZED, FORBIDDEN */
  async #actor(exchange: Exchange, videoId: string, who: Who): Promise<Bearer> {
    const { identity } = this.#options
    if (!identity) throw new LiveError('FORBIDDEN', 'nobody may moderate here, since identity is off (AUTH_JWT_SECRET, AUTH_JWKS_FILE); operators do it by commands')
    const bearer = await identity.bearer(exchange, videoId)
    if (who === 'moderator' && !bearer.isModerator) throw forbidden('the token has no mod for this video')
    return bearer
  }
}

function toPublicHeld({ id, videoId, authorId, authorName, content, heldAt }: HeldComment): Record<string, unknown> {
  return { id, videoId, authorId, ...(authorName === undefined ? {} : { authorName }), content, heldAt }
}

/** What an answer says beside the act's id. */
function shown(act: Act): { settings?: Settings; until?: number } {
  if (act.type === 'settings') return { settings: act.settings }
  return act.type === 'author-banned' ? { until: act.until } : {}
}

function checkBody(bytes: Buffer): Body {
  const body = parseBody(bytes, 'BAD_ACT')
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw badAct('the body must be a JSON object')
  return body as Body
}

/** @param orElse what the error says may be there instead */
function checkCommentId(value: unknown, orElse = ''): CommentId {
  const id = typeof value === 'string' ? parseCursor(value) : undefined
  if (!id) throw badAct(`commentId must be the id of a comment, in decimal${orElse}`)
  return id
}

/** Some of the settings, and nothing else: a name that is spelt wrongly must not do nothing. */
function checkPatch(patch: Body): Partial<Settings> {
  const names = Object.keys(patch)
  const unknown = names.find(name => !Object.hasOwn(DEFAULT_SETTINGS, name))
  if (unknown !== undefined || names.length === 0) throw badAct(`the body must have ${Object.keys(DEFAULT_SETTINGS).join(', ')} or some of them, and nothing else`)
  checkAct({ type: 'settings', settings: { ...DEFAULT_SETTINGS, ...patch } })
  return patch
}

function checkBanSeconds(value: unknown): number {
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > MAX_BAN_SECONDS) throw badAct(`forSeconds must be a whole number from 1 to ${MAX_BAN_SECONDS}, which is a year`)
  return value as number
}

function badAct(message: string): LiveError {
  return new LiveError('BAD_ACT', message)
}
