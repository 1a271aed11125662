import type { VideoId } from '../../protocol/comment.js'
import { LiveError } from '../../protocol/errors.js'
import { MAX_CURSOR, type CommentId, type Cursor } from '../../protocol/id.js'
import type { WireComment } from '../../protocol/wire.js'
import type { Clock } from '../../runtime/clock.js'
import type { Budget } from '../../runtime/limits/budget.js'
import type { DispatcherMetrics } from '../metrics.js'
import type { RecentComments } from '../recent-comments.js'
import { StoreUnavailableError, toWire, type Held, type Store } from '../store/store.js'
import { answerOf, pauseMs, type HookAnswer } from './hook-answer.js'
import { HookBatch, MAX_EVENTS } from './hook-batch.js'
import { signed, type HookSecret } from './signature.js'

/** The site's web hook, as a dispatcher reaches it. */
export interface Hook {
  /** Sends a body; the status of its answer. Rejects where there is none in time. */
  readonly post: (body: string, headers: Readonly<Record<string, string>>, timeoutMs: number) => Promise<number>
  readonly secrets: readonly HookSecret[]
  /** Called when calls begin to fail, with the reason, and when they succeed again. */
  readonly onTrouble: (reason: string | undefined) => void
}

export interface HooksDeps extends Hook {
  /** One that was opened for a hook. */
  readonly store: Store
  readonly clock: Clock
  /** 0 ≤ x < 1 */
  readonly random: () => number
  readonly metrics: DispatcherMetrics
  /** Bounds the reads of the store. */
  readonly reads: Budget
  readonly recent: (videoId: VideoId) => RecentComments | undefined
  /** Whether we own the video: its owner alone sends. */
  readonly isOurs: (videoId: VideoId) => boolean
  readonly onBug: (error: unknown) => void
}

const TIMEOUT_MS = 10_000
/** What was taken is noted together: a dispatcher that dies sends so much once more. */
const NOTE_MS = 1_000
/** Videos with something that no message led us to are found by then. */
const SCAN_MS = 30_000
const NEW_OWNER_SCAN_MS = 500
const STORE_PAUSE_MS = 1_000
/** Videos that wait. What is beyond is found again. */
const MAX_DUE = 10_000
/** Videos whose place is remembered; of others it is read from the store. */
const MAX_CURSORS = 10_000
/** Whose turn it is at the store: the hook's. */
const HOOK = ['hook']

/** A video that has something for the receiver. What comes meanwhile replaces the object, so that nobody takes the video for done. */
interface Due {
  /** Only the store can say what. */
  readonly lookUp: boolean
}

/** What a batch has of a video. */
interface Part {
  readonly videoId: VideoId
  readonly due: Due
  readonly isAll: boolean
}

/** Sends the site's web hook all that is stored of our videos, in order per video and at least once: the place from which it goes on
 * moves when the receiver has taken what is below, and stands in the store. One call is under way at a time, and is made up anew for
 * each try, so that a receiver that hangs or is away costs neither memory nor any post's time. A new owner goes on from the place in
 * the store; while two dispatchers both believe they own a video, the receiver gets some of it twice. */
export class Hooks {
  readonly #deps: HooksDeps
  /** In turn. */
  readonly #due = new Map<VideoId, Due>()
  /** All up to here was taken. Least recently used first. */
  readonly #cursors = new Map<VideoId, Cursor>()
  /** Taken, and not noted yet. */
  #taken = new Map<VideoId, CommentId>()
  #generation: string | undefined
  #running: Promise<void> | undefined
  #failures = 0
  /** Of what is being sent, Unix ms. */
  #oldestAt: number | undefined
  /** There were more videos than may wait. */
  #isCut = false
  #isScanning = false
  #isTroubled = false
  #isClosed = false
  #endPause = (): void => {}
  #cancelTick: () => void
  #cancelScan: (() => void) | undefined
  #cancelNote: (() => void) | undefined

