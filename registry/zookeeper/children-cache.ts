import type { Watch, Zk } from './client.js'
import type { NodeStat } from './node-stat.js'
import { LOOK_AGAIN_MS, nowAndThen } from './now-and-then.js'
import { isZkError, ZkError } from './zk-error.js'

/** One child, as last read. */
export interface Entry {
  /** Empty in the cache's own entries if it is over 4 KB: many children of a megabyte would fill the memory. */
  readonly data: Buffer
  readonly stat: NodeStat
}

export interface ChildrenCacheOptions {
  readonly zk: Zk
  /** The parent, which need not exist yet. */
  readonly path: string
  /** A child is new, or has new data, or is another node of the same name. */
  readonly onSet?: (name: string, entry: Entry, previous: Entry | undefined) => void
  /** A child is gone. */
  readonly onDelete?: (name: string, previous: Entry) => void
  /** All that was to be read when the list was last read has been: after the first reading, after every change of the list and
   * every reconnect, and once what failed has been read. What changes meanwhile is not waited for: where something always does,
   * that would never end. */
  readonly onSynced?: () => void
  /** A read has failed: the entries may be out of date until `onSynced`. Called at each try. */
  readonly onBehind?: () => void
  /** The ACL of the child keeps us from reading it; without a name, that of the parent. Called at each try, at first once a
   * second and then more seldom. Such a child does not keep the cache from being synced; such a parent does. */
  readonly onRefused?: (name: string | undefined) => void
  /** Most children that are read; the others are left out. No limit by default. */
  readonly most?: number
  /** There are more children than are read. Called at each reading of the list. */
  readonly onCrowded?: (children: number) => void
  /** All is looked at again about each so often, ms; 4 minutes by default. */
  readonly lookAgainMs?: number
}

/** Longer data is given to `onSet` and not kept. */
const MAX_KEPT_BYTES = 4_096
const NOTHING = Buffer.alloc(0)

/** Most reads under way at a time. */
const MAX_READS = 64
/** Before failed reads are tried again, at first and at most: each failure doubles it. */
const RETRY_MS = { first: 200, most: 5_000 }
/** The same of refused reads: a new ACL sets off no watch. */
const REFUSED_RETRY_MS = { first: 1_000, most: 30_000 }

/** The children of one node with their data, kept current by watches. After any disconnect, lost session or restart of the
 * server it ends up with what the server has; changes that follow each other fast may be seen as one. While ZooKeeper is
 * not connected it keeps what it read last. Every few minutes it reads the list, and of each child when it was last changed,
 * in case a watch was lost. */
export class ChildrenCache {
  readonly path: string
  readonly entries: ReadonlyMap<string, Entry>
  readonly #options: ChildrenCacheOptions
  readonly #stopListening: () => void
  readonly #stopLooking: () => void
  readonly #entries = new Map<string, Entry>()
  readonly #prefix: string
  /** The list as last read; a name without an entry is still to be read. */
  #names = new Set<string>()
  /** Names whose data is to be read. */
  readonly #unread = new Set<string>()
  /** The list is to be read. */
  #unlisted = true
  /** Children whose data is to be read if it has changed, though no watch said so. */
  readonly #unchecked = new Set<string>()
  /** Names whose data is being read. */
  readonly #underWay = new Set<string>()
  /** Names that are to be read before the cache is synced. */
  #owed = new Set<string>()
  /** The list is being read. */
  #listing = false
  /** Children that we may not read; `undefined` is the list. */
  readonly #refused = new Set<string | undefined>()
  #refusedTimer: NodeJS.Timeout | undefined
  #refusedMs = REFUSED_RETRY_MS.first
  /** Reads under way. */
  #reading = 0
  /** Runs after a failed read; until it ends, nothing is read. */
  #retryTimer: NodeJS.Timeout | undefined
  #retryMs = RETRY_MS.first
  #synced = false
  #closed = false

