import type { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import type { MemberNode } from '../protocol/nodes.js'
import type { PostError } from '../protocol/posts.js'
import { homeError } from '../runtime/peers/home-error.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { isOfThisDispatcher, type PosterOptions } from './post-comment.js'

/** A caller is answered within this time, and each try takes less: the same as for a post. */
const OVERALL_MS = 8_000
const TRY_MS = 3_000
const READ_OVERALL_MS = 6_000
const READ_TRY_MS = 2_000
const JSON_BODY = { 'content-type': 'application/json' }

type Refused = { readonly error: Pick<PostError, 'code' | 'message'> }

/** Something to be done about a video's comments, once, whichever dispatchers are asked. */
export interface Change<Answer, T> {
  readonly path: string
  /** @param leftMs what the try has @param isFirst whether no other dispatcher was asked before */
  readonly body: (leftMs: number, isFirst: boolean) => string
  readonly parse: (answer: Buffer) => Answer
  /** What comes of an answer. Where it throws, an earlier try that may have done it counts all the same. */
  readonly settle: (answer: Answer) => T
  /** What is said where it may have been done. */
  readonly unknown: (cause: unknown) => LiveError
  /** How long somebody waits, ms; OVERALL_MS without. */
  readonly withinMs?: number
}

/** Calls about a video's comments, other than posts: to its owner or, where that fails, to the next in hash order. */
export class OwnerCalls {
  readonly #options: PosterOptions

  constructor(options: PosterOptions) {
    this.#options = options
  }

  /** @throws LiveError UNAVAILABLE, HOME_UNAVAILABLE, UPGRADE_UNFINISHED; what `parse` throws */
  async read<T>(videoId: VideoId, path: string, parse: (answer: Buffer) => T): Promise<T> {
    const { client, clock, failover, owners } = this.#options
    const attempt = async (node: MemberNode, timeoutMs: number): Promise<T> => {
      try {
        return parse(await client.call(node.internalUrl, { method: 'GET', path, timeoutMs }))
      } catch (error) {
        throw homeError(error) ?? error
      }
    }
    try {
      return await failover.ask(owners(videoId), attempt, { deadline: clock.now() + READ_OVERALL_MS, tryMs: READ_TRY_MS, hedged: true })
    } catch (error) {
      throw refusal(error)
    }
  }

  /** @param lostMs how long the request waited for this process to run: that comes off the time it has
   * @throws LiveError what a dispatcher said; UNAVAILABLE: it was not done; what `unknown` makes: it may have been */
  async change<Answer extends object, T>(videoId: VideoId, { path, body, parse, settle, unknown, withinMs = OVERALL_MS }: Change<Answer, T>, lostMs: number): Promise<T> {
    const { client, clock, failover, owners } = this.#options
    let isUnknown = false
    const attempt = async (node: MemberNode, timeoutMs: number, isFirst: boolean): Promise<Answer> => {
      try {
        const answer = parse(await client.call(node.internalUrl, { path, body: body(Math.round(timeoutMs), isFirst), headers: JSON_BODY, timeoutMs }))
        if (isRefused(answer) && isOfThisDispatcher(answer)) throw new Declined(toError(answer))
        return answer
      } catch (error) {
        isUnknown ||= mayBeDone(error)
        throw error
      }
    }
    try {
      return settle(await failover.ask(owners(videoId), attempt, { deadline: clock.now() + Math.min(OVERALL_MS, withinMs) - lostMs, tryMs: TRY_MS }))
    } catch (cause) {
      throw isUnknown || mayBeDone(cause) ? unknown(cause) : refusal(cause)
    }
  }
}

function isRefused(answer: object): answer is Refused {
  return 'error' in answer
}

/** A dispatcher's refusal that the next one may not repeat. */
class Declined extends Error {
  constructor(readonly error: LiveError) {
    super(error.message)
  }
}

/** Whether the dispatcher whose answer this is, or whose answer is missing, may have done it. */
function mayBeDone(error: unknown): boolean {
  if (error instanceof Declined) return error.error.code === 'OUTCOME_UNKNOWN'
  return error instanceof PeerError && error.sent && (error.status ?? 500) >= 500
}

/** Why nothing was done. */
function refusal(error: unknown): unknown {
  if (error instanceof Declined) return error.error
  if (!(error instanceof PeerError)) return error
  if (error.status === 404) return new LiveError('UPGRADE_UNFINISHED', 'a dispatcher is of the former version, which knows no moderation', { cause: error })
  return new LiveError('UNAVAILABLE', 'no dispatcher is available', { cause: error })
}

export function toError({ error: { code, message } }: Refused): LiveError {
  return new LiveError(code, message, code === 'OVERLOADED' ? { headers: { 'retry-after': '1' } } : undefined)
}
