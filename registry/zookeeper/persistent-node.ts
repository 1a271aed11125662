import { MAX_ZNODE_BYTES } from '../../protocol/nodes.js'
import type { Watch, Zk } from './client.js'
import type { NodeStat } from './node-stat.js'
import { LOOK_AGAIN_MS, nowAndThen } from './now-and-then.js'
import { isZkError, ZkError } from './zk-error.js'

export interface PersistentNodeOptions {
  readonly zk: Zk
  readonly path: string
  /** What the node holds until the first `set`. It must not be changed afterwards. */
  readonly data: Buffer
  /** Whether ours may take the place of another session's node at our path, which holds `data`. A rejection counts as no;
   * while the answer is no, the question is asked again about once a second. It must settle. */
  readonly mayReplace: (data: Buffer) => Promise<boolean>
  /** The node stands, in our session. */
  readonly onUp?: () => void
  /** The node is gone or another session's, or our session was lost; not called for `close`. */
  readonly onDown?: () => void
  /** The newest data, as of when the write began, stands in ZooKeeper. Called also when it stood there already. */
  readonly onWritten?: (data: Buffer) => void
  /** Another session's node stands at our path and may not be replaced. Called once for each such node. */
  readonly onConflict?: (data: Buffer) => void
  /** ZooKeeper refused a call for a reason that no reconnect mends, or hangs up at every write. It is tried again all the
   * same. */
  readonly onWarning?: (error: ZkError) => void
  /** The node is looked at about each so often, ms; 4 minutes by default. */
  readonly lookAgainMs?: number
}

/** Our node's data in ZooKeeper, as we wrote it last. */
interface Written {
  /** Undefined until the node was looked at after we made it. */
  readonly czxid: bigint | undefined
  readonly version: number
  readonly data: Buffer
}

/** What is known of the node.
 * `down`: none of ours stands. `made`: we made it and have not looked at it since. `unchecked`: it stood when last looked
 * at; since then the connection was opened anew, or something unexpected happened. `checked`: it stands and its end is
 * watched, on this connection. */
type Standing = { readonly state: 'down' } | { readonly state: 'made' | 'unchecked' | 'checked'; readonly written: Written }

const DOWN: Standing = { state: 'down' }

/** Between two tries after a failure. */
const RETRY_MS = 200
/** Between two looks at a node that may not be replaced, and after ZooKeeper has refused a call. */
const REFUSED_RETRY_MS = 1_000
/** From this many writes in a row on that were lost with their connection, the next one waits: doubled each time, up to the
 * most. A server hangs up on a write over its `jute.maxbuffer`, and everything else on the connection is lost with it. */
const LOST_WRITES = 2
const LOST_RETRY_MS = { first: 1_000, most: 10_000 }

/** Keeps an ephemeral node present, with the data that was set last, through disconnects, lost sessions and its deletion
 * by others. One write is in flight at a time, and it has the newest data: what is set meanwhile goes into the next one.
 * While the node's version is known, a write is one round trip; after anything unexpected it looks at the node first.
 *
 * It watches the node's end, not its data: a write by others is noticed, and undone, with our next write, at the next
 * reconnect, or within minutes. While ZooKeeper is not connected, `up` says what was last known. */
export class PersistentNode {
  readonly #options: PersistentNodeOptions
  readonly #stopListening: () => void
  readonly #stopLooking: () => void
  #data: Buffer
  #standing: Standing = DOWN
  /** The czxid of the other session's node that `onConflict` was last called for. */
  #conflict: bigint | undefined
  /** Writes in a row that were lost with their connection. */
  #lostWrites = 0
  /** Nothing is written before, monotonic ms. */
  #writeFrom = 0
  /** There is something to look at or to write. */
  #dirty = false
  #running: Promise<void> | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #closed = false

