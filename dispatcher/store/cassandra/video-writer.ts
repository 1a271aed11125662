import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Comment, VideoId } from '../../../protocol/comment.js'
import { MAX_CURSOR, nextId, type CommentId, type Cursor } from '../../../protocol/id.js'
import { blank, type Outcome, type Stored, type Timed } from '../store.js'
import { isFull, newestId } from './bucket.js'
import { CallError } from './call-error.js'
import { actsOf, advance, readBucket, readChain, type Chain, type ChainDeps } from './chain.js'
import { bytesOf, Group, IDS_EXHAUSTED, outcomeOf, type Made } from './group.js'
import type { Limits } from './limits.js'
import { parts } from './parts.js'
import { bucketsBetween } from './reader.js'
import { placeOf, storedOf } from './statements.js'
import { withErased } from './video-state.js'

export interface WriterDeps extends ChainDeps {
  /** Where a bucket is cut. */
  readonly maxBucketBytes: number
  readonly limits: Limits
  /** An entry of this video, a deleted comment as a tombstone. Rejects with CallError. */
  readonly entry: (videoId: VideoId, id: CommentId) => Promise<Stored | undefined>
  /** Called when it is certain what became of attempts whose outcome was unknown. @param lastId the video's newest id then */
  readonly onSettled: (videoId: VideoId, lastId: Cursor) => void
}

/** After an attempt that others were in the way of, at most, times the attempt's number. */
const CONTENTION_MS = 10
const PAUSE_MS = 50
/** With less time left, trying is of no use. */
const MIN_TRY_MS = 20
const SETTLE_MS = 500
const MAX_SETTLE_MS = 10_000
const SETTLE_TRIES = 60
const ERASE_TRIES = 5

/** One video's way into the store: one conditional write at a time, each for what had gathered before it. */
export class VideoWriter {
  readonly #deps: WriterDeps
  readonly #videoId: VideoId
  /** As it was after our last write: unless others write too, the next one needs no read. */
  #chain: Chain | undefined
  #tail: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #settling = false
  #closed = false

  constructor(deps: WriterDeps, videoId: VideoId) {
    this.#deps = deps
    this.#videoId = videoId
  }

  get isIdle(): boolean {
    return this.#waiting === 0 && !this.#settling
  }

  /** Each draft's outcome, in order. Never rejects for the store's sake. */
  async append(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    const until = performance.now() + this.#deps.limits.appendMs
    const work = this.#tail.then(() => this.#appendAll(drafts, nowMs, until))
    this.#waiting++
    this.#tail = work.catch(() => {}).finally(() => this.#waiting--)
    return work
  }

  /** The comment that the draft's key has made of this content. @throws CallError */
  async madeBy(draft: Timed): Promise<Comment | undefined> {
    const outcome = await this.madeOf(draft)
    return outcome?.kind === 'repeated' ? outcome.comment : undefined
  }

