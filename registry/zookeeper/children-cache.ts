import { EventEmitter } from 'node:events'
import type { Watch, Zk } from './client.js'
import type { NodeStat } from './node-stat.js'
import { ZkError, isZk } from './zk-error.js'

export interface Entry {
  readonly data: Buffer
  readonly stat: NodeStat
}

interface ChildrenCacheEvents {
  /** A child is new, or has new data, or is another node of the same name. */
  set: [name: string, entry: Entry, previous: Entry | undefined]
  delete: [name: string, previous: Entry]
  /** Nothing is left to read; also after each later change or resync. A child that may not be read is left out. */
  synced: []
  /** We may not read it: the ACL of the child, or of the node itself (undefined), is for others. Told again at each try. */
  refused: [name: string | undefined]
}

/** Reads under way at a time. */
const parallelReads = 64
/** Before a failed read is tried again, ms. */
const retryMs = 200
/** Before what was refused is tried again, ms: a new ACL sets off no watch. */
const refusedRetryMs = 1_000

/** The children of one node with their data, kept current by watches. After any disconnect, lost session or restart of the
 * server it comes to what the server has; changes that follow each other fast may be seen as one. While ZooKeeper is away
 * it holds what it last read. The node itself need not exist yet. */
export class ChildrenCache extends EventEmitter<ChildrenCacheEvents> {
  readonly entries: ReadonlyMap<string, Entry>
  readonly #entries = new Map<string, Entry>()
  readonly #prefix: string
  /** As last listed; a name without an entry is still to be read. */
  #names = new Set<string>()
  readonly #unread = new Set<string>()
  #unlisted = true
  #reading = 0
  #retrying = 0
  #synced = false
  #closed = false

  constructor(
    readonly zk: Zk,
    readonly path: string,
  ) {
    super()
    this.entries = this.#entries
    this.#prefix = path === '/' ? '/' : `${path}/`
    zk.on('session', this.#readAll)
    zk.on('connected', this.#list)
    this.#pump()
  }

  /** All is read and the connection stands: what is here is what the server had a moment ago. */
  get synced(): boolean {
    return this.#synced && this.zk.connected
  }

  close(): void {
    this.#closed = true
    this.zk.off('session', this.#readAll)
    this.zk.off('connected', this.#list)
  }

  /** A new session has none of our watches: everything is read again, once `connected` follows. */
  readonly #readAll = (): void => {
    for (const name of this.#names) this.#unread.add(name)
  }

  /** After a mere reconnect the watches are set again and those whose change was missed go off; the list is read behind
   * them, so that `synced` comes after. Also the watch on the list. */
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

  readonly #pump = (): void => {
    if (this.#closed || !this.zk.connected) return
    if (this.#unlisted && this.#reading < parallelReads) {
      this.#unlisted = false
      void this.#read(
        () => this.#readList(),
        () => (this.#unlisted = true),
      )
    }
    for (const name of this.#unread) {
      if (this.#reading >= parallelReads) return
      this.#unread.delete(name)
      void this.#read(
        () => this.#readChild(name),
        () => this.#names.has(name) && this.#unread.add(name),
      )
    }
    const idle = this.#reading === 0 && this.#retrying === 0 && !this.#unlisted && this.#unread.size === 0
    if (idle && !this.#synced) {
      this.#synced = true
      this.emit('synced')
    }
  }

  async #read(once: () => Promise<void>, again: () => unknown): Promise<void> {
    const { epoch } = this.zk
    this.#reading++
    try {
      await once()
      // Read in a session that is gone: so is its watch.
      if (epoch !== this.zk.epoch) again()
      this.#reading--
      queueMicrotask(this.#pump)
    } catch (error) {
      this.#reading--
      if (!(error instanceof ZkError)) throw error
      const refused = isZk(error, 'NO_AUTH')
      if (refused) this.emit('refused', undefined)
      this.#retrying++
      const retry = () => {
        this.#retrying--
        again()
        this.#pump()
      }
      setTimeout(retry, refused ? refusedRetryMs : retryMs).unref()
    }
  }

  async #readList(): Promise<void> {
    const names = await this.#namesNow()
    if (!names || this.#closed) return
    for (const name of this.#names) if (!names.has(name)) this.#drop(name)
    for (const name of names) if (!this.#names.has(name)) this.#unread.add(name)
    this.#names = names
  }

  /** Undefined when it came into being while we looked: the list is to be read again. */
  async #namesNow(): Promise<Set<string> | undefined> {
    try {
      return new Set((await this.zk.getChildren(this.path, this.#list)).names)
    } catch (error) {
      if (!isZk(error, 'NO_NODE')) throw error
      if (!(await this.zk.exists(this.path, this.#list))) return new Set()
      this.#unlisted = true
      return undefined
    }
  }

  async #readChild(name: string): Promise<void> {
    try {
      const entry = await this.zk.getData(this.#prefix + name, this.#onChild)
      if (this.#closed || !this.#names.has(name)) return
      const previous = this.#entries.get(name)
      if (previous?.stat.mzxid === entry.stat.mzxid && previous.stat.czxid === entry.stat.czxid) return
      this.#entries.set(name, entry)
      this.emit('set', name, entry, previous)
    } catch (error) {
      if (isZk(error, 'NO_AUTH')) return this.#refused(name)
      if (!isZk(error, 'NO_NODE')) throw error
      // Gone, perhaps made again since: the list decides.
      if (!this.#closed) this.#drop(name)
      this.#unlisted = true
    }
  }

  /** What was read of it before stays; whoever made it unreadable must not keep the others from being read. */
  #refused(name: string): void {
    this.emit('refused', name)
    const retry = () => {
      if (this.#names.has(name)) this.#unread.add(name)
      this.#pump()
    }
    setTimeout(retry, refusedRetryMs).unref()
  }

  #drop(name: string): void {
    this.#names.delete(name)
    this.#unread.delete(name)
    const previous = this.#entries.get(name)
    if (!previous) return
    this.#entries.delete(name)
    this.emit('delete', name, previous)
  }
}
