import { Buffer } from 'node:buffer'
import type { VideoId } from '../protocol/comment.js'
import type { CommentId, Cursor } from '../protocol/id.js'
import type { MaxRate } from '../protocol/limits.js'
import type { Clock } from '../runtime/clock.js'
import type { Pacer } from '../runtime/fan-out/pacer.js'
import { Rounds } from '../runtime/fan-out/rounds.js'
import type { Compressor } from './compressor.js'
import { deletedIn, withoutComments } from './erasure.js'
import { Events } from './events.js'
import type { FanOutTrace } from './fan-out-trace.js'
import type { Join, JoinedGroup } from './join.js'
import type { KeptFlushes, Keeper } from './kept-flushes.js'
import type { Member, Source } from './member.js'
import { Thinning } from './thinning.js'

/** What a member that lags is written at a time. */
const PIECE_BYTES = 64 * 1024
/** Members who asked for fewer comments are written this often at most: what is picked is spread over more comments, and it is few
 * writes. */
const BEAT_MS = 200

/** One flush of the edge's room: all comments in (from, to]. */
export interface GroupFlush {
  readonly epoch: number
  readonly from: Cursor
  readonly to: Cursor
  /** Text. */
  readonly events: Buffer
}

/** What members that stand at one place are written next. */
interface Step {
  readonly next: number
  readonly cursor: Cursor
  readonly epoch: number
  readonly maxRate: MaxRate | undefined
  /** Undefined where they have all of it already. */
  readonly events: Events | undefined
  /** Where they stand after it. */
  readonly nextAfter: number
  readonly cursorAfter: Cursor
  readonly epochAfter: number
}

export interface GroupOptions {
  readonly number: number
  readonly videoId: VideoId
  readonly clock: Clock
  readonly pacer: Pacer
  readonly kept: KeptFlushes
  readonly compressor: Compressor
  /** The member lacks what is no longer kept, or never came by this group: it has left, and has to join again. */
  readonly behind: (member: Member) => void
  /** Where comments are traced. */
  readonly trace?: FanOutTrace | undefined
  /** A round of writes is over. @param intervalMs from its start to that of the next */
  readonly written: (intervalMs: number) => void
  /** How many members there are has changed. */
  readonly changed: (group: Group) => void
}

/** A gateway's viewers of one video that are on the same edge and up to date, whether they accept gzip or not. The edge sends a flush
 * to all of them at once, and each is looked at by itself: one that stands where the flush begins is written it. Nothing depends on
 * edge and gateway counting alike (rule 11). Members who asked for at most so many comments a second are written what is picked of
 * the flushes, with the rest named. */
export class Group implements Source, Keeper, JoinedGroup {
  readonly number: number
  readonly videoId: VideoId
  readonly members = new Set<Member>()
  /** Of those that are to become members. */
  readonly joins = new Set<Join>()
  readonly #o: GroupOptions
  readonly #rounds: Rounds<Member>
  /** The newest flushes, for members that are still to be written them. */
  #flushes: GroupFlush[] = []
  /** The number of the first of them. */
  #first = 0
  /** The first flush that the newest round does not write. */
  #roundEnd = 0
  /** Of members who asked for fewer comments, by how many. */
  readonly #thinnings = new Map<MaxRate, Thinning>()
  /** The first flush that the newest beat does not write to them. */
  #beatEnd = 0
  #nextBeatAt = -Infinity
  #cancelBeat: (() => void) | undefined
  /** Of members that stand at the same place, what they are written up to there is made once. */
  #steps: Step[] = []
  /** A flush has come since the last round began. */
  #moved = false

