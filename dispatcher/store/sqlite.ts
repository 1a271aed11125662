import { Worker } from 'node:worker_threads'
import type { Comment, VideoId } from '../../protocol/comment.js'
import type { HeldComment, HeldId } from '../../protocol/held.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import { tokenOf, type StoreFile } from './store-file.js'
import { StoreUnavailableError, type Found, type Held, type Outcome, type Range, type Store, type Stored, type StoredState, type Taken, type Timed, type Unsent, type UnsentVideos } from './store.js'
import { threadsNow, type Appended, type CommentOperation, type OfEach, type Operation, type WorkerReply, type WorkerSettings } from './worker-call.js'

export interface SqliteOptions {
  /** How long a call tries to get past another process's lock before it is unavailable; 1 s by default: below what a gateway waits. */
  readonly deadlineMs?: number
  /** Comments are read and written only once a file was accepted, and no file is made unless told to. False by default:
   * whatever is at the path is the store. */
  readonly mustBeAccepted?: boolean
  /** What is stored is to be sent to a web hook. False by default. */
  readonly isHooked?: boolean
  /** Optional hook: called with the reason when calls begin to fail because of the store, and with undefined when they succeed again. */
  readonly onTrouble?: (reason: string | undefined) => void
  /** Optional hook: called after each write, with the reason if it failed and undefined if it succeeded. A lock of another process does
   * not count as a failure. */
  readonly onWrite?: (reason: string | undefined) => void
  /** Optional hook: called for each call that failed for one video alone. @param reason a code */
  readonly onDamage?: (videoId: VideoId, reason: string) => void
}

/** Which file the comments are in: any, the one that was accepted, or none, for a reason. */
type Accepted = 'any' | StoreFile | { readonly refused: string }

/** Another process holds a lock: it is as much in the way of everybody else. */
const LOCKED = /^SQLITE_(BUSY|LOCKED|PROTOCOL)/

/** The embedded store: one file that the dispatchers of one machine share. Writes and reads have a thread each,
 * so that a page or a comparison does not wait for a commit's fsync. */
export class SqliteStore implements Store {
  readonly path: string
  readonly #options: SqliteOptions
  readonly #writer: Thread
  readonly #reader: Thread
  /** Under way. */
  #check: Promise<string> | undefined
  #accepted: Accepted
  #stored = 0

  /** Does not touch the file yet: `open` says at start whether it can be used, and each call tries anew. */
  constructor(path: string, options: SqliteOptions = {}) {
    const { deadlineMs = 1_000, mustBeAccepted = false, isHooked = false, onTrouble = () => {} } = options
    this.path = path
    this.#options = options
    this.#accepted = mustBeAccepted ? { refused: 'not accepted yet' } : 'any'
    const settings = { path, deadlineMs, mayCreate: !mustBeAccepted, isHooked }
    this.#writer = new Thread(settings, onTrouble)
    this.#reader = new Thread(settings, onTrouble)
  }

  /** Of the file that was accepted. */
  get generation(): string | undefined {
    return this.#accepted !== 'any' && 'id' in this.#accepted ? this.#accepted.generation : undefined
  }

  /** Opens the file, makes it where it is missing.
   * @throws StoreUnavailableError when it cannot be used now: calls go on trying
   * @throws Error, its message for an operator, when a later version of this software wrote it */
  async open(): Promise<void> {
    await this.#writer.call({ kind: 'open' })
  }

  /** How many keys the accepted file has made, as far as we have seen. */
  get stored(): number {
    return this.#stored
  }

  /** From now on this file is the store; whatever else comes to its path is not. */
  accept(file: StoreFile): void {
    this.#accepted = file
    this.#stored = file.stored
  }

  /** Until a file is accepted nothing is read and nothing written. @param reason for whoever asks: a poster, too */
  refuse(reason: string): void {
    this.#accepted = { refused: reason }
  }

