import { parseActResult, printActRequest } from '../../protocol/acts.js'
import type { VideoId } from '../../protocol/comment.js'
import { DEFAULT_SETTINGS, type Act, type Settings } from '../../protocol/entry.js'
import type { CommentId } from '../../protocol/id.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import { ANSWERED_MS, errorOf, TRIES, type PersonOptions } from './people.js'
import type { Post, Try } from './checker.js'
import { isModerator, signedBy } from './names.js'
import type { AnyCall } from './network.js'
import { EPOCH_MS } from './process.js'

export interface ModeratorOptions extends PersonOptions {
  /** A dispatcher to ask past all gateways, as commands do, or as one that is wrong about who owns the video; undefined: a
   * gateway is asked. */
  readonly directly: () => string | undefined
  /** Bans are so long that no clock of the cluster says that they are over. */
  readonly longBans: boolean
}

type Method = 'PUT' | 'DELETE'

/** What somebody wants to be done, and how a gateway is asked for it. */
interface Wish {
  readonly by: string
  readonly method: Method
  /** Below the video's. */
  readonly path: string
  readonly body: Record<string, unknown> | undefined
  /** As a dispatcher is asked for it. */
  readonly act: Act
  readonly isDone: (act: Act) => boolean
  /** What undoes it after a while: nobody could post otherwise. */
  readonly undone?: () => Wish
}

/** Of the newest comments those are deleted and pinned that may be on their way yet. */
const NEWEST = 6
const SHORT_BAN_S = 2
const LONG_BAN_S = 30 * 86_400
/** How long what forbids posts lasts at most, ms: longer than it may take until everyone knows. */
const FORBIDDEN_MS = 7_000

/** Moderators, and authors who delete what they have said; each asks until it is answered. */
export class Moderator {
  readonly #o: ModeratorOptions
  #acts = 0

  constructor(options: ModeratorOptions) {
    this.#o = options
  }

  /** Does something, and undoes it later where nobody could post otherwise. */
  async act(videoId: VideoId): Promise<void> {
    const wish = this.#wish(videoId)
    if (!wish) return
    await this.#do(videoId, wish)
    if (!wish.undone) return
    await this.#pause(this.#o.random.between(300, FORBIDDEN_MS))
    await this.#do(videoId, wish.undone())
  }

  #wish(videoId: VideoId): Wish | undefined {
    const { random } = this.#o
    const by = `moderator${random.below(2)}`
    const which = random.below(100)
    if (which < 50) return this.#deletion(videoId, by)
    if (which < 70) return this.#pin(videoId, by)
    if (which < 85) return setting(by, random.pick<Partial<Settings>>([{ closed: true }, { slowModeSeconds: 1 }, { slowModeSeconds: 2 }, { signedInOnly: true }]))
    return ban(by, `author${random.below(5)}`, this.#o.longBans || random.chance(0.5) ? LONG_BAN_S : SHORT_BAN_S)
  }