  constructor(options: ChildrenCacheOptions) {
    const { zk, path, lookAgainMs = LOOK_AGAIN_MS } = options
    this.#options = options
    this.path = path
    this.entries = this.#entries
    this.#prefix = path === '/' ? '/' : `${path}/`
    this.#stopListening = zk.session.listen({ onSession: this.#readAll, onConnected: this.#connected })
    this.#stopLooking = nowAndThen(lookAgainMs, this.#lookAgain)
    this.#pump()
  }

  /** Everything has been read since ZooKeeper was connected, and it still is: the entries are what the server had a moment ago. */
  get synced(): boolean {
    return this.#synced && this.#options.zk.connected
  }

  close(): void {
    this.#closed = true
    this.#stopListening()
    this.#stopLooking()
    clearTimeout(this.#retryTimer)
    clearTimeout(this.#refusedTimer)
  }

  /** A new session has none of our watches: every child is read again. `onConnected`, which follows, reads the list. */
  readonly #readAll = (): void => {
    for (const name of this.#names) this.#unread.add(name)
  }

  /** After a reconnect in the same session the server first fires the watches whose change we missed; the list is read
   * behind them, so that `onSynced` comes after those changes. */
  readonly #connected = (): void => {
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    this.#list()
  }

  /** Also the watch on the list. */
  readonly #list = (): void => {
    this.#unlisted = true
    this.#synced = false
    this.#pump()
  }

  readonly #lookAgain = (): void => {
    this.#unlisted = true
    for (const name of this.#entries.keys()) this.#unchecked.add(name)
    this.#pump()
  }

