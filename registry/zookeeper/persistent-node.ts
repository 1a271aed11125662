import { EventEmitter } from 'node:events'
import { maxDataBytes, type Watch, type Zk } from './client.js'
import type { NodeStat } from './node-stat.js'
import { ZkError, isZk } from './zk-error.js'

export interface PersistentNodeOptions {
  /** Asked about a node at our path that another session keeps: may we put ours in its place? It must settle; a rejection
   * counts as no. It is asked again about once a second while it says no. */
  readonly mayReplace: (data: Buffer) => Promise<boolean>
}

interface PersistentNodeEvents {
  /** The node stands, in our session. */
  up: []
  /** It is gone, or another's, or our session was lost. */
  down: []
  /** What was last set, as far as the node knew when it wrote, stands in ZooKeeper; also where it stood already. */
  written: [data: Buffer]
  /** Another's node stands at our path and may not be replaced; once for each such node. */
  conflict: [data: Buffer]
  /** ZooKeeper refused in a way that no reconnect mends; it is tried again all the same. */
  warn: [error: Error]
}

/** The node as we last knew it to stand, with data of ours; kept over a reconnect, to spare the write. */
interface Written {
  /** Undefined: we just made it and have not looked at it since. */
  readonly czxid: bigint | undefined
  readonly version: number
  readonly data: Buffer
}

/** Between two tries after a failure, ms. */
const retryMs = 200
/** Between two looks at a node that may not be replaced, and after a refusal of ZooKeeper's, ms. */
const refusedRetryMs = 1_000

/** Keeps an ephemeral node present, holding what was last set, through disconnects, lost sessions and its deletion by
 * somebody. One write is in flight at a time, and it is a write of the newest data: whatever was set meanwhile goes in
 * the next. Knowing the node's version, a write is one round trip; anything unexpected leads back to a look first.
 *
 * It watches its own end, not its data: somebody else's write to it is noticed, and undone, at our next one or at the
 * next reconnect. `up` is what was last known; while `zk.connected` is false it may be stale. */
export class PersistentNode extends EventEmitter<PersistentNodeEvents> {
  #data: Buffer
  #written: Written | undefined
  /** The node was looked at and its end is watched, on this connection. */
  #checked = false
  #conflict: bigint | undefined
  #up = false
  #closed = false
  #dirty = false
  #running: Promise<void> | undefined
  #retryTimer: NodeJS.Timeout | undefined