  /** By a moderator, by its author, or by somebody else, who is refused. */
  #deletion(videoId: VideoId, moderator: string): Wish | undefined {
    const { random, checker } = this.#o
    const target = this.#target(videoId)
    if (target === undefined) return undefined
    const author = checker.chronicle(videoId).at(target)!.draft.authorId
    const by = random.chance(0.5) ? moderator : random.chance(0.8) ? author : 'stranger'
    return { by, method: 'DELETE', path: `/${target}`, body: undefined, act: { type: 'deleted', target }, isDone: act => act.type === 'deleted' && act.target === target && by !== 'stranger' }
  }

  #pin(videoId: VideoId, by: string): Wish | undefined {
    const target = this.#o.random.chance(0.3) ? undefined : this.#target(videoId)
    return { by, method: 'PUT', path: '/pin', body: { commentId: target === undefined ? null : String(target) }, act: { type: 'pinned', target }, isDone: act => act.type === 'pinned' && act.target === target }
  }

  #target(videoId: VideoId): CommentId | undefined {
    const { random, checker } = this.#o
    const chronicle = checker.chronicle(videoId)
    const stored = checker.stored(videoId)
    const ids = (random.chance(0.7) ? stored.slice(-NEWEST) : stored.slice(-300)).map(({ comment }) => comment.id).filter(id => chronicle.isComment(id))
    return ids.length === 0 ? undefined : random.pick(ids)
  }

  async #do(videoId: VideoId, wish: Wish): Promise<void> {
    const { world, checker, random } = this.#o
    const { by, act, isDone } = wish
    const key = `act${this.#acts++}`
    const entry: Post = { draft: { videoId, authorId: by, content: '', key, act }, isDone, begunAt: world.now, ackedAt: undefined, id: undefined, tries: [] }
    checker.posts.push(entry)
    const directly = this.#o.directly()
    for (let i = 0; i < TRIES; i++) {
      const tried: Try = { begunAt: world.now, status: undefined }
      entry.tries.push(tried)
      // What a gateway adds to an act is not known to who asks a dispatcher: only what is the same either way is retried elsewhere.
      const over = directly !== undefined && (i === 0 || act.type === 'author-banned' || act.type === 'settings') ? await this.#byDispatcher(directly, entry, tried) : await this.#byGateway(wish, entry, tried)
      if (over) return
      await this.#pause(random.between(50, 1_500))
    }
  }

  /** @returns whether it is over */
  async #byDispatcher(url: string, entry: Post, tried: Try): Promise<boolean> {
    const { network, process, checker } = this.#o
    const { videoId, key, authorId, act } = entry.draft
    try {
      const body = printActRequest({ passedOn: true, order: { videoId, key, actorId: authorId, asModerator: isModerator(authorId), act: act! }, leftMs: 2_000 })
      const result = parseActResult(await network.call(process, url, { path: '/internal/acts', body, timeoutMs: 2_500 }))
      if ('error' in result) return this.#refused(entry, result.error.code)
      tried.status = 200
      checker.acknowledged(entry, result.entryId)
      return true
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      return false
    }
  }

  async #byGateway({ method, path, body }: Wish, entry: Post, tried: Try): Promise<boolean> {
    const { network, process, random, gateways, checker, world, wellSince } = this.#o
    const { videoId, key, authorId } = entry.draft
    const gateway = random.pick(gateways)
    const call: AnyCall = { method, path: `/comments/${videoId}${path}`, headers: { 'content-type': 'application/json', 'idempotency-key': key, ...signedBy(authorId) }, timeoutMs: 10_000, ...(body ? { body: JSON.stringify(body) } : {}) }
    let code: string | undefined
    try {
      const answer = await network.call(process, gateway, call)
      tried.status = 200
      checker.acknowledged(entry, Number((JSON.parse(answer.toString()) as { id: string }).id))
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      tried.status = error.failure === 'refused' ? 503 : error.status // refused: it never left
      code = errorOf(error)
    }
    const tookMs = world.now - tried.begunAt
    if (tried.status !== undefined && tookMs > ANSWERED_MS && wellSince(gateway) <= tried.begunAt) checker.violate('answer', `${entry.draft.key} was answered ${tried.status} after ${Math.round(tookMs)} ms`, { videoId })
    return tried.status === 200 || (code !== undefined && this.#refused(entry, code))
  }

  /** @returns whether there is no use in another try */
  #refused({ draft: { videoId, authorId, act, key } }: Post, code: string): boolean {
    const { checker } = this.#o
    if (['UNAVAILABLE', 'STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN', 'UPGRADE_UNFINISHED', 'OVERLOADED', 'NOT_READY'].includes(code)) return false
    const target = act && 'target' in act ? act.target : undefined
    const isGone = target !== undefined && checker.chronicle(videoId).isDeleted(target)
    // A gateway adds the time, or what was set before: sent again later it is another act, and the first was done.
    const isAnother = code === 'KEY_REUSED' && (act?.type === 'author-banned' || act?.type === 'settings')
    const isRight = (code === 'COMMENT_NOT_FOUND' && isGone) || (code === 'FORBIDDEN' && authorId === 'stranger') || isAnother
    if (!isRight) checker.violate('answer', `${act?.type} (${key}) was refused: ${code}`, { videoId, id: target })
    return true
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => this.#o.process.clock.after(ms, resolve))
  }
}

function setting(by: string, patch: Partial<Settings>): Wish {
  const names = Object.keys(patch) as (keyof Settings)[]
  return {
    by, method: 'PUT', path: '/settings', body: patch,
    act: { type: 'settings', settings: { ...DEFAULT_SETTINGS, ...patch } },
    isDone: act => act.type === 'settings' && names.every(name => act.settings[name] === patch[name]),
    undone: () => setting(by, Object.fromEntries(names.map(name => [name, DEFAULT_SETTINGS[name]]))),
  }
}

function ban(by: string, authorId: string, seconds: number): Wish {
  const isDone = (lifted: boolean) => (act: Act) => act.type === 'author-banned' && act.authorId === authorId && (act.until === 0) === lifted
  const lift: Wish = { by, method: 'DELETE', path: `/bans/${authorId}`, body: undefined, act: { type: 'author-banned', authorId, until: 0 }, isDone: isDone(true) }
  const until = EPOCH_MS + LONG_BAN_S * 1_000
  return { by, method: 'PUT', path: `/bans/${authorId}`, body: { forSeconds: seconds }, act: { type: 'author-banned', authorId, until }, isDone: isDone(false), undone: () => lift }
}