  /** @throws ZkError `BAD_ARGUMENTS` when the data is over the limit of a node */
  constructor(options: PersistentNodeOptions) {
    this.#options = options
    this.#data = this.#allowed(options.data)
    this.#stopListening = options.zk.session.listen({ onConnected: this.#check, onLost: this.#lost })
    this.#stopLooking = nowAndThen(options.lookAgainMs ?? LOOK_AGAIN_MS, this.#check)
    this.#kick()
  }

  /** The node stands, in our session. Its data may still be older than what was set last. */
  get up(): boolean {
    return this.#standing.state === 'unchecked' || this.#standing.state === 'checked'
  }

  /** The node stands with the data that was set last. */
  get current(): boolean {
    return this.up && this.#written !== undefined && this.#written.data.equals(this.#data)
  }

  /** Writes `data`, which must not be changed afterwards, as soon as the write under way is done.
   * @throws ZkError `BAD_ARGUMENTS` when it is over the limit of a node */
  set(data: Buffer): void {
    this.#data = this.#allowed(data)
    this.#kick()
  }

  /** Removes the node if it is ours. When ZooKeeper cannot be reached, the node goes with the session. */
  async close(): Promise<void> {
    const { zk, path } = this.#options
    this.#closed = true
    clearTimeout(this.#retryTimer)
    this.#stopListening()
    this.#stopLooking()
    await this.#running
    try {
      const stat = await zk.exists(path)
      if (stat?.ephemeralOwner === zk.session.id) await zk.remove(path, stat.version)
    } catch (error) {
      if (!(error instanceof ZkError)) throw error
    }
    this.#enter(DOWN)
  }

  get #written(): Written | undefined {
    return this.#standing.state === 'down' ? undefined : this.#standing.written
  }

