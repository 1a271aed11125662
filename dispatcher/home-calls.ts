import { parseActResult, printActRequest, type ActRequest, type ActResult } from '../protocol/acts.js'
import type { VideoId } from '../protocol/comment.js'
import { parseState, type VideoState } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import { parseDecisionResult, parseHeld, printDecision, type DecisionRequest, type DecisionResult, type HeldComment, type HeldId } from '../protocol/held.js'
import { DEFAULT_LEFT_MS } from '../protocol/limits.js'
import { parseResults, printPosts, type PostResult, type TimedDraft } from '../protocol/posts.js'
import { errorIn } from '../runtime/peers/home-error.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { orUnknown } from './pass-on.js'
import type { PeerLine } from './peer-line.js'
import type { Place } from './store/store.js'

/** Below the 3 s that a gateway gives us, so that it hears what became of a post. */
const CHANGE_MS = 2_700
/** For the way there and back: the home ends with a post so much before we cease to wait, or one that it cannot settle in time would
 * leave unknown what became of all that were sent with it. */
const WAY_MS = 400
/** Below its 2 s for a read. */
const READ_MS = 1_700
/** Statuses by which the home answers what it was asked. */
const OF_THE_REQUEST: ReadonlySet<number | undefined> = new Set([400, 404])
const JSON_BODY = { 'content-type': 'application/json' }

type Refused = { readonly error: { readonly code: LiveError['code']; readonly message: string } }

/* What a video's home alone may do, asked of it: to store posts and acts, to decide about held comments, to say what is known there
 * alone. What was not sent was not done (HOME_UNAVAILABLE); what was sent and has no answer may have been done (OUTCOME_UNKNOWN). The
 * keys of posts and acts make it harmless to send them again. */

/** Each post's result, in order. @param lostMs what the posts waited before they were read */
export async function postAtHome(home: PeerLine, posts: readonly TimedDraft[], lostMs: number): Promise<PostResult[]> {
  const timed = posts.map(({ leftMs = DEFAULT_LEFT_MS, ...draft }) => ({ ...draft, leftMs: timeFor(leftMs, lostMs) }))
  try {
    const { answer, mayBeDone } = await home.change('posts', { body: printPosts({ passedOn: false, entries: true, posts: timed.map(post => ({ ...post, leftMs: Math.max(0, post.leftMs - WAY_MS) })) }), headers: JSON_BODY, timeoutMs: Math.max(...timed.map(({ leftMs }) => leftMs)) })
    const results = parseResults(answer)
    if (results.length !== posts.length) throw new PeerError('status', `${posts.length} posts, ${results.length} results`)
    return mayBeDone ? results.map(orUnknown) : results
  } catch (error) {
    const refused = refusal(home, error)
    return posts.map(() => refused)
  }
}

export async function actAtHome(home: PeerLine, { order, leftMs = DEFAULT_LEFT_MS }: ActRequest, lostMs: number): Promise<ActResult> {
  const timeoutMs = timeFor(leftMs, lostMs)
  try {
    const { answer, mayBeDone } = await home.change('acts', { body: printActRequest({ passedOn: false, order, leftMs: timeoutMs }), headers: JSON_BODY, timeoutMs })
    const result = parseActResult(answer)
    return mayBeDone ? orUnknown(result) : result
  } catch (error) {
    return refusal(home, error)
  }
}

export async function decideAtHome(home: PeerLine, videoId: VideoId, id: HeldId, request: DecisionRequest, lostMs: number): Promise<DecisionResult> {
  const timeoutMs = timeFor(request.leftMs ?? DEFAULT_LEFT_MS, lostMs)
  try {
    const { answer, mayBeDone } = await home.change(`held/${videoId}/${id}`, { body: printDecision({ ...request, leftMs: timeoutMs }), headers: JSON_BODY, timeoutMs })
    const result = parseDecisionResult(answer)
    return mayBeDone ? orUnknown(result) : result
  } catch (error) {
    return refusal(home, error)
  }
}

/** The oldest first. @throws LiveError what the home said; HOME_UNAVAILABLE */
export function heldAtHome(home: PeerLine, videoId: VideoId): Promise<HeldComment[]> {
  return readAtHome(home, `held/${videoId}`, parseHeld)
}

/** @throws LiveError what the home said, COMMENT_NOT_FOUND for one; HOME_UNAVAILABLE */
export function authorAtHome(home: PeerLine, { videoId, id }: Place): Promise<string> {
  return readAtHome(home, `comments/${videoId}/${id}`, answer => (JSON.parse(answer.toString()) as { readonly authorId: string }).authorId)
}

/** @throws LiveError what the home said; HOME_UNAVAILABLE */
export function stateAtHome(home: PeerLine, videoId: VideoId): Promise<VideoState> {
  return readAtHome(home, `state/${videoId}`, answer => {
    const state = parseState(videoId, answer.toString())
    if (!state) throw new PeerError('status', 'an answer that cannot be read')
    return state
  })
}

/** @throws LiveError what the home said of a wrong request; HOME_UNAVAILABLE otherwise */
export async function readAtHome<T>(home: PeerLine, route: string, parse: (answer: Buffer) => T): Promise<T> {
  try {
    return parse(await home.call(route, { method: 'GET', timeoutMs: READ_MS }))
  } catch (cause) {
    throw (cause instanceof PeerError && OF_THE_REQUEST.has(cause.status) && errorIn(cause)) || homeUnavailable(home, cause)
  }
}

export function homeUnavailable(home: PeerLine, cause?: unknown): LiveError {
  return new LiveError('HOME_UNAVAILABLE', `cluster ${home.name}, the home of this video, cannot be reached`, { cause })
}

/** What remains of the time that somebody waits, ms. */
function timeFor(leftMs: number, lostMs: number): number {
  return Math.max(0, Math.round(Math.min(leftMs - lostMs, CHANGE_MS)))
}

/** What is said of something that was to be done, and has no answer. @throws what is no failure of a call */
function refusal(home: PeerLine, error: unknown): Refused {
  if (!(error instanceof PeerError) && !(error instanceof LiveError)) throw error
  // A LiveError is an answer that cannot be read.
  const isUnknown = error instanceof LiveError || error.sent
  const { code, message } = isUnknown ? new LiveError('OUTCOME_UNKNOWN', `cluster ${home.name}, the home of this video, has not said what became of it`) : homeUnavailable(home)
  return { error: { code, message } }
}
