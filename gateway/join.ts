import type { Buffer } from 'node:buffer'
import type { Cursor } from '../protocol/id.js'
import type { ToGateway } from '../protocol/link.js'
import type { Clock } from '../runtime/clock.js'
import type { Job, Pacer } from '../runtime/fan-out/pacer.js'
import { LOOK_EVERY, visit as visitAll, type Visits } from '../runtime/fan-out/rounds.js'
import type { Compressor } from './compressor.js'
import { Events } from './events.js'
import type { Member, Source } from './member.js'

type Piece = Extract<ToGateway, { kind: 'piece' }>
type Ready = Extract<ToGateway, { kind: 'ready' }>

/** Where those go that are ready. */
export interface JoinedGroup {
  /** The number of the next flush. */
  readonly end: number
  add(member: Member, next: number): void
}

export interface JoinOptions {
  readonly number: number
  readonly group: JoinedGroup
  readonly clock: Clock
  readonly pacer: Pacer
  readonly compressor: Compressor
  /** Where the stream is to begin: after a place, else with the last few. */
  readonly after: Cursor | undefined
  readonly recent: number
  /** These members have been in the group before, or in another one. */
  readonly again: boolean
  /** The member was not written what came, because its connection took nothing: it has left. */
  readonly behind: (member: Member) => void
  /** All members have been written a piece, and the next may come. */
  readonly more: (join: Join) => void
  /** It has no members left: they are ready, behind, or gone. */
  readonly over: (join: Join) => void
}

/** Members that are to join a group and lack the same: the edge sends it once, in pieces, then a `ready`. Until the edge answers,
 * others that lack the same come in. */
export class Join implements Source {
  readonly number: number
  readonly after: Cursor | undefined
  readonly recent: number
  readonly again: boolean
  readonly members = new Set<Member>()
  isAnswered = false
  /** The edge is done with it. */
  isDone = false
  /** The edge waits to be asked for the next piece. */
  #owed = false
  readonly #o: JoinOptions

  constructor(options: JoinOptions) {
    this.#o = options
    this.number = options.number
    this.after = options.after
    this.recent = options.recent
    this.again = options.again
  }

  add(member: Member): void {
    member.source = this
    this.members.add(member)
  }

  drained(): void {
    if (this.#owed) this.#more()
  }

  leave(member: Member): void {
    if (this.members.delete(member) && this.members.size === 0) this.#o.over(this)
  }

  piece({ to, events }: Piece): void {
    this.#answered()
    const piece = this.#events(events)
    this.#each(member => {
      member.cursor = to
      member.pass(piece.for(member))
    }, () => {
      this.#owed = true
      for (const member of this.members) if (!member.blocked) return this.#more()
    })
  }

  ready({ at, epoch, events, ready }: Ready): void {
    const { group } = this.#o
    const next = group.end
    this.#answered()
    this.isDone = true
    const missed = events.length > 0 ? [events] : []
    const again = missed.length > 0 ? this.#events(...missed) : undefined
    const first = this.#events(...missed, ready)
    this.#each(member => {
      const passed = member.isReady ? again : first
      // Set, not maxed, and 0 too: where the cursor was not the video's, the viewer has joined below it (rule 9).
      member.cursor = at
      member.epoch = epoch
      this.members.delete(member)
      group.add(member, next)
      if (passed) member.pass(passed.for(member))
      member.ready()
    }, () => {})
  }

  /** The edge has ended it. */
  end(): void {
    this.isDone = true
    this.abandon()
  }

  /** Its members go elsewhere. */
  abandon(): void {
    this.members.clear()
    this.#o.over(this)
  }

  #events(...texts: readonly Buffer[]): Events {
    return new Events(texts, this.members.size, this.#o.compressor)
  }

  #answered(): void {
    if (this.isAnswered) return
    this.isAnswered = true
    for (const member of this.members) member.answered()
  }

  #more(): void {
    this.#owed = false
    this.#o.more(this)
  }

  /** Visits all members, at once where they are few. One whose connection takes nothing is left behind. */
  #each(visit: (member: Member) => void, done: () => void): void {
    const visits: Visits<Member> = {
      receivers: this.members.values(),
      visit: member => {
        if (member.blocked) {
          this.members.delete(member)
          this.#o.behind(member)
        } else visit(member)
      },
    }
    const job: Job = until => {
      if (!visitAll(visits, this.#o.clock, until)) return false
      if (this.members.size === 0) this.#o.over(this)
      else done()
      return true
    }
    if (this.members.size < LOOK_EVERY) job(Infinity)
    else this.#o.pacer.add(job)
  }
}
