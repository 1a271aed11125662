import { createHash } from 'node:crypto'
import type { Draft } from '../../protocol/comment.js'
import type { HeldId } from '../../protocol/held.js'
import { keyHash } from './key-hash.js'
import type { Held, Outcome, Timed } from './store.js'

const ID_DIGITS = 32

/** The id under which a draft is held, and found again by its key. */
export function heldIdOf({ videoId, authorId, key }: Pick<Draft, 'videoId' | 'authorId' | 'key'>): HeldId {
  return createHash('sha256').update(JSON.stringify([videoId, authorId, key])).digest('hex').slice(0, ID_DIGITS)
}

/** What a held comment remembers of its draft: enough to know the same again. */
export function saidOf(draft: Timed): string {
  return keyHash(draft).toString('hex')
}

/** What becomes of a reviewed draft whose key has made no comment, by what is held of it; undefined: the review decides. */
export function outcomeOfHeld(draft: Timed, held: Held | undefined): Extract<Outcome, { kind: 'held' | 'refused' | 'reused' | 'missing' }> | undefined {
  if (!held) return draft.review === 'approve' ? { kind: 'missing' } : undefined
  if (held.said !== saidOf(draft)) return { kind: 'reused' }
  if (held.decided) return 'refused' in held.decided ? { kind: 'refused', reason: held.decided.reason } : undefined
  return draft.review === 'approve' ? undefined : { kind: 'held' }
}
