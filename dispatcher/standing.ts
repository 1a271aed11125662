import { LiveError } from '../protocol/errors.js'
import type { DispatcherNode, ExpectedStore } from '../protocol/nodes.js'
import type { StoreAction } from '../protocol/store.js'
import { ZkError } from '../registry/zookeeper/zk-error.js'
import type { Clock } from '../runtime/clock.js'
import type { Log } from '../runtime/log.js'
import { asExpected, judge } from './store-verdict.js'
import { tokenOf, type StoreFile } from './store/store-file.js'
import { StoreUnavailableError, unlessUnavailable } from './store/store.js'

/** The store, as SqliteStore has its file and CassandraStore its keyspace. Each call rejects with StoreUnavailableError. */
export interface StoreKeeper {
  readonly path: string
  /** What it is, for messages; a file where it does not say. */
  readonly noun?: string
  /** How many keys the accepted file has made, as far as is known. */
  readonly stored: number
  look(): Promise<StoreFile>
  accept(file: StoreFile): void
  refuse(reason: string): void
  noteAccepted(): Promise<void>
  create(): Promise<void>
  renew(): Promise<void>
  probe(): Promise<void>
}

/** Which store is expected, as StoreWatch has it. Each call rejects with ZkError while ZooKeeper is away. */
export interface Expectation {
  readonly isRead: boolean
  readonly expected: ExpectedStore | undefined
  expect(store: ExpectedStore, insteadOf: ExpectedStore | undefined): Promise<boolean>
  replace(store: ExpectedStore): Promise<void>
}

export interface StandingDeps {
  readonly store: StoreKeeper
  readonly expectation: Expectation
  /** The other dispatchers that are announced; and those that may live, though their entries have gone. */
  readonly others: () => { readonly announced: readonly DispatcherNode[]; readonly possible: readonly DispatcherNode[] }
  /** Why the wall clock is not to be trusted. */
  readonly clockOff: () => string | undefined
  /** This machine, as it runs now. */
  readonly machine: string
  readonly clock: Clock
  readonly log: Log
}

/** What a dispatcher says of itself beside its name and address. */
export type Announced = Pick<DispatcherNode, 'state' | 'store' | 'fit'>

/** What `/internal/store` answers with. */
export interface StoreReport {
  readonly path: string
  /** What is at the path, when last looked at; null where there is no file, or it cannot be read. */
  readonly found: StoreFile | null
  /** What is expected; null where nothing is, or where that has not been read. */
  readonly expected: ExpectedStore | null
  /** Why it is not the cluster's store; null where it is. */
  readonly refused: string | null
  /** Why nothing can be stored at present; null where something can. */
  readonly cannotStore: string | null
  /** Why its clock is not to be trusted; null where it is. */
  readonly clockOff: string | null
}

const LOOK_MS = 1_000
/** Writes that have failed for so long are not a passing trouble. */
const FAILING_MS = 1_000
/** How much is stored is written down at most so often. */
const MARK_MS = 2_000
/** A verdict that changes something is followed by another look. */
const MAX_LOOKS = 5
/** What comes to the path is to be looked at, before it is known to be trouble. */
const CHANGED = /^((FILE|LOG)_(MISSING|MOVED)|GENERATION_CHANGED|NOT_ACCEPTED)$/
const NOT_LOOKED_AT = 'the store has not been looked at yet'

/** Whether this dispatcher may answer and store: whether its file is the cluster's store, can be written, and its clock is
 * right. It looks once a second and at each change; who may not answer is announced as draining, and so is who is unfit to
 * store where another is fit. */
export class Standing {
  /** Called when what is to be announced may have changed, and often when it has not. */
  onChange: () => void = () => {}
  readonly #deps: StandingDeps
  #found: StoreFile | undefined
  /** The file that was accepted last, though it may not be by now. */
  #accepted: StoreFile | undefined
  #refused: string | undefined = NOT_LOOKED_AT
  #wasRefused = false
  /** Writes have failed for as long as this, monotonic ms. */
  #failingSince: number | undefined
  #cannotWrite: string | undefined
  /** Something was written, or was to be. */
  #hasTried = false
  #markedAt = -Infinity
  #looking: Promise<void> | undefined
  #lookAgain = false
  #cancel = (): void => {}
  #closed = false

  constructor(deps: StandingDeps) {
    this.#deps = deps
  }

