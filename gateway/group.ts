import type { VideoId } from '../protocol/comment.js'
import type { Cursor } from '../protocol/id.js'
import { inOne, type Encoded } from '../protocol/link.js'
import type { Clock } from '../runtime/clock.js'
import type { Pacer } from '../runtime/fan-out/pacer.js'
import { Rounds } from '../runtime/fan-out/rounds.js'
import type { Join, JoinedGroup } from './join.js'
import type { KeptFlushes, Keeper } from './kept-flushes.js'
import type { Member, Source } from './member.js'

/** What a member that lags is written at a time. */
const PIECE_BYTES = 64 * 1024

/** One flush of the edge's room: all comments in (from, to]. */
export interface GroupFlush {
  readonly epoch: number
  readonly from: Cursor
  readonly to: Cursor
  readonly events: Encoded
}

/** What members that stand at one place are written next. */
interface Step {
  readonly next: number
  readonly cursor: Cursor
  readonly epoch: number
  /** Undefined where they have all of it already. */
  readonly events: Encoded | undefined
  /** Where they stand after it. */
  readonly nextAfter: number
  readonly cursorAfter: Cursor
  readonly epochAfter: number
}

export interface GroupOptions {
  readonly number: number
  readonly videoId: VideoId
  readonly gzip: boolean
  readonly clock: Clock
  readonly pacer: Pacer
  readonly kept: KeptFlushes
  /** The member lacks what is no longer kept, or never came by this group: it has left, and has to join again. */
  readonly behind: (member: Member) => void
  /** A round of writes is over. @param intervalMs from its start to that of the next */
  readonly written: (intervalMs: number) => void
  /** How many members there are has changed. */
  readonly changed: (group: Group) => void
}

/** A gateway's viewers of one video, in one encoding, that are on the same edge and up to date. The edge sends a flush to all of
 * them at once, and each is looked at by itself: one that stands where the flush begins is written it. Nothing depends on edge and
 * gateway counting alike (rule 11). */
export class Group implements Source, Keeper, JoinedGroup {
  readonly number: number
  readonly videoId: VideoId
  readonly gzip: boolean
  readonly members = new Set<Member>()
  /** Of those that are to become members. */
  readonly joins = new Set<Join>()
  readonly #o: GroupOptions
  readonly #rounds: Rounds<Member>
  /** The newest flushes, for members that are still to be written them. */
  #flushes: GroupFlush[] = []
  /** The number of the first of them. */
  #first = 0
  /** Of members that stand at the same place, what they are written is made once. */
  #steps: Step[] = []
  #stepsEnd = 0
  /** A flush has come since the last round began. */
  #moved = false

  constructor(options: GroupOptions) {
    this.#o = options
    this.number = options.number
    this.videoId = options.videoId
    this.gzip = options.gzip
    this.#rounds = new Rounds<Member>({
      clock: options.clock,
      pacer: options.pacer,
      begin: () => {
        this.#moved = false
        // All get the same, in the same writes: what comes meanwhile is for the next round.
        const { end } = this
        return { receivers: this.members.values(), visit: member => this.#bring(member, end), done: () => void (this.#steps = []) }
      },
      ended: (_, intervalMs) => options.written(intervalMs),
      more: () => this.#moved,
    })
  }

  /** The number of the next flush. */
  get end(): number {
    return this.#first + this.#flushes.length
  }

  /** @param next the first flush that came by the link after what brought the member to its place */
  add(member: Member, next: number): void {
    member.next = next
    member.source = this
    this.members.add(member)
    this.#o.changed(this)
    if (next < this.end) this.#schedule()
  }

  flush(flush: GroupFlush): void {
    this.#flushes.push(flush)
    this.#steps = []
    this.#o.kept.add(this, flush.events.bytes.length)
    this.#schedule()
  }

  /** Nothing comes any more, and nobody is here. */
  close(): void {
    this.#first += this.#flushes.length
    this.#flushes = []
    this.#steps = []
  }

  dropOldest(): void {
    if (this.#flushes.length === 0) return
    this.#flushes.shift()
    this.#first++
    this.#steps = []
  }

  leave(member: Member): void {
    if (this.members.delete(member)) this.#o.changed(this)
  }

  /** Writes what the member has not been written yet, as much as it takes now. */
  drained(member: Member): void {
    this.#bring(member, this.end)
  }

  /** @param end the first flush that it is not written */
  #bring(member: Member, end: number): void {
    while (!member.blocked && member.next < end) {
      const step = this.#step(member, end)
      if (!step) {
        this.leave(member)
        return this.#o.behind(member)
      }
      member.next = step.nextAfter
      member.cursor = step.cursorAfter
      member.epoch = step.epochAfter
      if (step.events && !member.pass(step.events)) return
    }
  }

  #schedule(): void {
    this.#moved = true
    this.#rounds.schedule()
  }

  /** @returns undefined where the member is behind */
  #step({ next, cursor, epoch }: Member, end: number): Step | undefined {
    if (end !== this.#stepsEnd) this.#steps = []
    this.#stepsEnd = end
    const known = this.#steps.find(step => step.next === next && step.cursor === cursor && step.epoch === epoch)
    if (known) return known
    if (next < this.#first || cursor === undefined) return undefined
    const step = this.#stepFrom(next, cursor, epoch, end)
    if (step) this.#steps.push(step)
    return step
  }

  /** Each flush is written to a member that stands at its `from`, skipped where it has been passed, and is a hole otherwise. Where
   * the room began anew at a lower place, such a flush leads there: its `to` is below its `from`, and its epoch is the next. */
  #stepFrom(next: number, cursor: Cursor, epoch: number, end: number): Step | undefined {
    const parts: Encoded[] = []
    let bytes = 0
    let number = next
    let cursorAfter = cursor
    let epochAfter = epoch
    for (; number < end && bytes < PIECE_BYTES; number++) {
      const flush = this.#flushes[number - this.#first]!
      if (flush.from === cursorAfter && epochAfter <= flush.epoch) {
        parts.push(flush.events)
        bytes += flush.events.bytes.length
        cursorAfter = flush.to
        epochAfter = flush.epoch
        continue
      }
      const passed = epochAfter > flush.epoch || (epochAfter === flush.epoch && cursorAfter >= flush.to)
      if (!passed) break
    }
    if (number === next) return undefined
    return { next, cursor, epoch, events: parts.length > 0 ? inOne(parts) : undefined, nextAfter: number, cursorAfter, epochAfter }
  }
}