  /** What becomes of the draft because its key was used before. @throws CallError */
  async madeOf(draft: Timed): Promise<Outcome | undefined> {
    const timeoutMs = this.#deps.limits.statementMs
    const { last, kept } = await readChain(this.#deps, this.#videoId, timeoutMs)
    const place = placeOf(draft)
    const found = await Promise.all([last.after, ...kept.map(({ bucket }) => bucket)].map(bucket => this.#keysIn(bucket, [place], timeoutMs)))
    const made = found.find(keys => keys.has(place))?.get(place)
    return made && outcomeOf(draft, made)
  }

  /** Takes the content of a deleted comment of a sealed bucket out of it; that of the last bucket went with the act. What fails is
   * found by whoever reads what is not erased yet. @throws CallError */
  async erase(target: CommentId): Promise<void> {
    const { cql, statements, limits: { statementMs } } = this.#deps
    const videoId = this.#videoId
    for (let tries = 0; tries < ERASE_TRIES; tries++) {
      const chain = await readChain(this.#deps, videoId, statementMs)
      const acts = actsOf(chain)
      const by = acts.unerased[target]
      if (by === undefined) return
      const rows = await cql.read(statements.buckets(videoId), statementMs)
      const [bucket = 0] = bucketsBetween([...rows.map(row => row['bucket'] as Cursor), 0], target - 1, target)
      await cql.writeIf([statements.blankIfThere(videoId, bucket, target, by)], statementMs)
      const refused = await cql.writeIf([statements.setActs({ videoId, bucket: chain.last }, withErased(acts, target), randomUUID())], statementMs)
      this.#chain = undefined
      if (!refused) return
    }
    throw new CallError('others were in the way', false)
  }

  /** What is unknown stays so. */
  close(): void {
    this.#closed = true
  }

  async #appendAll(drafts: readonly Timed[], nowMs: number, until: number): Promise<Outcome[]> {
    const outcomes: Outcome[] = []
    let stopped: string | undefined
    for (const part of parts(drafts, { bytesOf, alone: ({ act }) => act !== undefined })) {
      const group = new Group(part, nowMs)
      if (stopped === undefined) stopped = await this.#commit(group, nowMs, until)
      else group.end(stopped)
      outcomes.push(...group.outcomes)
    }
    return outcomes
  }

  /** @returns why it could not be finished */
  async #commit(group: Group, nowMs: number, until: number): Promise<string | undefined> {
    const lookedAt = new Set<Cursor>()
    let reason = 'no answer in time'
    for (let tries = 1; ; tries++) {
      group.expire(performance.now())
      if (group.isDone) return undefined
      const left = until - performance.now()
      if (left <= MIN_TRY_MS) break
      try {
        await this.#try(group, nowMs, lookedAt, Math.min(this.#deps.limits.statementMs, left))
        if (!group.isDone) await sleep(CONTENTION_MS * tries * Math.random())
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        reason = error.message
        if (!group.inDoubt) break
        await sleep(Math.min(PAUSE_MS, Math.max(0, until - performance.now())))
      }
    }
    this.#chain = undefined
    if (group.inDoubt) void this.#settle()
    group.end(reason)
    return reason
  }

  /** One step towards the comments. @throws CallError; the group is in doubt if they may have been made */
  async #try(group: Group, nowMs: number, lookedAt: Set<Cursor>, timeoutMs: number): Promise<void> {
    const { cql, statements, maxBucketBytes } = this.#deps
    const videoId = this.#videoId
    const chain = (this.#chain ??= await readChain(this.#deps, videoId, timeoutMs))
    if (chain.last.next !== undefined) {
      this.#chain = await advance(this.#deps, videoId, chain, timeoutMs)
      return this.#try(group, nowMs, lookedAt, timeoutMs)
    }
    const last = newestId(chain.last)
    if (last < MAX_CURSOR && isFull(chain.last, nextId(nowMs, last), maxBucketBytes)) {
      await this.#seal(chain, timeoutMs)
      return this.#try(group, nowMs, lookedAt, timeoutMs)
    }
    const sealed = chain.kept.filter(({ bucket, until }) => !lookedAt.has(bucket) && until > performance.now()).map(({ bucket }) => bucket)
    for (const keys of await Promise.all(sealed.map(bucket => this.#keysIn(bucket, group.places, timeoutMs)))) group.found(keys)
    for (const bucket of sealed) lookedAt.add(bucket)
    if (group.isDone) return
    const pinned = group.act && (await this.#lookAtTarget(group, group.act))
    if (group.isDone) return

    const attempt = group.attempt(statements, videoId, chain, pinned)
    if (!attempt) return group.end(IDS_EXHAUSTED)
    let refused
    try {
      refused = await cql.writeIf(attempt.statements, timeoutMs)
    } catch (error) {
      // Not forgotten: to try the same once more is to find out, as only one of the two can succeed.
      if (error instanceof CallError && error.unknown) group.inDoubt = true
      throw error
    }
    if (!refused) {
      group.created(attempt.made)
      this.#chain = { ...chain, last: attempt.bucket }
      return
    }
    this.#chain = undefined
    const [keys, bucket] = await Promise.all([this.#keysIn(chain.last.after, group.places, timeoutMs, true), readBucket(this.#deps, videoId, chain.last.after, timeoutMs)])
    group.found(keys)
    group.inDoubt = false // what our attempts knew holds no longer, and what they have made is found
    this.#chain = { ...chain, last: bucket }
  }

  /** Refuses an act upon what is not there. @returns the comment that the act pins @throws CallError */
  async #lookAtTarget(group: Group, act: NonNullable<Timed['act']>): Promise<Comment | undefined> {
    if ((act.type !== 'deleted' && act.type !== 'pinned') || act.target === undefined) return undefined
    const target = await this.#deps.entry(this.#videoId, act.target)
    const isDeletion = act.type === 'deleted'
    if (target && isDeletion && target.deletedBy !== undefined) group.refuse({ kind: 'repeated', comment: blank({ ...target.comment, id: target.deletedBy }) })
    else if (!target || target.act || target.deletedBy !== undefined) group.refuse({ kind: 'missing' })
    return isDeletion ? undefined : target?.comment
  }

  /** @throws CallError; the chain is read anew then */
  async #seal(chain: Chain, timeoutMs: number): Promise<void> {
    const { cql, statements } = this.#deps
    this.#chain = undefined
    await cql.writeIf([statements.seal({ videoId: this.#videoId, bucket: chain.last })], timeoutMs)
    this.#chain = { ...chain, last: await readBucket(this.#deps, this.#videoId, chain.last.after, timeoutMs) }
  }

  /** @throws CallError */
  async #keysIn(bucket: Cursor, places: readonly string[], timeoutMs: number, serial = false): Promise<Map<string, Made>> {
    const { cql, statements } = this.#deps
    const rows = await cql.read(statements.keys(this.#videoId, bucket, places), timeoutMs, serial)
    const found = new Map<string, Made>()
    await Promise.all(
      rows.map(async row => {
        const { key, made, attempt, said } = row as { key: string; made: number; attempt: string; said: string | null }
        const [comment] = await cql.read(statements.comment(this.#videoId, bucket, made), timeoutMs, serial)
        if (!comment) throw new CallError('a key names a comment that is not there', false)
        const stored = storedOf(this.#videoId, comment)
        // Only the reader knows what a pin shows.
        found.set(key, { stored: stored.act ? ((await this.#deps.entry(this.#videoId, made)) ?? stored) : stored, attempt, said: said ?? undefined })
      }),
    )
    return found
  }

  /** Fences what was attempted: either it has been done by then, or it never will be. */
  async #settle(): Promise<void> {
    if (this.#settling) return
    this.#settling = true
    const { cql, statements, onSettled, limits: { statementMs } } = this.#deps
    for (let tries = 0; tries < SETTLE_TRIES; tries++) {
      await sleep(Math.min(MAX_SETTLE_MS, SETTLE_MS * 2 ** tries), undefined, { ref: false })
      if (this.#closed) break
      try {
        const { last } = await readChain(this.#deps, this.#videoId, statementMs)
        await cql.writeIf([statements.fence({ videoId: this.#videoId, bucket: last }, randomUUID())], statementMs)
        this.#chain = undefined
        const settled = await readChain(this.#deps, this.#videoId, statementMs)
        onSettled(this.#videoId, newestId(settled.last))
        break
      } catch (error) {
        if (!(error instanceof CallError)) throw error
      }
    }
    this.#settling = false
  }
}