  /** Why nothing may be answered: the file is not, or not known to be, the cluster's store. */
  get refused(): string | undefined {
    return this.#refused
  }

  /** Why nothing can be stored. */
  get cannotStore(): string | undefined {
    return this.#refused ?? this.#cannotWrite
  }

  /** Why another should be asked instead. A wrong clock stops nobody where all are said to be wrong: ids stay in order, and it
   * may be ZooKeeper's. */
  get unfit(): string | undefined {
    return this.cannotStore ?? this.#deps.clockOff()
  }

  get announced(): Announced {
    const isFit = this.unfit === undefined
    const isNeeded = isFit || !this.#deps.others().announced.some(({ state, fit }) => state === 'up' && fit !== false)
    return {
      state: this.#refused === undefined && isNeeded ? 'up' : 'draining',
      ...(this.#refused === undefined && this.#accepted ? { store: this.#announcedStore(this.#accepted) } : {}),
      ...(isFit ? {} : { fit: false }),
    }
  }

  get report(): StoreReport {
    const { store, expectation } = this.#deps
    return {
      path: store.path,
      found: this.#found ?? null,
      expected: expectation.expected ?? null,
      refused: this.#refused ?? null,
      cannotStore: this.cannotStore ?? null,
      clockOff: this.#deps.clockOff() ?? null,
    }
  }

  /** Looks, and goes on looking once a second; resolves when it has looked. To be called at the start, and when what is
   * expected, or who else is there, has changed. */
  look(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    if (this.#looking) this.#lookAgain = true
    return (this.#looking ??= this.#run())
  }

  /** To be called with each write's success or failure. @param reason a code; undefined: it succeeded */
  wrote(reason: string | undefined): void {
    if (reason === undefined) {
      const isBack = this.#cannotWrite !== undefined
      this.#failingSince = undefined
      this.#cannotWrite = undefined
      if (isBack) this.onChange()
      return
    }
    if (CHANGED.test(reason)) return void this.look()
    const now = this.#deps.clock.now()
    this.#failingSince ??= now
    if (this.#cannotWrite !== undefined || (this.#hasTried && now - this.#failingSince < FAILING_MS)) return
    this.#cannotWrite = `nothing can be written: ${reason}`
    this.onChange()
  }

  /** An operator's word: what is at our path is the store from now on. `accept`: as it is; `restore`: as a new generation,
   * as it may lack what was stored; `create`: an empty one, where there is no file. No look goes on meanwhile: on a slow disk it
   * would meet a file that is half made, and lock it.
   * @throws LiveError BAD_REQUEST, StoreUnavailableError, ZkError */
  async adopt(how: StoreAction): Promise<void> {
    while (this.#looking) await this.#looking
    const adopted = this.#adopt(how)
    const looked = adopted.then(() => this.#run(), () => this.#run())
    this.#looking = looked
    await adopted
    await looked
  }

  /** Writes down how much is stored, and stops. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancel()
    await this.#looking
    await this.#mark(0)
  }

  async #adopt(how: StoreAction): Promise<void> {
    const { store, expectation, machine } = this.#deps
    if (how === 'create') {
      if (await this.#lookTwice().catch(unlessMissing)) throw new LiveError('BAD_REQUEST', `${store.path} is there: move it away first, or accept it`)
      await store.create()
    }
    if (how === 'restore') await store.renew()
    const found = await this.#lookTwice()
    const { expected } = expectation
    if (how === 'accept' && expected?.id === found.id && expected.generation === found.generation && found.stored < expected.stored) {
      throw new LiveError('BAD_REQUEST', `${store.path} lacks comments that were stored: restore it, so that viewers are told of the gap`)
    }
    this.#accepted = undefined // what was here before may have had more
    this.#wasRefused = false
    await expectation.replace(asExpected(found, machine))
  }

  async #run(): Promise<void> {
    this.#cancel()
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      this.#lookAgain = false
      const isSettled = await this.#lookOnce()
      if (isSettled && !this.#lookAgain) break
    }
    await this.#tryToWrite()
    this.#looking = undefined
    if (this.#closed) return
    this.#cancel = this.#deps.clock.tick(LOOK_MS, () => void this.look())
    this.onChange()
  }

  /** @returns false when it has changed something, and is to look again */
  async #lookOnce(): Promise<boolean> {
    const { store, expectation, machine, others } = this.#deps
    // Before the file: what these say is stored is there by now, and more is while we look.
    const expected = expectation.isRead ? expectation.expected : 'unread'
    const accepted = this.#accepted && { ...this.#accepted, stored: Math.max(this.#accepted.stored, store.stored) }
    try {
      this.#found = await this.#lookTwice().catch(unlessMissing)
    } catch (error) {
      this.#cannotLook(error)
      return true
    }
    const verdict = judge({
      expected,
      found: this.#found,
      path: store.path,
      machine,
      accepted,
      wasRefused: this.#wasRefused,
      others: others().possible,
    })
    try {
      switch (verdict.kind) {
        case 'accept':
          await this.#accept(this.#found!)
          return true
        case 'create':
          await store.create()
          return false
        case 'expect':
          await expectation.expect(verdict.store, expected === 'unread' ? undefined : expected)
          return false
        case 'refuse':
          if (typeof expected === 'object') this.#wasRefused = true
          this.#refuse(verdict.reason)
          await this.#mark(0)
          return true
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) && !(error instanceof ZkError)) throw error
      if (this.#refused !== undefined) this.#refused = error instanceof StoreUnavailableError ? this.#unusable(error) : 'ZooKeeper cannot be asked which store is expected'
      return true
    }
  }

  /** A file that was moved is let go of at the first look: the second one sees what is there now. */
  async #lookTwice(): Promise<StoreFile> {
    const { store } = this.#deps
    try {
      return await store.look()
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || !CHANGED.test(error.reason)) throw error
      return store.look()
    }
  }

  /** What was accepted is still accepted: calls are for that file alone, and have their own errors. */
  #cannotLook(error: unknown): void {
    if (!(error instanceof StoreUnavailableError)) throw error
    if (CHANGED.test(error.reason)) this.#refuse(this.#unusable(error))
    else if (this.#refused !== undefined) this.#refused = this.#unusable(error)
  }

  #unusable({ reason }: StoreUnavailableError): string {
    return `the ${this.#deps.store.noun ?? 'file'} cannot be used: ${reason}`
  }

  async #accept(found: StoreFile): Promise<void> {
    const { store, expectation, log } = this.#deps
    const isNew = this.#refused !== undefined || !this.#accepted || tokenOf(found) !== tokenOf(this.#accepted)
    this.#accepted = found
    if (isNew) {
      store.accept(found)
      this.#hasTried = false
      this.#wasRefused = false
      this.#refused = undefined
      log.info({ path: store.path, id: found.id, generation: found.generation, stored: found.stored }, 'store_accepted')
    }
    if (!expectation.isRead) return
    if (!found.acceptedHere) await store.noteAccepted().catch(unlessUnavailable)
    await this.#mark(MARK_MS)
  }

  #refuse(reason: string): void {
    const { store, expectation, log } = this.#deps
    store.refuse('it is not the store that is expected')
    if (this.#refused !== reason && expectation.isRead) log.error({ reason }, 'store_refused')
    this.#refused = reason
  }

  /** Writes down how much has been stored, so that a copy from earlier is told from the store. */
  async #mark(everyMs: number): Promise<void> {
    const { store, expectation, clock } = this.#deps
    const { expected } = expectation
    const accepted = this.#accepted
    if (!accepted || expected?.id !== accepted.id || expected.generation !== accepted.generation) return
    const stored = Math.max(accepted.stored, store.stored)
    if (stored <= expected.stored || clock.now() - this.#markedAt < everyMs) return
    this.#markedAt = clock.now()
    await expectation.expect({ ...expected, stored }, expected).catch(unlessAway)
  }

  /** At the start and while writes fail. */
  async #tryToWrite(): Promise<void> {
    if (this.#refused !== undefined || (this.#hasTried && this.#failingSince === undefined)) return
    await this.#deps.store.probe().catch(unlessUnavailable)
    this.#hasTried = true
  }

  #announcedStore(file: StoreFile): NonNullable<Announced['store']> {
    const { stored: _, ...announced } = asExpected(file, this.#deps.machine)
    return announced
  }
}

function unlessMissing(error: unknown): undefined {
  if (!(error instanceof StoreUnavailableError) || error.reason !== 'FILE_MISSING') throw error
}

function unlessAway(error: unknown): boolean {
  if (!(error instanceof ZkError)) throw error
  return false
}