  readonly #onChild: Watch = path => {
    const name = path.slice(this.#prefix.length)
    if (!this.#names.has(name)) return
    this.#unread.add(name)
    this.#pump()
  }

  /** Starts the reads that are due, as many as may be under way. */
  readonly #pump = (): void => {
    if (this.#closed || this.#retryTimer || !this.#options.zk.connected) return
    if (this.#unlisted && this.#reading < MAX_READS) {
      this.#unlisted = false
      void this.#read(
        () => this.#readList(),
        () => (this.#unlisted = true),
      )
    }
    this.#start(this.#unread, name => this.#readChild(name))
    this.#start(this.#unchecked, name => this.#checkChild(name))
    const isComplete = !this.#unlisted && !this.#listing && this.#owed.size === 0 && !this.#refused.has(undefined)
    if (!isComplete) return
    if (this.#refused.size === 0) this.#refusedMs = REFUSED_RETRY_MS.first
    if (this.#synced) return
    this.#synced = true
    this.#options.onSynced?.()
  }

  /** Starts reads of the children in `due`. */
  #start(due: Set<string>, read: (name: string) => Promise<void>): void {
    for (const name of due) {
      if (this.#reading >= MAX_READS) return
      due.delete(name)
      void this.#read(
        () => read(name),
        () => {
          if (!this.#names.has(name)) return
          due.add(name)
          this.#owed.add(name)
        },
      )
    }
  }

  /** @param once reads @param again makes the same read due once more */
  async #read(once: () => Promise<void>, again: () => unknown): Promise<void> {
    const { zk, onBehind } = this.#options
    const { epoch } = zk.session
    this.#reading++
    try {
      await once()
      this.#retryMs = RETRY_MS.first
      // The session in which it was read is gone, and with it the watch.
      if (epoch !== zk.session.epoch) again()
    } catch (error) {
      if (!(error instanceof ZkError)) throw error
      again()
      this.#synced = false
      onBehind?.()
      this.#retryLater()
    } finally {
      this.#reading--
    }
    queueMicrotask(this.#pump)
  }

  #retryLater(): void {
    if (this.#closed || this.#retryTimer) return
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.#pump()
    }, this.#retryMs).unref()
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.most)
  }

  async #readList(): Promise<void> {
    this.#listing = true
    const names = await this.#namesNow().finally(() => (this.#listing = false))
    if (!names || this.#closed) return
    for (const name of this.#names) if (!names.has(name)) this.#drop(name)
    for (const name of names) if (!this.#names.has(name)) this.#unread.add(name)
    this.#names = names
    this.#owed = new Set([...this.#unread, ...this.#underWay])
  }

  /** Undefined when we may not read it, and when the parent was made between the two looks at it: the list is then due
   * again. */
  async #namesNow(): Promise<Set<string> | undefined> {
    const { zk } = this.#options
    try {
      return this.#chosen((await zk.getChildren(this.path, this.#list)).names)
    } catch (error) {
      if (isZkError(error, 'NO_AUTH')) {
        this.#refuse(undefined)
        return undefined
      }
      if (!isZkError(error, 'NO_NODE')) throw error
      if (!(await zk.exists(this.path, this.#list))) return new Set()
      this.#unlisted = true
      return undefined
    }
  }

  /** As many as are read, those that were read before first. */
  #chosen(names: readonly string[]): Set<string> {
    const { most = Infinity, onCrowded } = this.#options
    if (names.length <= most) return new Set(names)
    onCrowded?.(names.length)
    const isKnown = (name: string) => this.#names.has(name)
    return new Set([...names.filter(isKnown), ...names.filter(name => !isKnown(name))].slice(0, most))
  }

  async #readChild(name: string): Promise<void> {
    this.#underWay.add(name)
    try {
      const entry = await this.#options.zk.getData(this.#prefix + name, this.#onChild)
      this.#owed.delete(name)
      if (this.#closed || !this.#names.has(name)) return
      const previous = this.#entries.get(name)
      if (previous?.stat.mzxid === entry.stat.mzxid && previous.stat.czxid === entry.stat.czxid) return
      this.#entries.set(name, entry.data.length > MAX_KEPT_BYTES ? { ...entry, data: NOTHING } : entry)
      this.#options.onSet?.(name, entry, previous)
    } catch (error) {
      if (isZkError(error, 'NO_AUTH')) return this.#refuse(name)
      if (!isZkError(error, 'NO_NODE')) throw error
      // Gone, and perhaps made again since: the list decides.
      if (!this.#closed) this.#drop(name)
      this.#unlisted = true
    } finally {
      this.#underWay.delete(name)
    }
  }

  /** Reads the child only if it has changed: what is read here is short. */
  async #checkChild(name: string): Promise<void> {
    const stat = await this.#options.zk.exists(this.#prefix + name, this.#onChild)
    this.#owed.delete(name)
    const known = this.#entries.get(name)?.stat
    if (stat?.mzxid === known?.mzxid && stat?.czxid === known?.czxid) return
    this.#unread.add(name)
  }

  /** Keeps what was read before, and does not count as a read that waits: one unreadable child must not keep the others from
   * being synced. */
  #refuse(name: string | undefined): void {
    this.#refused.add(name)
    if (name !== undefined) this.#owed.delete(name)
    this.#options.onRefused?.(name)
    if (this.#closed || this.#refusedTimer) return
    this.#refusedTimer = setTimeout(this.#retryRefused, this.#refusedMs).unref()
    this.#refusedMs = Math.min(2 * this.#refusedMs, REFUSED_RETRY_MS.most)
  }

  readonly #retryRefused = (): void => {
    this.#refusedTimer = undefined
    for (const name of this.#refused) {
      if (name === undefined) this.#unlisted = true
      else if (this.#names.has(name)) this.#unread.add(name)
    }
    this.#refused.clear()
    this.#pump()
  }

  #drop(name: string): void {
    this.#names.delete(name)
    this.#unread.delete(name)
    this.#unchecked.delete(name)
    this.#owed.delete(name)
    const previous = this.#entries.get(name)
    if (!previous) return
    this.#entries.delete(name)
    this.#options.onDelete?.(name, previous)
  }
}