  /** What the file at the path says of itself. @throws StoreUnavailableError, its `reason` FILE_MISSING where there is none */
  async look(): Promise<StoreFile> {
    const [written, read] = await Promise.all([this.#writer.call<StoreFile>({ kind: 'look' }), this.#reader.call<StoreFile>({ kind: 'look' })])
    // One of the two has just opened what came to the path; the other one will at its next call.
    if (tokenOf(written) !== tokenOf(read)) throw new StoreUnavailableError('FILE_MOVED')
    return read
  }

  /** Notes in the file that it was accepted where it is now. @throws StoreUnavailableError */
  async noteAccepted(): Promise<void> {
    await this.#write({ kind: 'accept' })
  }

  /** Gives the file a new generation. @throws StoreUnavailableError */
  async renew(): Promise<void> {
    await this.#write({ kind: 'renew' })
  }

  /** Makes the file where it is missing. @throws StoreUnavailableError */
  async create(): Promise<void> {
    await this.#write({ kind: 'create' })
  }

  /** Writes something. @throws StoreUnavailableError when nothing can be written */
  async probe(): Promise<void> {
    await this.#write({ kind: 'probe' })
  }

  /** 'ok', or the first damage that SQLite finds in the file; undefined when it is not through after `limitMs`. One at a
   * time: where one is under way, that one is waited for. @throws StoreUnavailableError */
  async check(limitMs: number): Promise<string | undefined> {
    this.#check ??= this.#runCheck().finally(() => (this.#check = undefined))
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise<undefined>(resolve => (timer = setTimeout(() => resolve(undefined), limitMs)))
    return Promise.race([this.#check, limit]).finally(() => clearTimeout(timer))
  }

  async append(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    const offset = threadsNow() - performance.now()
    const timed = drafts.map(draft => (draft.deadline === undefined ? draft : { ...draft, deadline: draft.deadline + offset }))
    const { outcomes, stored } = await this.#write<Appended>({ kind: 'append', drafts: timed, nowMs })
    this.#stored = Math.max(this.#stored, stored)
    outcomes.forEach((outcome, i) => {
      if (outcome.kind === 'failed') this.#options.onDamage?.(drafts[i]!.videoId, outcome.reason)
    })
    return outcomes
  }

  madeBy(draft: Timed): Promise<Comment | undefined> {
    return this.#readOne<Comment | undefined>(draft.videoId, { kind: 'madeBy', draft })
  }

  page(videoId: VideoId, range: Range): Promise<Stored[]> {
    return this.#readOne<Stored[]>(videoId, { kind: 'page', videoId, range })
  }

  lastIds(videoIds: readonly VideoId[]): Promise<ReadonlyMap<VideoId, Cursor>> {
    return this.#readEach<Cursor>({ kind: 'lastIds', videoIds })
  }

  state(videoIds: readonly VideoId[], nowMs: number): Promise<ReadonlyMap<VideoId, StoredState>> {
    return this.#readEach<StoredState>({ kind: 'state', videoIds, nowMs })
  }

  /** The content went with the act; this takes it out of the log. */
  async erase(_: VideoId, __: CommentId): Promise<void> {
    await this.#writer.call({ kind: 'truncateLog' }, this.#file())
  }

  lastPostedAt(videoId: VideoId, authorId: string): Promise<number | undefined> {
    return this.#readOne<number | undefined>(videoId, { kind: 'lastPostedAt', videoId, authorId })
  }

  async commentsBy(authorId: string, after: string | undefined): Promise<Found> {
    return this.#reader.call<Found>({ kind: 'commentsBy', authorId, after }, this.#file())
  }

  heldIn(videoId: VideoId, limit: number): Promise<HeldComment[]> {
    return this.#readOne<HeldComment[]>(videoId, { kind: 'heldIn', videoId, limit })
  }

  held(videoId: VideoId, id: HeldId): Promise<Held | undefined> {
    return this.#readOne<Held | undefined>(videoId, { kind: 'held', videoId, id })
  }

  async refuseHeld(videoId: VideoId, id: HeldId, reason: string | undefined, nowMs: number): Promise<Held | undefined> {
    return this.#writer.call<Held | undefined>({ kind: 'refuseHeld', videoId, id, reason, nowMs }, this.#file())
  }

  async eraseHeld(authorId: string): Promise<number> {
    const erased = await this.#writer.call<number>({ kind: 'eraseHeld', authorId }, this.#file())
    await this.#writer.call({ kind: 'truncateLog' }, this.#file())
    return erased
  }

  unsent(videoId: VideoId, limit: number): Promise<Unsent> {
    return this.#readOne<Unsent>(videoId, { kind: 'unsent', videoId, limit })
  }

  async unsentVideos(after: string | undefined): Promise<UnsentVideos> {
    return this.#reader.call<UnsentVideos>({ kind: 'unsentVideos', after }, this.#file())
  }

  async noteTaken(taken: Taken): Promise<void> {
    await this.#writer.call({ kind: 'noteTaken', taken }, this.#file())
  }

  /** Calls under way are finished first. */
  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#reader.close()])
  }

  /** In a thread of its own, so that nobody's page waits for it. */
  async #runCheck(): Promise<string> {
    const { deadlineMs = 1_000 } = this.#options
    const thread = new Thread({ path: this.path, deadlineMs, mayCreate: false, isHooked: false }, () => {})
    try {
      return await thread.call<string>({ kind: 'check' })
    } finally {
      void thread.close()
    }
  }

  async #write<T>(operation: Operation): Promise<T> {
    const isOfComments = operation.kind === 'append'
    const file = isOfComments ? this.#file() : undefined
    const tell = isOfComments || operation.kind === 'probe' ? this.#options.onWrite : undefined
    try {
      const result = await this.#writer.call<T>(operation, file)
      tell?.(undefined)
      return result
    } catch (error) {
      if (error instanceof StoreUnavailableError && !LOCKED.test(error.reason)) tell?.(error.reason)
      throw error
    }
  }

  async #readEach<T>(operation: CommentOperation): Promise<ReadonlyMap<VideoId, T>> {
    const { found, damaged } = await this.#reader.call<OfEach<T>>(operation, this.#file())
    for (const [videoId, reason] of damaged) this.#options.onDamage?.(videoId, reason)
    return found
  }

