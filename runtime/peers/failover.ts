import { instanceKey, type MemberNode } from '../../protocol/nodes.js'
import type { Clock } from '../clock.js'
import { PeerError, type PeerFailure } from './peer-error.js'

/** The first back-off, doubled at each further failure. Short, since it ends with a ping, which costs no user anything. */
const FIRST_BACK_OFF_MS = 500
const MAX_BACK_OFF_MS = 8_000
/** A peer that has not answered a call by then is pinged; if the call may be hedged, the next peer is asked too. */
export const PATIENCE_MS = 250
/** A slow peer that does not answer a ping within this time is backed off from. */
export const PING_MS = 300
/** A peer in back-off has this long to answer a ping: it may be busy. */
const HALF_OPEN_PING_MS = 1_000
/** Hedged calls: at most this share of all, so that an overload does not double itself, and this many in a burst. */
const HEDGED_SHARE = 0.05
const HEDGED_AT_ONCE = 10
const MAX_TROUBLES = 1_000

/** Asks a peer for a sign of life. Resolves with undefined if this instance answered, whatever the status, otherwise with
 * the failure. Never rejects. */
export type Ping = (peer: MemberNode, timeoutMs: number) => Promise<PeerFailure | undefined>

/** One try at one peer. A PeerError means that the peer failed; any other error means that it answered and cannot do it.
 * After either the next peer is asked.
 * @param timeoutMs limit of this try
 * @param first false if another peer was tried before, which may still be working on it */
export type Attempt<T> = (peer: MemberNode, timeoutMs: number, first: boolean) => Promise<T>

export interface AskOptions {
  /** Monotonic ms by which the call ends. */
  readonly deadline: number
  /** Limit for one peer, ms. */
  readonly tryMs: number
  /** Whether the call may be done twice: if a peer takes long, the next is asked too. */
  readonly hedged?: boolean
}

export interface FailoverOptions {
  readonly clock: Clock
  /** 0 ≤ x < 1 */
  readonly random: () => number
  readonly ping: Ping
  /** Whether the registry still shows this instance; otherwise it is forgotten. */
  readonly known: (peer: MemberNode) => boolean
  /** Called when nothing listens at the peer's address, or another instance does. */
  readonly onRefused: (peer: MemberNode) => void
  /** Called when a back-off has ended. */
  readonly onUsable?: () => void
}

interface Trouble {
  /** Failures since its last answer to a call. A ping does not reset them: a peer may answer pings and nothing else. */
  failures: number
  /** Ends the wait for the next ping. */
  cancel: (() => void) | undefined
  backedOff: boolean
}

/** A try under way. */
interface Try {
  readonly peer: MemberNode
  /** Monotonic ms */
  readonly since: number
  /** It has taken PATIENCE_MS. */
  readonly onSlow: () => void
  /** A back-off from the peer begins. */
  readonly overtake: () => void
  previous: Try | undefined
  next: Try | undefined
}

/** Tries under way, oldest first. A linked list: a Set through which thousands a second pass leaves the garbage collector a
 * chain of former tables, each of which refers to the next. */
class Tries {
  #first: Try | undefined
  #last: Try | undefined
  /** The oldest that is not slow yet. */
  fresh: Try | undefined

