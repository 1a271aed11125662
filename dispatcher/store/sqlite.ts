import { Worker } from 'node:worker_threads'
import type { Comment, Draft, VideoId } from '../../protocol/comment.js'
import type { Cursor } from '../../protocol/id.js'
import { StoreUnavailableError, type Outcome, type Range, type Store, type Stored, type Timed } from './store.js'
import { threadsNow, type LastIds, type Operation, type WorkerReply, type WorkerSettings } from './worker-call.js'

export interface SqliteOptions {
  /** How long a call tries to get past another process's lock before it is unavailable; 1 s by default: below what a gateway waits. */
  readonly deadlineMs?: number
  /** Told when calls begin to fail for the store's sake, with the reason, and when they succeed again. */
  readonly onTrouble?: (reason: string | undefined) => void
  /** Told of each call that failed for one video alone, with the reason: a code. */
  readonly onDamage?: (videoId: VideoId, reason: string) => void
}

/** The embedded store: one file that the dispatchers of one machine share. Writes and reads have a thread each,
 * so that a page or a comparison does not wait for a commit's fsync. */
export class SqliteStore implements Store {
  readonly #writer: Thread
  readonly #reader: Thread
  readonly #onDamage: (videoId: VideoId, reason: string) => void

  /** Does not touch the file yet: `open` says at start whether it can be used, and each call tries anew. */
  constructor(path: string, { deadlineMs = 1_000, onTrouble = () => {}, onDamage = () => {} }: SqliteOptions = {}) {
    this.#onDamage = onDamage
    this.#writer = new Thread({ path, deadlineMs }, onTrouble)
    this.#reader = new Thread({ path, deadlineMs }, onTrouble)
  }

  /** Opens the file, makes it where it is missing.
   * @throws StoreUnavailableError when it cannot be used now: calls go on trying
   * @throws Error, its message for an operator, when a later version of this software wrote it */
  async open(): Promise<void> {
    await this.#writer.call({ kind: 'open' })
  }

  async append(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    const offset = threadsNow() - performance.now()
    const timed = drafts.map(draft => (draft.deadline === undefined ? draft : { ...draft, deadline: draft.deadline + offset }))
    const outcomes = await this.#writer.call<Outcome[]>({ kind: 'append', drafts: timed, nowMs })
    outcomes.forEach((outcome, i) => {
      if (outcome.kind === 'failed') this.#onDamage(drafts[i]!.videoId, outcome.reason)
    })
    return outcomes
  }

  madeBy(draft: Draft): Promise<Comment | undefined> {
    return this.#readOne<Comment | undefined>(draft.videoId, { kind: 'madeBy', draft })
  }

  page(videoId: VideoId, range: Range): Promise<Stored[]> {
    return this.#readOne<Stored[]>(videoId, { kind: 'page', videoId, range })
  }

  async lastIds(videoIds: readonly VideoId[]): Promise<ReadonlyMap<VideoId, Cursor>> {
    const { ids, damaged } = await this.#reader.call<LastIds>({ kind: 'lastIds', videoIds })
    for (const [videoId, reason] of damaged) this.#onDamage(videoId, reason)
    return ids
  }

  async #readOne<T>(videoId: VideoId, operation: Operation): Promise<T> {
    try {
      return await this.#reader.call<T>(operation)
    } catch (error) {
      if (!(error instanceof DamageError)) throw error
      this.#onDamage(videoId, error.message)
      throw new StoreUnavailableError(error.message, { cause: error, videoId })
    }
  }

  /** Calls under way are finished first. */
  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#reader.close()])
  }
}

/** One video cannot be read. */
class DamageError extends Error {}

interface Call {
  readonly append: boolean
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

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

  call<T>(operation: Operation): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#worker ??= this.#start()
      const n = ++this.#n
      this.#calls.set(n, { append: operation.kind === 'append', resolve: resolve as (result: unknown) => void, reject })
      this.#worker.postMessage({ n, operation })
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
    if ('result' in reply) {
      this.#tell(undefined)
      return call.resolve(reply.result)
    }
    const { kind, reason, unknown } = reply.failure
    if (kind === 'damaged') return call.reject(new DamageError(reason))
    this.#tell(reason)
    if (kind === 'unavailable') call.reject(new StoreUnavailableError(reason, { unknown }))
    else call.reject(new Error(reason))
  }

  #lost(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    if (this.#calls.size > 0) this.#tell('its thread ended')
    for (const { append, reject } of this.#calls.values()) reject(new StoreUnavailableError('its thread ended', { cause, unknown: append }))
    this.#calls.clear()
  }

  #tell(reason: string | undefined): void {
    const troubled = reason !== undefined
    if (troubled !== this.#troubled) this.#onTrouble(reason)
    this.#troubled = troubled
  }
}