  async #readOne<T>(videoId: VideoId, operation: CommentOperation): Promise<T> {
    try {
      return await this.#reader.call<T>(operation, this.#file())
    } catch (error) {
      if (!(error instanceof DamageError)) throw error
      this.#options.onDamage?.(videoId, error.message)
      throw new StoreUnavailableError(error.message, { cause: error, videoId })
    }
  }

  /** The token of the file that a call of comments is for. @throws StoreUnavailableError where there is none */
  #file(): string | undefined {
    if (this.#accepted === 'any') return undefined
    if ('refused' in this.#accepted) throw new StoreUnavailableError(this.#accepted.refused)
    return tokenOf(this.#accepted)
  }
}

/** One video cannot be read. */
class DamageError extends Error {}

interface Call {
  readonly operation: Operation
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** Calls whose success or failure says how the store is. */
const TELLING: ReadonlySet<Operation['kind']> = new Set(['open', 'append', 'madeBy', 'page', 'lastIds', 'state', 'probe'])

/** A worker and the calls it owes an answer. One that dies is started again by the next call. */
class Thread {
  readonly #settings: WorkerSettings
  readonly #onTrouble: (reason: string | undefined) => void
  readonly #calls = new Map<number, Call>()
  /** The last answer was a failure. */
  #troubled = false
  #worker: Worker | undefined
  #n = 0

  constructor(settings: WorkerSettings, onTrouble: (reason: string | undefined) => void) {
    this.#settings = settings
    this.#onTrouble = onTrouble
  }

  /** @param file the token of the file that it is for; undefined: any */
  call<T>(operation: Operation, file?: string): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#worker ??= this.#start()
      const n = ++this.#n
      this.#calls.set(n, { operation, resolve: resolve as (result: unknown) => void, reject })
      this.#worker.postMessage({ n, operation, file })
    })
  }

  async close(): Promise<void> {
    const worker = this.#worker
    if (!worker) return
    const exited = new Promise(resolve => worker.once('exit', resolve))
    await this.call({ kind: 'close' })
    await exited
  }

  #start(): Worker {
    // The process's own flags, such as what a profiler or a test runner loads first, are not for its threads.
    const worker = new Worker(new URL('./sqlite-worker.js', import.meta.url), { workerData: this.#settings, execArgv: [] })
    worker.on('message', (reply: WorkerReply) => this.#answer(reply))
    worker.on('error', error => this.#lost(worker, error))
    worker.on('exit', () => this.#lost(worker, undefined))
    return worker
  }

  #answer(reply: WorkerReply): void {
    const call = this.#calls.get(reply.n)
    if (!call) return
    this.#calls.delete(reply.n)
    const isTelling = TELLING.has(call.operation.kind)
    if ('result' in reply) {
      if (isTelling) this.#tell(undefined)
      return call.resolve(reply.result)
    }
    const { kind, reason, unknown } = reply.failure
    if (kind === 'damaged') return call.reject(new DamageError(reason))
    if (isTelling && reason !== 'FILE_MISSING') this.#tell(reason) // before the first start there is none: whether it should be there is not ours to say
    if (kind === 'unavailable') call.reject(new StoreUnavailableError(reason, { unknown }))
    else call.reject(new Error(reason))
  }

  #lost(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    if (this.#calls.size > 0) this.#tell('its thread ended')
    for (const { operation, reject } of this.#calls.values()) reject(new StoreUnavailableError('its thread ended', { cause, unknown: operation.kind === 'append' }))
    this.#calls.clear()
  }

  #tell(reason: string | undefined): void {
    const troubled = reason !== undefined
    if (troubled !== this.#troubled) this.#onTrouble(reason)
    this.#troubled = troubled
  }
}
