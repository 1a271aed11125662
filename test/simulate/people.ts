import type { Draft, VideoId } from '../../protocol/comment.js'
import type { Cursor } from '../../protocol/id.js'
import { parseResults, printPosts } from '../../protocol/posts.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import type { Checker, Post, Try } from './checker.js'
import { isModerator, signedBy } from './names.js'
import type { Network } from './network.js'
import type { Process } from './process.js'
import type { Random } from '../support/random.js'
import type { World } from './world.js'

export interface PersonOptions {
  readonly world: World
  readonly network: Network
  readonly checker: Checker
  readonly process: Process
  readonly random: Random
  readonly gateways: readonly string[]
  /** Since when a part has been well without a break; Infinity: it is not. */
  readonly wellSince: (url: string) => number
}

export const TRIES = 8
/** A gateway answers within 8 s; the rest is the network's. */
export const ANSWERED_MS = 8_100
/** Rule 5: the newest page may be so old. */
const NEWEST_MS = 1_000

/** What acts say to those who post. */
const REFUSALS: ReadonlySet<string> = new Set(['BANNED', 'COMMENTS_CLOSED', 'SIGN_IN_REQUIRED', 'SLOW_MODE'])

/** The code of an error that was answered. */
export function errorOf({ body }: PeerError): string | undefined {
  return body && (JSON.parse(body.toString()) as { error?: { code: string } }).error?.code
}

/** Posts under a key until it is acknowledged, and now and then once more. @returns the id, when it stops trying
 * @param stray a dispatcher that gets it as one that was passed on, owner or not: as from a gateway and a dispatcher
 * that are wrong about who owns the video */
export async function post({ world, network, checker, process, random, gateways, wellSince }: PersonOptions, draft: Draft, stray: string | undefined): Promise<Cursor | undefined> {
  const entry: Post = { draft, begunAt: world.now, ackedAt: undefined, id: undefined, tries: [] }
  checker.posts.push(entry)
  const { videoId, authorId, content, key } = draft
  const body = JSON.stringify({ content })
  /** Whether acts refuse it: its poster gives up then. */
  const isRefused = (code: string | undefined, { begunAt }: Try): boolean => {
    if (code === undefined || !REFUSALS.has(code)) return false
    if (!checker.mayRefuse(code, videoId, authorId, begunAt)) checker.violate('forbidden', `${content} of ${authorId} was refused: ${code}`, { videoId })
    return true
  }
  let repeats = random.chance(0.05) ? 1 : 0
  for (let i = 0; i < TRIES; i++) {
    const tried: Try = { begunAt: world.now, status: undefined }
    entry.tries.push(tried)
    const gateway = random.pick(gateways)
    try {
      if (stray !== undefined && i === 0) {
        const results = parseResults(await network.call(process, stray, { path: '/internal/posts', body: printPosts({ passedOn: true, posts: [{ ...draft, signedIn: true, exempt: isModerator(authorId) }] }), timeoutMs: 2_000 }))
        const [result] = results
        if (result && 'error' in result && isRefused(result.error.code, tried)) return undefined
        if (!result || !('comment' in result)) continue
        checker.acknowledged(entry, result.comment.id)
        if (repeats-- === 0) return entry.id
        continue
      }
      const answer = await network.call(process, gateway, { path: `/comments/${videoId}`, body, headers: { 'content-type': 'application/json', 'idempotency-key': key, ...signedBy(authorId) }, timeoutMs: 10_000 })
      tried.status = 201
      checker.acknowledged(entry, Number((JSON.parse(answer.toString()) as { id: string }).id))
      if (repeats-- === 0) return entry.id
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      tried.status = error.status
      if (error.failure === 'refused') tried.status = 503 // it never left
      if (isRefused(errorOf(error), tried)) return undefined
      if (error.status !== undefined && error.status !== 503 && error.status !== 504) checker.violate('answer', `${content} was answered ${error.status}`, { videoId })
    }
    const tookMs = world.now - tried.begunAt
    if (tried.status !== undefined && tookMs > ANSWERED_MS && wellSince(gateway) <= tried.begunAt) checker.violate('answer', `${content} was answered ${tried.status} after ${Math.round(tookMs)} ms`, { videoId })
    await new Promise<void>(resolve => process.clock.after(random.between(50, 1_500), resolve))
  }
  return entry.id
}

interface Page {
  readonly comments: readonly { readonly id: string; readonly deleted?: true; readonly content?: string }[]
  readonly nextCursor: string | null
}

/** Walks through a video's history, in one direction, while comments arrive: nothing is missed or repeated.
 * @param whole from end to end; else at most a few pages. @param from a comment to begin at
 * @returns whether it was answered to the end */
export async function page({ world, network, checker, process, random, gateways }: PersonOptions, videoId: VideoId, direction: 'before' | 'after', whole: boolean, from?: Cursor): Promise<boolean> {
  const chronicle = checker.chronicle(videoId)
  let cursor = from
  const pageSize = random.whole(1, 40)
  for (let pages = 0; whole || pages < 6; pages++) {
    const askedAt = world.now
    const acked = checker.newestAckedComment(videoId, askedAt - NEWEST_MS)
    const query = `direction=${direction}&pageSize=${whole ? 200 : pageSize}${cursor === undefined ? '' : `&cursor=${cursor}`}`
    let answer: Page
    try {
      answer = JSON.parse((await network.call(process, random.pick(gateways), { method: 'GET', path: `/comments/${videoId}?${query}`, timeoutMs: 10_000 })).toString()) as Page
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'PeerError') throw error
      return false
    }
    for (const { id: text, deleted, content = '' } of answer.comments) {
      const id = Number(text)
      const stored = checker.at(videoId, id) && chronicle.isComment(id)
      const wrong = (why: string) => checker.violate('paging', `history of ${videoId} ${direction} ${cursor ?? 'the end'}: ${id} ${why}`, { videoId, id })
      if (!stored) wrong('is not stored')
      else if (direction === 'after' && checker.prevComment(videoId, id) !== (cursor ?? 0)) wrong(`follows ${cursor ?? 0}`)
      else if (direction === 'before' && cursor === undefined && id < acked) wrong(`is the newest, and ${acked} had been acknowledged`)
      else if (direction === 'before' && cursor !== undefined && checker.prevComment(videoId, cursor) !== id) wrong(`comes before ${cursor}`)
      if (!deleted) checker.shows(`history ${direction} ${cursor ?? 'the end'}`, videoId, id, content, askedAt)
      else if (!chronicle.isDeleted(id)) wrong('is said to be deleted')
      cursor = id
    }
    if (answer.nextCursor !== null && Number(answer.nextCursor) !== cursor) checker.violate('paging', `history of ${videoId}: the next cursor is not the last id`, { videoId, id: cursor })
    if (answer.nextCursor !== null) continue
    if (direction === 'after' && (cursor ?? 0) < acked) checker.violate('paging', `history of ${videoId} ends at ${cursor ?? 0}, and ${acked} had been acknowledged`, { videoId, id: acked })
    if (direction === 'before' && cursor !== undefined && checker.prevComment(videoId, cursor) !== 0) checker.violate('paging', `history of ${videoId} begins at ${cursor}`, { videoId, id: cursor })
    if (direction === 'before' && cursor === undefined && acked > 0) checker.violate('paging', `history of ${videoId} is empty`, { videoId, id: acked })
    return true
  }
  return true
}
