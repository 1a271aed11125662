import { randomUUID } from 'node:crypto'
import type { Comment, VideoId } from '../../../protocol/comment.js'
import type { HeldComment, HeldId } from '../../../protocol/held.js'
import type { CommentId, Cursor } from '../../../protocol/id.js'
import { newName } from '../name.js'
import { tokenOf, type StoreFile } from '../store-file.js'
import { StoreUnavailableError, type Found, type Held, type Outcome, type Range, type Store, type Stored, type StoredState, type Taken, type Timed, type Unsent, type UnsentVideos } from '../store.js'
import { MAX_BUCKET_BYTES } from './bucket.js'
import { CallError } from './call-error.js'
import type { Cql, Row, Statement } from './cql.js'
import { IDS_EXHAUSTED } from './group.js'
import { HeldTable } from './held-table.js'
import { HookTable } from './hook-table.js'
import { LIMITS, type Limits } from './limits.js'
import { Reader } from './reader.js'
import { SCHEMA_VERSION } from './schema.js'
import { Statements } from './statements.js'
import { VideoWriter } from './video-writer.js'

export interface CassandraOptions {
  readonly cql: Cql & { close(): Promise<void> }
  readonly keyspace: string
  readonly dataCentre: string
  /** For operators: where it is. */
  readonly path: string
  /** Comments are read and written only once the store was accepted. False by default. */
  readonly mustBeAccepted?: boolean
  /** What is stored is to be sent to a web hook. False by default. */
  readonly isHooked?: boolean
  /** Where a bucket is cut; for tests. */
  readonly maxBucketBytes?: number
  /** For tests on busy machines. */
  readonly limits?: Limits
  /** Optional hook: called with the reason when calls begin to fail because of the store, and with undefined when they succeed again. */
  readonly onTrouble?: (reason: string | undefined) => void
  /** Optional hook: called after each write, with the reason if it failed and undefined if it succeeded. */
  readonly onWrite?: (reason: string | undefined) => void
  /** Optional hook: called when it is certain what became of posts whose outcome was unknown. @param lastId the video's newest id then */
  readonly onSettled?: (videoId: VideoId, lastId: Cursor) => void
}

/** A store that this software cannot use, and no waiting will help. */
export class UnusableStoreError extends Error {}

/** In StoreFile's terms a keyspace has no place: it is where its nodes are. */
const PLACE = 'keyspace'
/** What Cassandra says where there is no such keyspace or table. */
const NO_TABLES = /^(keyspace .* does not exist|table .* does not exist|unconfigured table )/i
/** What it says where the columns of this version are missing. */
const NO_COLUMNS = /undefined column name/i
/** Writers that are kept: each knows its video's newest id, and so spares a read. */
const MAX_WRITERS = 20_000

/** Comments in Cassandra, for dispatchers on any number of machines. */
export class CassandraStore implements Store {
  readonly atOnce = { appends: 128, reads: 16 }
  /** It does not count what it has stored. */
  readonly stored = 0
  readonly noun = 'keyspace'
  readonly path: string
  readonly #options: CassandraOptions
  readonly #limits: Limits
  readonly #statements: Statements
  readonly #hooks: HookTable
  readonly #held: HeldTable
  #reader: Reader
  /** Least recently used first. */
  readonly #writers = new Map<VideoId, VideoWriter>()
  #accepted: 'any' | StoreFile | { readonly refused: string }
  #troubled = false

  /** Does not connect yet: the first call does. */
  constructor(options: CassandraOptions) {
    this.path = options.path
    this.#options = options
    this.#limits = options.limits ?? LIMITS
    this.#statements = new Statements(options.keyspace)
    this.#hooks = new HookTable({ cql: options.cql, keyspace: options.keyspace, limits: this.#limits, lastIds: videoIds => this.#reader.lastIds(videoIds), held: (videoId, id) => this.#held.find(videoId, id) })
    this.#held = new HeldTable({ cql: options.cql, statements: this.#statements, limits: this.#limits, hooks: options.isHooked ? this.#hooks : undefined })
    this.#reader = this.#newReader()
    this.#accepted = options.mustBeAccepted ? { refused: 'not accepted yet' } : 'any'
  }

  get generation(): string | undefined {
    return this.#accepted !== 'any' && 'id' in this.#accepted ? this.#accepted.generation : undefined
  }

  /** Says whether it can be used. @throws StoreUnavailableError when it cannot be used now
   * @throws UnusableStoreError when a later version of this software made it, or it is of another data centre */
  async open(): Promise<void> {
    await this.#look()
  }