  add(each: Try): void {
    each.previous = this.#last
    if (this.#last) this.#last.next = each
    else this.#first = each
    this.#last = each
    this.fresh ??= each
  }

  delete(each: Try): void {
    const { previous, next } = each
    if (this.fresh === each) this.fresh = next
    if (previous) previous.next = next
    else this.#first = next
    if (next) next.previous = previous
    else this.#last = previous
    each.previous = each.next = undefined
  }

  /** @returns those at a peer */
  at(key: string): Try[] {
    const found: Try[] = []
    for (let each = this.#first; each; each = each.next) if (instanceKey(each.peer) === key) found.push(each)
    return found
  }
}

/** Chooses the peer for every call between the parts. Candidates come in an order (the owner first). A peer that fails is
 * backed off from: it is asked after all others, but still asked, since this process may be wrong about it. Whether it is
 * well again is found out by pings, never by a user's call (a circuit breaker whose half-open state is a ping; Nygard,
 * Release It!, 2007); where no other peer was left and it answered, that ends the back-off too. Hedging follows Dean and Barroso, The Tail at Scale, 2013. */
export class Failover {
  readonly #options: FailoverOptions
  /** By id and instance: a restarted peer starts without failures. */
  readonly #troubles = new Map<string, Trouble>()
  readonly #tries = new Tries()
  /** Ends the wait until the oldest fresh try gets slow: one timer for all of them. */
  #cancelSweep: (() => void) | undefined
  readonly #pinging = new Set<string>()
  #backedOff = 0
  /** Hedged calls that are allowed now. */
  #hedges = HEDGED_AT_ONCE
  #closed = false

  constructor(options: FailoverOptions) {
    this.#options = options
  }

  /** Number of peers in back-off. */
  get backedOffCount(): number {
    return this.#backedOff
  }

  isBackedOff(peer: MemberNode): boolean {
    return this.#backedOff > 0 && this.#troubles.get(instanceKey(peer))?.backedOff === true
  }

  /** The same peers, with those in back-off last. */
  order<P extends MemberNode>(peers: readonly P[]): readonly P[] {
    if (this.#backedOff === 0) return peers
    return [...peers.filter(peer => !this.isBackedOff(peer)), ...peers.filter(peer => this.isBackedOff(peer))]
  }

  /** The peer answered a call. */
  answered(peer: MemberNode): void {
    if (this.#troubles.size === 0) return
    const key = instanceKey(peer)
    const trouble = this.#troubles.get(key)
    if (!trouble) return
    this.#troubles.delete(key)
    if (!trouble.backedOff) return
    this.#end(trouble)
    this.#options.onUsable?.()
  }

  /** A call failed. A local failure says nothing about the peer; an error status counts only from 500 on. */
  failed(peer: MemberNode, error: unknown): void {
    if (!(error instanceof PeerError) || error.failure === 'local') return
    if (error.failure === 'status' && (error.status ?? 500) < 500) return this.answered(peer)
    this.backOff(peer, error.failure)
  }

  /** Begins a back-off: neither calls nor pings get through to the peer. */
  backOff(peer: MemberNode, failure: PeerFailure): void {
    const { clock, random, onRefused } = this.#options
    if (failure === 'refused') onRefused(peer)
    const key = instanceKey(peer)
    const trouble = this.#troubles.get(key) ?? { failures: 0, cancel: undefined, backedOff: false }
    if (trouble.backedOff || this.#closed) return // many calls may fail for one reason
    this.#troubles.set(key, trouble)
    this.#forgetOld()
    trouble.backedOff = true
    this.#backedOff++
    const waitMs = Math.min(MAX_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** trouble.failures++) * (0.75 + random() / 2)
    trouble.cancel = clock.after(waitMs, () => void this.#halfOpen(peer, trouble))
    for (const { overtake } of this.#tries.at(key)) overtake()
  }

  /** Asks one peer after the other until one has an answer; the error is the last peer's.
   * @throws PeerError `timeout` at the deadline, what the last peer's attempt threw, or PeerError `local` without a peer */
  ask<T>(peers: readonly MemberNode[], attempt: Attempt<T>, { deadline, tryMs, hedged = false }: AskOptions): Promise<T> {
    const { clock } = this.#options
    const order = this.order(peers)
    this.#hedges = Math.min(HEDGED_AT_ONCE, this.#hedges + HEDGED_SHARE)
    return new Promise((resolve, reject) => {
      let tried = 0
      let running = 0
      let over = false
      let failure: Error | undefined
      let cancelDeadline: (() => void) | undefined
      const end = () => {
        over = true
        cancelDeadline?.()
      }
      const watchDeadline = () => {
        cancelDeadline ??= clock.after(Math.max(0, deadline - clock.now()), () => {
          end()
          reject(new PeerError('timeout', 'no answer before the deadline', { cause: failure }))
        })
      }
      const next = () => {
        const peer = order[tried]
        const since = clock.now()
        const leftMs = deadline - since
        if (peer === undefined || leftMs <= 0) {
          if (running > 0) return
          end()
          return reject(failure ?? new PeerError('local', 'no peer is known'))
        }
        const first = tried++ === 0
        running++
        // Most calls end before the first try gets slow, and need no timer of their own.
        if (!first || leftMs <= PATIENCE_MS) watchDeadline()
        let overtaken = false
        const overtake = () => {
          if (over || overtaken) return
          overtaken = true
          next()
        }
        const onSlow = () => {
          if (!over) watchDeadline()
          this.#suspect(peer)
          if (!hedged || order[tried] === undefined || this.#hedges < 1 || overtaken) return
          this.#hedges--
          overtake()
        }
        const each: Try = { peer, since, onSlow, overtake, previous: undefined, next: undefined }
        this.#begun(each)
        attempt(peer, Math.min(leftMs, tryMs), first).then(
          answer => {
            this.#ended(each)
            running--
            this.answered(peer)
            if (over) return
            end()
            resolve(answer)
          },
          (error: unknown) => {
            this.#ended(each)
            running--
            if (error instanceof PeerError) this.failed(peer, error)
            else this.answered(peer)
            failure = error instanceof Error ? error : new Error(String(error))
            if (overtaken && running === 0 && !over) next()
            overtake()
          },
        )
      }
      next()
    })
  }

  close(): void {
    this.#closed = true
    for (const { cancel } of this.#troubles.values()) cancel?.()
    this.#troubles.clear()
    this.#backedOff = 0
  }

  #begun(each: Try): void {
    this.#tries.add(each)
    this.#cancelSweep ??= this.#options.clock.after(PATIENCE_MS, this.#sweep)
  }

  #ended(each: Try): void {
    this.#tries.delete(each)
    if (this.#tries.fresh) return
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
  }

  readonly #sweep = (): void => {
    const { clock } = this.#options
    for (let each = this.#tries.fresh; each; each = this.#tries.fresh) {
      const leftMs = each.since + PATIENCE_MS - clock.now()
      if (leftMs > 0) {
        this.#cancelSweep = clock.after(leftMs, this.#sweep)
        return
      }
      this.#tries.fresh = each.next
      each.onSlow()
    }
    this.#cancelSweep = undefined
  }

  /** A call takes long: a ping shows whether the peer is busy or dead. */
  #suspect(peer: MemberNode): void {
    const key = instanceKey(peer)
    if (this.isBackedOff(peer) || this.#pinging.has(key)) return
    this.#pinging.add(key)
    void this.#options.ping(peer, PING_MS).then(failure => {
      this.#pinging.delete(key)
      if (failure !== undefined && failure !== 'local') this.backOff(peer, failure)
    })
  }

  async #halfOpen(peer: MemberNode, trouble: Trouble): Promise<void> {
    const failure = await this.#options.ping(peer, HALF_OPEN_PING_MS)
    if (this.#closed || this.#troubles.get(instanceKey(peer)) !== trouble || !trouble.backedOff) return
    this.#end(trouble)
    if (failure === undefined) this.#options.onUsable?.()
    else if (this.#options.known(peer)) this.backOff(peer, failure)
    else this.#troubles.delete(instanceKey(peer))
  }

  #end(trouble: Trouble): void {
    trouble.cancel?.()
    trouble.backedOff = false
    this.#backedOff--
  }

  /** Drops old peers that have not been called since their last failure. */
  #forgetOld(): void {
    for (const [key, { backedOff }] of this.#troubles) {
      if (this.#troubles.size <= MAX_TROUBLES) return
      if (!backedOff) this.#troubles.delete(key)
    }
  }
}