  /** @throws ZkError `BAD_ARGUMENTS` for data over the limit of a node. */
  constructor(
    readonly zk: Zk,
    readonly path: string,
    data: Buffer,
    readonly options: PersistentNodeOptions,
  ) {
    super()
    this.#data = this.#allowed(data)
    zk.on('connected', this.#check)
    zk.on('expired', this.#lost)
    this.#kick()
  }

  get up(): boolean {
    return this.#up
  }

  /** What was last set is known to stand. To wait for it: `while (!node.current) await once(node, 'written', { signal })`. */
  get current(): boolean {
    return this.#up && this.#written !== undefined && this.#written.data.equals(this.#data)
  }

  /** Has `data`, which must not be changed afterwards, written as soon as the write under way is done.
   * @throws ZkError `BAD_ARGUMENTS` when it is over the limit of a node. */
  set(data: Buffer): void {
    this.#data = this.#allowed(data)
    this.#kick()
  }

  /** Removes the node, where it is ours and ZooKeeper can be reached; else it goes with the session. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retryTimer)
    this.zk.off('connected', this.#check)
    this.zk.off('expired', this.#lost)
    await this.#running
    try {
      const stat = await this.zk.exists(this.path)
      if (stat?.ephemeralOwner === this.zk.sessionId) await this.zk.remove(this.path, stat.version)
    } catch (error) {
      if (!(error instanceof ZkError)) throw error
    }
    this.#setUp(false)
  }

  readonly #check = (): void => {
    this.#checked = false
    this.#kick()
  }

  readonly #lost = (): void => {
    this.#checked = false
    this.#written = undefined
    this.#setUp(false)
  }

  /** One function for good: the library keeps every other one as a further listener. */
  readonly #onGone: Watch = () => this.#check()

  readonly #kick = (): void => {
    this.#dirty = true
    if (!this.#closed) this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    // Let the caller finish: what it sets in one go is one write.
    await Promise.resolve()
    clearTimeout(this.#retryTimer)
    try {
      while (this.#dirty && !this.#closed && this.zk.connected) {
        this.#dirty = false
        await (this.#checked ? this.#write() : this.#look())
      }
    } catch (error) {
      this.#checked = false
      if (!(error instanceof ZkError)) throw error
      if (!error.retryable) this.emit('warn', error)
      this.#kickIn(error.retryable ? retryMs : refusedRetryMs)
    } finally {
      this.#running = undefined
    }
  }

  #kickIn(ms: number): void {
    clearTimeout(this.#retryTimer)
    if (!this.#closed) this.#retryTimer = setTimeout(this.#kick, ms).unref()
  }

  /** Makes sure of the node and of the watch on its end. A watch on its children does that: it has none, and a watch on
   * its data would go off at every write of ours. */
  async #look(): Promise<void> {
    const { epoch } = this.zk
    this.#dirty = true
    try {
      const { stat } = await this.zk.getChildren(this.path, this.#onGone)
      if (epoch !== this.zk.epoch) return
      if (stat.ephemeralOwner !== this.zk.sessionId) {
        this.#setUp(false)
        await this.#replace()
        return
      }
      this.#conflict = undefined
      const written = this.#written
      const known = written?.version === stat.version && (written.czxid ?? stat.czxid) === stat.czxid
      const data = known ? written.data : this.#data
      const { version } = known ? stat : await this.zk.setData(this.path, data, stat.version)
      if (epoch !== this.zk.epoch) return
      this.#written = { czxid: stat.czxid, version, data }
      this.#checked = true
      this.#setUp(true)
    } catch (error) {
      if (isZk(error, 'BAD_VERSION')) return
      if (!isZk(error, 'NO_NODE')) throw error
      this.#setUp(false)
      await this.#create()
    }
  }

  async #replace(): Promise<void> {
    const { data, stat } = await this.zk.getData(this.path)
    if (stat.ephemeralOwner === this.zk.sessionId) return
    const allowed = await this.options.mayReplace(data).catch(() => false)
    if (this.#closed) return
    if (allowed) {
      await this.#create(stat)
      return
    }
    if (this.#conflict !== stat.czxid) {
      this.#conflict = stat.czxid
      this.emit('conflict', data)
    }
    this.#dirty = false
    this.#kickIn(refusedRetryMs)
  }

  /** The loop comes back to {@link #look}, which sees the node with our session as its owner and watches it. */
  async #create(insteadOf?: NodeStat): Promise<void> {
    const { epoch } = this.zk
    const data = this.#data
    try {
      if (insteadOf) {
        // In one transaction, so that nobody sees neither.
        await this.zk.multi([
          { op: 'remove', path: this.path, version: insteadOf.version },
          { op: 'create', path: this.path, data, ephemeral: true },
        ])
      } else {
        await this.zk.create(this.path, data, { ephemeral: true })
      }
      if (epoch === this.zk.epoch) this.#written = { czxid: undefined, version: 0, data }
    } catch (error) {
      if (isZk(error, 'NO_NODE')) await this.zk.ensure(this.path.slice(0, this.path.lastIndexOf('/')) || '/')
      else if (!isZk(error, 'NODE_EXISTS', 'BAD_VERSION')) throw error
    }
  }

  async #write(): Promise<void> {
    const { epoch } = this.zk
    const data = this.#data
    const written = this.#written!
    if (!written.data.equals(data)) {
      try {
        const { version } = await this.zk.setData(this.path, data, written.version)
        if (epoch !== this.zk.epoch || this.#written !== written) return
        this.#written = { ...written, version, data }
      } catch (error) {
        if (!isZk(error, 'BAD_VERSION', 'NO_NODE')) throw error
        this.#check()
        return
      }
    }
    this.emit('written', data)
  }

  #setUp(up: boolean): void {
    if (up === this.#up) return
    this.#up = up
    this.emit(up ? 'up' : 'down')
  }

  #allowed(data: Buffer): Buffer {
    if (data.length <= maxDataBytes) return data
    throw new ZkError('BAD_ARGUMENTS', 'set', this.path, false, { detail: `${data.length} bytes, at most ${maxDataBytes}` })
  }
}
