import type { ActResult } from '../protocol/acts.js'
import type { ErrorCode } from '../protocol/errors.js'
import type { DecisionResult } from '../protocol/held.js'
import type { MemberNode } from '../protocol/nodes.js'
import type { PostResult } from '../protocol/posts.js'
import type { Clock } from '../runtime/clock.js'
import type { Failover } from '../runtime/peers/failover.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { TOO_LATE, type Refusal } from './accept.js'

export interface PassOnDeps {
  readonly failover: Failover
  /** Ourselves, as one of those who can store. */
  readonly self: MemberNode
  readonly clock: Clock
}

/** Entries that are passed on together: posts, or an act. */
export interface PassedOn<R> {
  /** How many they are: each has a result. */
  readonly count: number
  /** Monotonic ms: nobody waits any longer. */
  readonly deadline: number
  /** Has the owner store them. @throws PeerError where it has no answer */
  readonly there: (owner: MemberNode, timeoutMs: number) => Promise<R[]>
  /** Stores them here. Never rejects. */
  readonly here: () => Promise<R[]>
}

type Refused = { readonly error: Refusal }

/** Longer than a store tries, shorter than a gateway waits. */
const PASS_ON_MS = 1_500
/** Our refusals that do not hold for the owner: it may be able to store, may not have heard of an act or a comment that we know, and
 * may have had another answer of a review. */
const OF_THIS_TRY: ReadonlySet<ErrorCode> = new Set([
  'STORE_UNAVAILABLE', 'UNAVAILABLE', 'HOME_UNAVAILABLE', 'OVERLOADED', 'BANNED', 'COMMENTS_CLOSED', 'SIGN_IN_REQUIRED', 'SLOW_MODE', 'DUPLICATE_COMMENT', 'REVIEW_REFUSED', 'REVIEW_UNAVAILABLE', 'UPGRADE_UNFINISHED',
])
const UNKNOWN: Refused = { error: { code: 'OUTCOME_UNKNOWN', message: 'somebody who was asked before may have stored it' } }

/** Has a video's owner store entries, or stores them here where the owner does not answer. The entries' keys make it harmless if
 * both store them.
 * @returns each one's result, in order: a refusal that says "not stored" is true of both */
export async function passOn<R extends PostResult | ActResult>(deps: PassOnDeps, owner: MemberNode, { count, deadline, there, here }: PassedOn<R>): Promise<(R | Refused)[]> {
  const { failover, self, clock } = deps
  if (failover.isBackedOff(owner)) return here()
  /** The owner has been sent them, and has not said what became of them. */
  let ownerMayStore = false
  /** We store them too, since the owner was slow. */
  let ours: Promise<R[]> | undefined
  const attempt = async (peer: MemberNode, timeoutMs: number): Promise<R[]> => {
    if (peer === self) return (ours = here())
    ownerMayStore = true
    try {
      const results = await there(peer, timeoutMs)
      ownerMayStore = false
      return results
    } catch (error) {
      if (error instanceof PeerError && !error.sent) ownerMayStore = false
      throw error
    }
  }
  try {
    const results = await failover.ask([owner, self], attempt, { deadline, tryMs: Math.min(PASS_ON_MS, Math.max(0, deadline - clock.now())) })
    if (ownerMayStore) return results.map(orUnknown)
    // The owner's refusal says nothing of what we do ourselves.
    return ours && results.some(result => 'error' in result) ? both(results, await ours) : results
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    return Array.from({ length: count }, () => (ownerMayStore || ours ? UNKNOWN : { error: TOO_LATE }))
  }
}

/** Of two answers to each entry: that it was stored or held, else that it may have been, else the first. */
function both<R extends PostResult | ActResult>(results: readonly R[], others: readonly R[]): R[] {
  return results.map((result, i) => {
    const other = others[i]!
    return 'error' in result && (!('error' in other) || other.error.code === 'OUTCOME_UNKNOWN') ? other : result
  })
}

/** Who answered could not store it, but another one, who has not answered, may have. */
export function orUnknown<R extends PostResult | ActResult | DecisionResult>(result: R): R | Refused {
  return 'error' in result && OF_THIS_TRY.has(result.error.code) ? UNKNOWN : result
}