  constructor(options: GroupOptions) {
    this.#o = options
    this.number = options.number
    this.videoId = options.videoId
    this.#rounds = new Rounds<Member>({
      clock: options.clock,
      pacer: options.pacer,
      begin: () => {
        this.#moved = false
        // All get the same, in the same writes: what comes meanwhile is for the next round.
        this.#roundEnd = this.end
        this.#steps = []
        this.#beat()
        return { receivers: this.members.values(), visit: member => this.#bring(member), done: () => void (this.#steps = []) }
      },
      ended: (_, intervalMs) => {
        options.trace?.written(this.#roundEnd, this.members.size)
        options.written(intervalMs)
      },
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
    if (member.maxRate !== undefined) this.#thinning(member.maxRate).came(next)
    this.#o.changed(this)
    if (next < this.end) this.#schedule()
  }

  flush(flush: GroupFlush): void {
    this.#o.trace?.flush(this.end, flush.events)
    this.#flushes.push(flush)
    const deleted = deletedIn(flush.events)
    if (deleted.length > 0) this.#erase(deleted)
    this.#o.kept.add(this, flush.events.length)
    this.#schedule()
  }

  /** Nothing comes any more, and nobody is here. */
  close(): void {
    this.#first += this.#flushes.length
    this.#flushes = []
    this.#steps = []
    this.#cancelBeat?.()
  }

  dropOldest(): void {
    if (this.#flushes.length === 0) return
    const { to } = this.#flushes.shift()!
    this.#first++
    for (const thinning of this.#thinnings.values()) thinning.forget(to)
    // Nothing is kept of a group that has fallen silent.
    if (this.#flushes.length === 0) this.#steps = []
  }

  replace(member: Member, by: Member): void {
    by.cursor = member.cursor
    by.epoch = member.epoch
    this.add(by, member.next)
    this.leave(member)
  }

  leave(member: Member): void {
    if (!this.members.delete(member)) return
    if (member.maxRate !== undefined) this.#thinning(member.maxRate).left()
    this.#o.changed(this)
  }

  /** Writes what the rounds since have brought to the others, as much as it takes now: what is newer is for the next round, in
   * the same writes as theirs. */
  drained(member: Member): void {
    this.#bring(member)
  }

  /** No member that lags is written the text of a comment that is deleted by now. */
  #erase(deleted: readonly CommentId[]): void {
    this.#flushes = this.#flushes.map(flush => ({ ...flush, events: withoutComments(flush.events, deleted) }))
    this.#steps = []
    this.#o.compressor.forget()
  }

  #bring(member: Member): void {
    const end = member.maxRate === undefined ? this.#roundEnd : this.#beatEnd
    while (!member.blocked && member.next < end) {
      const step = this.#step(member)
      if (!step) {
        this.leave(member)
        return this.#o.behind(member)
      }
      member.next = step.nextAfter
      member.cursor = step.cursorAfter
      member.epoch = step.epochAfter
      if (step.events && !member.pass(step.events.for(member))) return
    }
  }

  /** Picks what members who asked for fewer comments are written from this round on, or has it picked once that is due. */
  #beat(): void {
    const { clock } = this.#o
    const thinnings = [...this.#thinnings.values()].filter(({ members }) => members > 0)
    if (thinnings.length === 0) return
    const now = clock.now()
    if (now < this.#nextBeatAt) {
      this.#cancelBeat ??= clock.after(this.#nextBeatAt - now, () => {
        this.#cancelBeat = undefined
        this.#schedule()
      })
      return
    }
    this.#nextBeatAt = now + BEAT_MS
    this.#beatEnd = this.#roundEnd
    for (const thinning of thinnings) thinning.pick(this.#flushes, this.#first, now)
  }

  #thinning(rate: MaxRate): Thinning {
    const known = this.#thinnings.get(rate)
    if (known) return known
    const thinning = new Thinning(rate)
    this.#thinnings.set(rate, thinning)
    return thinning
  }

  #schedule(): void {
    this.#moved = true
    this.#rounds.schedule()
  }

  /** @returns undefined where the member is behind */
  #step({ next, cursor, epoch, maxRate }: Member): Step | undefined {
    const known = this.#steps.find(step => step.next === next && step.cursor === cursor && step.epoch === epoch && step.maxRate === maxRate)
    if (known) return known
    if (next < this.#first || cursor === undefined) return undefined
    const step = this.#stepFrom(next, cursor, epoch, maxRate)
    if (step) this.#steps.push(step)
    return step
  }

  /** Each flush is written to a member that stands at its `from`, skipped where it has been passed, and is a hole otherwise. Where
   * the room began anew at a lower place, such a flush leads there: its `to` is below its `from`, and its epoch is the next. */
  #stepFrom(next: number, cursor: Cursor, epoch: number, maxRate: MaxRate | undefined): Step | undefined {
    const end = maxRate === undefined ? this.#roundEnd : this.#beatEnd
    const parts: Buffer[] = []
    let bytes = 0
    let number = next
    let cursorAfter = cursor
    let epochAfter = epoch
    for (; number < end && bytes < PIECE_BYTES; number++) {
      const flush = this.#flushes[number - this.#first]!
      if (flush.from === cursorAfter && epochAfter <= flush.epoch) {
        parts.push(flush.events)
        bytes += flush.events.length
        cursorAfter = flush.to
        epochAfter = flush.epoch
        continue
      }
      const passed = epochAfter > flush.epoch || (epochAfter === flush.epoch && cursorAfter >= flush.to)
      if (!passed) break
    }
    if (number === next) return undefined
    const events = parts.length > 0 ? this.#events(parts.length > 1 ? Buffer.concat(parts) : parts[0]!, cursor, maxRate) : undefined
    return { next, cursor, epoch, maxRate, events, nextAfter: number, cursorAfter, epochAfter }
  }

  /** @param cursor of those who are to be written them */
  #events(text: Buffer, cursor: Cursor, maxRate: MaxRate | undefined): Events {
    const { compressor } = this.#o
    if (maxRate === undefined) return new Events([text], this.members.size, compressor)
    const thinning = this.#thinning(maxRate)
    return new Events([thinning.thinned(text, cursor)], thinning.members, compressor)
  }
}