  /** Looks at the node before the next write. */
  readonly #check = (): void => {
    this.#uncheck()
    this.#kick()
  }

  readonly #lost = (): void => this.#enter(DOWN)

  /** Always the same function: the library keeps every other one as one more listener. */
  readonly #onGone: Watch = () => this.#check()

  readonly #kick = (): void => {
    this.#dirty = true
    if (!this.#closed) this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    // Lets the caller finish: what it sets in one go is one write.
    await Promise.resolve()
    clearTimeout(this.#retryTimer)
    try {
      while (this.#dirty && !this.#closed && this.#options.zk.connected) {
        this.#dirty = false
        await (this.#standing.state === 'checked' ? this.#write(this.#standing.written) : this.#look())
      }
    } catch (error) {
      this.#uncheck()
      if (!(error instanceof ZkError)) throw error
      if (!error.retryable) this.#options.onWarning?.(error)
      this.#kickIn(error.retryable ? RETRY_MS : REFUSED_RETRY_MS)
    } finally {
      this.#running = undefined
    }
  }

  #kickIn(ms: number): void {
    clearTimeout(this.#retryTimer)
    if (!this.#closed) this.#retryTimer = setTimeout(this.#kick, ms).unref()
  }

  /** Makes sure that the node stands and that its end is watched. It watches the node's children, of which there are
   * none: a watch on the node's data would fire at every write of ours. */
  async #look(): Promise<void> {
    const { zk, path } = this.#options
    const { session } = zk
    const { epoch } = session
    this.#dirty = true
    try {
      const { stat } = await zk.getChildren(path, this.#onGone)
      if (epoch !== session.epoch) return
      if (stat.ephemeralOwner !== session.id) {
        this.#enter(DOWN)
        await this.#replace()
        return
      }
      this.#conflict = undefined
      const written = this.#written
      const known = written?.version === stat.version && (written.czxid ?? stat.czxid) === stat.czxid
      if (!known && this.#waits()) return
      const data = known ? written.data : this.#data
      const { version } = known ? stat : await this.#counted(zk.setData(path, data, stat.version))
      if (epoch !== session.epoch) return
      this.#enter({ state: 'checked', written: { czxid: stat.czxid, version, data } })
    } catch (error) {
      if (isZkError(error, 'BAD_VERSION')) return
      if (!isZkError(error, 'NO_NODE')) throw error
      this.#enter(DOWN)
      await this.#create()
    }
  }

  async #replace(): Promise<void> {
    const { zk, path, mayReplace, onConflict } = this.#options
    const { data, stat } = await zk.getData(path)
    if (stat.ephemeralOwner === zk.session.id) return
    const allowed = await mayReplace(data).catch(() => false)
    if (this.#closed) return
    if (allowed) {
      await this.#create(stat)
      return
    }
    if (this.#conflict !== stat.czxid) {
      this.#conflict = stat.czxid
      onConflict?.(data)
    }
    this.#dirty = false
    this.#kickIn(REFUSED_RETRY_MS)
  }

  /** Afterwards the loop looks again: it sees the node in our session and watches it. */
  async #create(insteadOf?: NodeStat): Promise<void> {
    if (this.#waits()) return
    const { zk, path } = this.#options
    const { epoch } = zk.session
    const data = this.#data
    try {
      // In one transaction, so that nobody finds the path empty.
      const replacement = (version: number) =>
        zk.multi([
          { op: 'remove', path, version },
          { op: 'create', path, data, ephemeral: true },
        ])
      await this.#counted(insteadOf ? replacement(insteadOf.version) : zk.create(path, data, { ephemeral: true }))
      if (epoch === zk.session.epoch) this.#enter({ state: 'made', written: { czxid: undefined, version: 0, data } })
    } catch (error) {
      if (isZkError(error, 'NO_NODE')) await zk.ensure(path.slice(0, path.lastIndexOf('/')) || '/')
      else if (!isZkError(error, 'NODE_EXISTS', 'BAD_VERSION')) throw error
    }
  }

  async #write(written: Written): Promise<void> {
    const { zk, path, onWritten } = this.#options
    const data = this.#data
    if (!written.data.equals(data)) {
      if (this.#waits()) return
      try {
        const { version } = await this.#counted(zk.setData(path, data, written.version))
        // The session was lost meanwhile.
        if (this.#standing.state === 'down' || this.#standing.written !== written) return
        this.#enter({ ...this.#standing, written: { ...written, version, data } })
      } catch (error) {
        if (!isZkError(error, 'BAD_VERSION', 'NO_NODE')) throw error
        this.#check()
        return
      }
    }
    onWritten?.(data)
  }

  /** Whether the next write is to wait; the loop then ends and begins again when it is due. */
  #waits(): boolean {
    const leftMs = this.#writeFrom - performance.now()
    if (leftMs <= 0) return false
    this.#dirty = false
    this.#kickIn(leftMs)
    return true
  }

  /** Counts how often the connection is lost with a write. */
  async #counted<T>(write: Promise<T>): Promise<T> {
    try {
      const result = await write
      this.#lostWrites = 0
      return result
    } catch (error) {
      if (!isZkError(error, 'CONNECTION_LOSS')) this.#lostWrites = 0
      else if (error.sent && ++this.#lostWrites >= LOST_WRITES) {
        this.#writeFrom = performance.now() + Math.min(LOST_RETRY_MS.most, LOST_RETRY_MS.first * 2 ** (this.#lostWrites - LOST_WRITES))
        this.#options.onWarning?.(error)
      }
      throw error
    }
  }

  #uncheck(): void {
    if (this.#standing.state === 'checked') this.#enter({ ...this.#standing, state: 'unchecked' })
  }

  #enter(standing: Standing): void {
    const wasUp = this.up
    this.#standing = standing
    if (this.up && !wasUp) this.#options.onUp?.()
    else if (wasUp && !this.up && !this.#closed) this.#options.onDown?.()
  }

  #allowed(data: Buffer): Buffer {
    if (data.length <= MAX_ZNODE_BYTES) return data
    throw new ZkError('BAD_ARGUMENTS', 'set', this.#options.path, false, { detail: `${data.length} bytes, at most ${MAX_ZNODE_BYTES}` })
  }
}