  /** From now on this is the store. What is remembered of another generation is void: a snapshot may have taken its place. */
  accept(file: StoreFile): void {
    const before = this.#accepted
    if (before === 'any' || 'refused' in before || tokenOf(before) !== tokenOf(file)) {
      for (const writer of this.#writers.values()) writer.close()
      this.#writers.clear()
      this.#hooks.forget()
      this.#reader = this.#newReader()
    }
    this.#accepted = file
  }

  refuse(reason: string): void {
    this.#accepted = { refused: reason }
  }

  /** @throws StoreUnavailableError, its `reason` FILE_MISSING where there are no tables of ours */
  async look(): Promise<StoreFile> {
    try {
      return await this.#look()
    } catch (error) {
      if (error instanceof UnusableStoreError) throw new StoreUnavailableError(error.message, { cause: error })
      throw error
    }
  }

  async noteAccepted(): Promise<void> {
    const { generation } = await this.look()
    await this.#change(this.#statements.noteAccepted(generation))
  }

  /** Gives the store a new generation. @throws StoreUnavailableError */
  async renew(): Promise<void> {
    const { generation } = await this.look()
    await this.#change(this.#statements.renew(newName(), generation))
  }

  /** Never in passing. @throws StoreUnavailableError */
  create(): Promise<void> {
    return Promise.reject(new StoreUnavailableError('the keyspace or its tables are missing: registry store init makes them'))
  }

  /** Writes something. @throws StoreUnavailableError when nothing can be written */
  async probe(): Promise<void> {
    const { generation } = await this.look()
    await this.#change(this.#statements.probe(generation, randomUUID()))
  }

  /** 'ok' where it answers: Cassandra checks its files itself. @throws StoreUnavailableError */
  async check(): Promise<string> {
    await this.look()
    return 'ok'
  }

  async append(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    this.#checkAccepted()
    const parts = new Map<VideoId, number[]>()
    drafts.forEach(({ videoId }, i) => {
      const part = parts.get(videoId)
      if (part) part.push(i)
      else parts.set(videoId, [i])
    })
    const outcomes = new Array<Outcome>(drafts.length)
    await Promise.all(
      Array.from(parts, async ([videoId, indexes]) => {
        const part = await this.#appendIn(videoId, indexes.map(i => drafts[i]!), nowMs)
        part.forEach((outcome, i) => (outcomes[indexes[i]!] = outcome))
      }),
    )
    const failed = outcomes.find(outcome => outcome.kind === 'unknown' || (outcome.kind === 'failed' && outcome.reason !== IDS_EXHAUSTED))
    const isDone = outcomes.some(({ kind }) => kind === 'created' || kind === 'repeated')
    if (failed && 'reason' in failed) this.#tell(failed.reason, this.#options.onWrite)
    else if (isDone) this.#tell(undefined, this.#options.onWrite)
    return outcomes
  }

  madeBy(draft: Timed): Promise<Comment | undefined> {
    return this.#reading(() => this.#writer(draft.videoId).madeBy(draft), draft.videoId)
  }

  page(videoId: VideoId, range: Range): Promise<Stored[]> {
    return this.#reading(() => this.#reader.page(videoId, range), videoId)
  }

  lastIds(videoIds: readonly VideoId[]): Promise<ReadonlyMap<VideoId, Cursor>> {
    return this.#reading(() => this.#reader.lastIds(videoIds))
  }

  state(videoIds: readonly VideoId[], nowMs: number): Promise<ReadonlyMap<VideoId, StoredState>> {
    return this.#reading(() => this.#reader.state(videoIds, nowMs))
  }

  erase(videoId: VideoId, target: CommentId): Promise<void> {
    return this.#reading(() => this.#writer(videoId).erase(target), videoId)
  }

  lastPostedAt(videoId: VideoId, authorId: string): Promise<number | undefined> {
    return this.#reading(() => this.#reader.lastPostedAt(videoId, authorId), videoId)
  }

  commentsBy(authorId: string, after: string | undefined): Promise<Found> {
    return this.#reading(() => this.#reader.commentsBy(authorId, after))
  }

  heldIn(videoId: VideoId, limit: number): Promise<HeldComment[]> {
    return this.#reading(() => this.#held.waiting(videoId, limit), videoId)
  }

  held(videoId: VideoId, id: HeldId): Promise<Held | undefined> {
    return this.#reading(() => this.#held.find(videoId, id), videoId)
  }

  refuseHeld(videoId: VideoId, id: HeldId, reason: string | undefined): Promise<Held | undefined> {
    return this.#reading(() => this.#held.refuse(videoId, id, reason), videoId)
  }

  eraseHeld(authorId: string): Promise<number> {
    return this.#reading(() => this.#held.erase(authorId))
  }

  unsent(videoId: VideoId, limit: number): Promise<Unsent> {
    return this.#reading(() => this.#hooks.unsent(videoId, limit), videoId)
  }

  unsentVideos(after: string | undefined, isOurs: (videoId: VideoId) => boolean): Promise<UnsentVideos> {
    return this.#reading(() => this.#hooks.unsentVideos(after, isOurs))
  }

  noteTaken(taken: Taken): Promise<void> {
    return this.#reading(() => this.#hooks.noteTaken(taken))
  }

  async close(): Promise<void> {
    for (const writer of this.#writers.values()) writer.close()
    await this.#options.cql.close()
  }

  /** Drafts that were reviewed are looked for among the held ones first. */
  async #appendIn(videoId: VideoId, drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    const unmarked = this.#options.isHooked ? await this.#mark(videoId) : undefined
    if (unmarked !== undefined) return drafts.map(() => ({ kind: 'failed', reason: unmarked }))
    const writer = this.#writer(videoId)
    if (drafts.every(({ review }) => review === undefined)) return writer.append(drafts, nowMs)
    const outcomes = await Promise.all(drafts.map(draft => this.#held.before(draft, nowMs, () => writer.madeOf(draft))))
    const rest = [...drafts.keys()].filter(i => !outcomes[i])
    const made = rest.length === 0 ? [] : await writer.append(rest.map(i => drafts[i]!), nowMs)
    rest.forEach((i, n) => (outcomes[i] = made[n]!))
    await Promise.all(drafts.map((draft, i) => this.#held.after(draft, outcomes[i]!)))
    return outcomes as Outcome[]
  }

  /** @returns why it cannot be marked as one that has something for the web hook */
  async #mark(videoId: VideoId): Promise<string | undefined> {
    try {
      await this.#hooks.mark(videoId)
    } catch (error) {
      if (!(error instanceof CallError)) throw error
      return NO_TABLES.test(error.message) ? 'its tables lack those of a web hook: registry store init adds them' : error.message
    }
  }

  /** One of a video alone says nothing of the others. */
  async #reading<T>(read: () => Promise<T>, videoId?: VideoId): Promise<T> {
    this.#checkAccepted()
    try {
      const found = await read()
      this.#tell(undefined)
      return found
    } catch (error) {
      throw this.#unavailable(error, undefined, videoId)
    }
  }

  #newReader(): Reader {
    return new Reader({ cql: this.#options.cql, statements: this.#statements, limits: this.#limits })
  }

  #writer(videoId: VideoId): VideoWriter {
    const { cql, maxBucketBytes = MAX_BUCKET_BYTES, onSettled = () => {} } = this.#options
    const writer = this.#writers.get(videoId) ?? new VideoWriter({ cql, statements: this.#statements, maxBucketBytes, limits: this.#limits, entry: (videoId, id) => this.#reader.entry(videoId, id), onSettled }, videoId)
    this.#writers.delete(videoId)
    this.#writers.set(videoId, writer)
    for (const [oldest, { isIdle }] of this.#writers) {
      if (this.#writers.size <= MAX_WRITERS) break
      if (isIdle && oldest !== videoId) this.#writers.delete(oldest)
    }
    return writer
  }

  /** @throws StoreUnavailableError, UnusableStoreError */
  async #look(): Promise<StoreFile> {
    try {
      const [row] = await this.#options.cql.read(this.#statements.store(), this.#limits.lookMs)
      return this.#fileOf(row)
    } catch (error) {
      if (error instanceof CallError && NO_TABLES.test(error.message)) throw new StoreUnavailableError('FILE_MISSING', { cause: error })
      if (error instanceof CallError && NO_COLUMNS.test(error.message)) throw new StoreUnavailableError('its tables lack columns of this version: registry store init adds them', { cause: error })
      throw this.#unavailable(error, this.#options.onWrite)
    }
  }

  /** Of the row that says which store it is. @throws StoreUnavailableError */
  async #change(statement: Statement): Promise<void> {
    try {
      const refused = await this.#options.cql.writeIf([statement], this.#limits.lookMs)
      if (refused) throw new CallError('another dispatcher has changed its generation', false)
      this.#tell(undefined, this.#options.onWrite)
    } catch (error) {
      throw this.#unavailable(error, this.#options.onWrite)
    }
  }

  #fileOf(row: Row | undefined): StoreFile {
    if (!row) throw new StoreUnavailableError('FILE_MISSING')
    const { id, generation, version, data_centre: dataCentre, accepted } = row as { id: string; generation: string; version: number; data_centre: string; accepted: string | null }
    if (version > SCHEMA_VERSION) throw new UnusableStoreError(`${this.path} was made by a later version of this software: its tables are of version ${version}, and this one knows ${SCHEMA_VERSION}`)
    if (dataCentre !== this.#options.dataCentre) throw new UnusableStoreError(`${this.path} keeps its order in data centre ${dataCentre}, and STORE_URL names ${this.#options.dataCentre}`)
    return { id, generation, place: PLACE, stored: this.stored, acceptedHere: accepted === generation }
  }

  #unavailable(error: unknown, told: CassandraOptions['onWrite'], videoId?: VideoId): Error {
    if (!(error instanceof CallError)) return error as Error
    const reason = error.message
    this.#tell(reason, told)
    return new StoreUnavailableError(reason, { cause: error, unknown: false, videoId })
  }

  #tell(reason: string | undefined, told?: (reason: string | undefined) => void): void {
    told?.(reason)
    if ((reason !== undefined) === this.#troubled) return
    this.#troubled = reason !== undefined
    this.#options.onTrouble?.(reason)
  }

  /** @throws StoreUnavailableError */
  #checkAccepted(): void {
    if (this.#accepted !== 'any' && 'refused' in this.#accepted) throw new StoreUnavailableError(this.#accepted.refused)
  }
}