  constructor(deps: HooksDeps) {
    this.#deps = deps
    this.#generation = deps.store.generation
    deps.metrics.hookOldest(() => (this.#oldestAt === undefined ? 0 : Math.max(0, deps.clock.wall() - this.#oldestAt) / 1000))
    const tick = () => {
      void this.#scan()
      this.#cancelTick = deps.clock.tick(SCAN_MS, tick)
    }
    this.#cancelTick = deps.clock.tick(SCAN_MS, tick)
  }

  /** Something of the video was stored. @param lookUp only the store can say what: it is a held comment, or another dispatcher stored it */
  stored(videoId: VideoId, lookUp = false): void {
    if (this.#isClosed || !this.#deps.isOurs(videoId)) return
    const known = this.#due.get(videoId)
    if (!known && this.#due.size >= MAX_DUE) {
      this.#isCut = true
      return
    }
    this.#due.set(videoId, { lookUp: lookUp || known?.lookUp === true })
    this.#running ??= this.#run()
  }

  /** Videos may be ours that were not, and another may have sent of them meanwhile. */
  ownersChanged(): void {
    if (this.#isClosed) return
    this.#cursors.clear()
    this.#cancelScan ??= this.#deps.clock.after(NEW_OWNER_SCAN_MS, () => {
      this.#cancelScan = undefined
      void this.#scan()
    })
  }

  /** Sends nothing more, and notes what was taken. @param limitMs how long the call under way is waited for */
  async close(limitMs: number): Promise<void> {
    this.#isClosed = true
    this.#cancelTick()
    this.#cancelScan?.()
    this.#endPause()
    let cancel = (): void => {}
    const limit = new Promise<void>(resolve => (cancel = this.#deps.clock.after(limitMs, resolve)))
    await Promise.race([this.#running, limit])
    cancel()
    await this.#note([])
    this.#cancelNote?.()
  }

  async #run(): Promise<void> {
    await Promise.resolve() // what one commit has stored goes together
    try {
      while (this.#due.size > 0 && !this.#isClosed) {
        const restMs = await this.#step()
        if (restMs > 0 && !this.#isClosed) await this.#pause(restMs)
      }
    } catch (error) {
      this.#deps.onBug(error)
    }
    this.#running = undefined
    this.#oldestAt = undefined
    if (!this.#isCut || this.#isClosed) return
    this.#isCut = false
    this.ownersChanged()
  }

  /** One call. @returns how long to wait before the next, ms */
  async #step(): Promise<number> {
    const { random, metrics } = this.#deps
    this.#checkGeneration()
    const generation = this.#generation
    let made: { batch: HookBatch; parts: Part[] }
    try {
      made = await this.#gather()
    } catch (error) {
      if (!(error instanceof LiveError)) throw error
      return STORE_PAUSE_MS
    }
    const { batch, parts } = made
    if (batch.size === 0) return 0
    this.#oldestAt = batch.oldestAt
    const answer = await this.#send(batch.body)
    if (answer !== 'taken') {
      metrics.hookFailures.inc()
      return pauseMs(++this.#failures, answer, random())
    }
    this.#failures = 0
    metrics.hookEvents.inc(batch.size)
    return this.#isCurrent(generation) ? this.#took(batch, parts) : 0
  }

  /** @throws LiveError where the store cannot be read */
  async #gather(): Promise<{ batch: HookBatch; parts: Part[] }> {
    const batch = new HookBatch()
    const parts: Part[] = []
    for (const [videoId, due] of this.#due) {
      if (batch.room === 0) break
      const isAll = this.#deps.isOurs(videoId) ? await this.#gatherFrom(videoId, due, batch) : undefined
      if (isAll !== undefined) parts.push({ videoId, due, isAll })
      else if (this.#due.get(videoId) === due) this.#due.delete(videoId)
    }
    return { batch, parts }
  }

  /** @returns whether that is all; undefined where there is nothing. @throws LiveError where the store cannot be read */
  async #gatherFrom(videoId: VideoId, { lookUp }: Due, batch: HookBatch): Promise<boolean | undefined> {
    const before = batch.size
    const generation = this.#generation
    try {
      let cursor = this.#cursors.get(videoId)
      let held: readonly Held[] = []
      if (cursor === undefined || lookUp) {
        const unsent = await this.#deps.store.unsent(videoId, MAX_EVENTS)
        if (!this.#isCurrent(generation)) throw new StoreUnavailableError('a backup has taken its place')
        held = unsent.held
        if (cursor !== undefined && unsent.after !== undefined && unsent.after < cursor) this.#noteSoon(videoId, cursor)
        if (unsent.after !== undefined) cursor ??= Math.max(unsent.after, this.#taken.get(videoId) ?? 0)
        if (cursor !== undefined) this.#remember(videoId, cursor)
      }
      const { room } = batch
      const entries = cursor === undefined ? [] : await this.#entriesAfter(videoId, cursor, room)
      const isAll = batch.add(entries, held) && entries.length < room && held.length < MAX_EVENTS
      return batch.size === before && isAll ? undefined : isAll
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || error.videoId === undefined) throw error
      return undefined // it alone cannot be read: the next scan finds it again
    }
  }

  async #entriesAfter(videoId: VideoId, cursor: Cursor, limit: number): Promise<WireComment[]> {
    const { recent, reads, store } = this.#deps
    const known = recent(videoId)
    const here = known?.reaches(cursor) ? known.between(cursor, known.head).slice(0, limit) : []
    if (here.length > 0) return here
    const page = await reads.run(HOOK, () => store.page(videoId, { after: cursor, until: MAX_CURSOR, newestFirst: false, limit }))
    return page.map(toWire)
  }

  /** Signs and sends it. @returns undefined where there is no answer */
  async #send(body: string): Promise<HookAnswer | undefined> {
    const { post, secrets, clock } = this.#deps
    try {
      const status = await post(body, signed(body, secrets, clock.wall()), TIMEOUT_MS)
      const answer = answerOf(status)
      this.#tell(answer === 'taken' ? undefined : `it answered ${status}`)
      return answer
    } catch (error) {
      this.#tell(error instanceof Error ? error.message : String(error))
      return undefined
    }
  }

  /** The receiver has answered 2xx. @returns how long to wait before the next call, ms */
  async #took({ entries, held }: HookBatch, parts: readonly Part[]): Promise<number> {
    for (const [videoId, id] of entries) {
      this.#remember(videoId, id)
      this.#noteSoon(videoId, id)
    }
    const isNoted = held.length === 0 || (await this.#note(held))
    for (const { videoId, due, isAll } of parts) {
      const now = this.#due.get(videoId)
      this.#due.delete(videoId)
      if (now && (!isAll || now !== due)) this.#due.set(videoId, now)
    }
    return isNoted ? 0 : STORE_PAUSE_MS
  }

  #remember(videoId: VideoId, cursor: Cursor): void {
    this.#cursors.delete(videoId)
    this.#cursors.set(videoId, cursor)
    if (this.#cursors.size > MAX_CURSORS) this.#cursors.delete(this.#cursors.keys().next().value!)
  }

  #noteSoon(videoId: VideoId, id: CommentId): void {
    this.#taken.set(videoId, Math.max(id, this.#taken.get(videoId) ?? 0))
    this.#cancelNote ??= this.#deps.clock.after(NOTE_MS, () => {
      this.#cancelNote = undefined
      void this.#note([])
    })
  }

  /** Entries that cannot be noted now are noted with what comes next; held comments are sent once more.
   * @returns whether they are noted */
  async #note(held: readonly Held[]): Promise<boolean> {
    this.#checkGeneration()
    const entries = this.#taken
    if (entries.size === 0 && held.length === 0) return true
    this.#taken = new Map()
    try {
      await this.#deps.store.noteTaken({ entries, held })
      return true
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) this.#deps.onBug(error)
      else if (!this.#isClosed) for (const [videoId, id] of entries) this.#noteSoon(videoId, id)
      return false
    }
  }

  async #scan(): Promise<void> {
    if (this.#isScanning) return
    this.#isScanning = true
    try {
      let after: string | undefined
      do {
        const found = await this.#deps.store.unsentVideos(after, this.#deps.isOurs)
        for (const videoId of found.videoIds) this.stored(videoId, true)
        after = found.after
      } while (after !== undefined && this.#due.size < MAX_DUE && !this.#isClosed)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) this.#deps.onBug(error)
    }
    this.#isScanning = false
  }

  /** A backup may know less than we do, of comments as of what was taken. */
  #checkGeneration(): void {
    const { generation } = this.#deps.store
    if (generation === this.#generation) return
    this.#generation = generation
    this.#cursors.clear()
    this.#taken.clear()
  }

  /** Whether what was read of that generation still holds. */
  #isCurrent(generation: string | undefined): boolean {
    return generation === this.#generation && generation === this.#deps.store.generation
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>(resolve => {
      const cancel = this.#deps.clock.after(ms, resolve)
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
  }

  #tell(reason: string | undefined): void {
    const isTroubled = reason !== undefined
    if (isTroubled !== this.#isTroubled) this.#deps.onTrouble(reason)
    this.#isTroubled = isTroubled
  }
}
