import { ANONYMOUS } from '../protocol/comment.js'
import type { PostError, TimedDraft } from '../protocol/posts.js'
import type { KnownState } from './recent-comments.js'

/** What is known of who posts. */
type Poster = Pick<TimedDraft, 'authorId' | 'exempt' | 'signedIn'>

/** Why the author may not post in this video now, slow mode apart; undefined: nothing forbids it. @param nowMs Unix ms */
export function forbidden({ authorId, exempt, signedIn }: Poster, { settings, bans }: KnownState, nowMs: number): PostError | undefined {
  if (exempt) return undefined
  if ((bans.get(authorId) ?? 0) > nowMs) return { code: 'BANNED', message: 'you may not post here at present' }
  if (settings.closed) return { code: 'COMMENTS_CLOSED', message: 'comments are closed' }
  if (settings.signedInOnly && !signedIn) return { code: 'SIGN_IN_REQUIRED', message: 'only signed-in viewers may post here' }
  return undefined
}

/** The least time between two comments of this author, ms; 0: none. Anonymous posts have no author in common. */
export function slowModeMs({ authorId, exempt }: Poster, { settings }: KnownState): number {
  return exempt || authorId === ANONYMOUS ? 0 : 1_000 * settings.slowModeSeconds
}

/** @param leftMs until the author may post again */
export function tooSoon(leftMs: number): PostError {
  const retryAfterSeconds = Math.max(1, Math.ceil(leftMs / 1_000))
  return { code: 'SLOW_MODE', message: `slow mode: post again in ${retryAfterSeconds} s`, retryAfterSeconds }
}
