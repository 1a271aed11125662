import type { Watch, Zk } from './client.js'
import type { NodeStat } from './node-stat.js'
import { isZkError, ZkError } from './zk-error.js'

/** One child, as last read. */
export interface Entry {
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
  /** Nothing is left to read: after the first reading, and again after every change and every reconnect. */
  readonly onSynced?: () => void
  /** The ACL of the child keeps us from reading it; without a name, that of the parent. Called at each try, about once a
   * second. Such a child does not keep the cache from being synced; such a parent does. */
  readonly onRefused?: (name: string | undefined) => void
}

/** Most reads under way at a time. */
const MAX_READS = 64
/** Before a failed read is tried again. */
const RETRY_MS = 200
/** Before a refused read is tried again: a new ACL sets off no watch. */
const REFUSED_RETRY_MS = 1_000

/** The children of one node with their data, kept current by watches. After any disconnect, lost session or restart of the
 * server it ends up with what the server has; changes that follow each other fast may be seen as one. While ZooKeeper is
 * not connected it keeps what it read last. */
export class ChildrenCache {
  readonly path: string
  readonly entries: ReadonlyMap<string, Entry>
  readonly #options: ChildrenCacheOptions
  readonly #stopListening: () => void
  readonly #entries = new Map<string, Entry>()
  readonly #prefix: string
  /** The list as last read; a name without an entry is still to be read. */
  #names = new Set<string>()
  /** Names whose data is to be read. */
  readonly #unread = new Set<string>()
  /** The list is to be read. */
  #unlisted = true
  /** Reads under way. */
  #reading = 0
  /** Reads that failed and wait for another try. */
  #retrying = 0
  #synced = false
  #closed = false

  constructor(options: ChildrenCacheOptions) {
    const { zk, path } = options
    this.#options = options
    this.path = path
    this.entries = this.#entries
    this.#prefix = path === '/' ? '/' : `${path}/`
    this.#stopListening = zk.session.listen({ onSession: this.#readAll, onConnected: this.#list })
    this.#pump()
  }

  /** Everything is read and ZooKeeper is connected: the entries are what the server had a moment ago. */
  get synced(): boolean {
    return this.#synced && this.#options.zk.connected
  }

  close(): void {
    this.#closed = true
    this.#stopListening()
  }

  /** A new session has none of our watches: every child is read again. `onConnected`, which follows, reads the list. */
  readonly #readAll = (): void => {
    for (const name of this.#names) this.#unread.add(name)
  }

  /** Also the watch on the list. After a reconnect in the same session the server first fires the watches whose change we
   * missed; the list is read behind them, so that `onSynced` comes after those changes. */
  readonly #list = (): void => {
    this.#unlisted = true
    this.#synced = false
    this.#pump()
  }

  readonly #onChild: Watch = path => {
    const name = path.slice(this.#prefix.length)
    if (!this.#names.has(name)) return
    this.#unread.add(name)
    this.#synced = false
    this.#pump()
  }

  /** Starts the reads that are due, as many as may be under way. */
  readonly #pump = (): void => {
    if (this.#closed || !this.#options.zk.connected) return
    if (this.#unlisted && this.#reading < MAX_READS) {
      this.#unlisted = false
      void this.#read(
        () => this.#readList(),
        () => (this.#unlisted = true),
      )
    }
    for (const name of this.#unread) {
      if (this.#reading >= MAX_READS) return
      this.#unread.delete(name)
      void this.#read(
        () => this.#readChild(name),
        () => this.#names.has(name) && this.#unread.add(name),
      )
    }
    const idle = this.#reading === 0 && this.#retrying === 0 && !this.#unlisted && this.#unread.size === 0
    if (idle && !this.#synced) {
      this.#synced = true
      this.#options.onSynced?.()
    }
  }

  /** @param once reads @param again makes the same read due once more */
  async #read(once: () => Promise<void>, again: () => unknown): Promise<void> {
    const { zk, onRefused } = this.#options
    const { epoch } = zk.session
    this.#reading++
    try {
      await once()
      // The session in which it was read is gone, and with it the watch.
      if (epoch !== zk.session.epoch) again()
      this.#reading--
      queueMicrotask(this.#pump)
    } catch (error) {
      this.#reading--
      if (!(error instanceof ZkError)) throw error
      const refused = isZkError(error, 'NO_AUTH')
      if (refused) onRefused?.(undefined)
      this.#retrying++
      const retry = () => {
        this.#retrying--
        again()
        this.#pump()
      }
      setTimeout(retry, refused ? REFUSED_RETRY_MS : RETRY_MS).unref()
    }
  }

  async #readList(): Promise<void> {
    const names = await this.#namesNow()
    if (!names || this.#closed) return
    for (const name of this.#names) if (!names.has(name)) this.#drop(name)
    for (const name of names) if (!this.#names.has(name)) this.#unread.add(name)
    this.#names = names
  }

  /** Undefined when the parent was made between the two looks at it: the list is then due again. */
  async #namesNow(): Promise<Set<string> | undefined> {
    const { zk } = this.#options
    try {
      return new Set((await zk.getChildren(this.path, this.#list)).names)
    } catch (error) {
      if (!isZkError(error, 'NO_NODE')) throw error
      if (!(await zk.exists(this.path, this.#list))) return new Set()
      this.#unlisted = true
      return undefined
    }
  }

  async #readChild(name: string): Promise<void> {
    try {
      const entry = await this.#options.zk.getData(this.#prefix + name, this.#onChild)
      if (this.#closed || !this.#names.has(name)) return
      const previous = this.#entries.get(name)
      if (previous?.stat.mzxid === entry.stat.mzxid && previous.stat.czxid === entry.stat.czxid) return
      this.#entries.set(name, entry)
      this.#options.onSet?.(name, entry, previous)
    } catch (error) {
      if (isZkError(error, 'NO_AUTH')) return this.#refused(name)
      if (!isZkError(error, 'NO_NODE')) throw error
      // Gone, and perhaps made again since: the list decides.
      if (!this.#closed) this.#drop(name)
      this.#unlisted = true
    }
  }

  /** Keeps what was read of the child before, and does not count as a read that waits: one unreadable child must not keep
   * the others from being synced. */
  #refused(name: string): void {
    this.#options.onRefused?.(name)
    const retry = () => {
      if (this.#names.has(name)) this.#unread.add(name)
      this.#pump()
    }
    setTimeout(retry, REFUSED_RETRY_MS).unref()
  }

  #drop(name: string): void {
    this.#names.delete(name)
    this.#unread.delete(name)
    const previous = this.#entries.get(name)
    if (!previous) return
    this.#entries.delete(name)
    this.#options.onDelete?.(name, previous)
  }
}
