import { parseStore, printNode, RubbishError, STORE, type ExpectedStore } from '../protocol/nodes.js'
import type { Log } from '../runtime/log.js'
import type { Watch, Zk } from './zookeeper/client.js'
import { isZkError, ZkError } from './zookeeper/zk-error.js'

export interface StoreWatchOptions {
  readonly zk: Zk
  readonly log: Log
  /** What is expected has been read, or has changed. */
  readonly onChange: () => void
}

/** Before a failed read is tried again. */
const RETRY_MS = 1_000

/** What stands in ZooKeeper. */
interface Standing {
  /** Undefined where no store is expected yet. */
  readonly expected: ExpectedStore | undefined
  readonly version: number
}

/** Follows which store is expected, and says so: one node for the whole cluster, that stays. */
export class StoreWatch {
  /** Resolves when it has been read once. */
  readonly firstRead: Promise<void>
  readonly #options: StoreWatchOptions
  readonly #stopListening: () => void
  #tellRead = (): void => {}
  #standing: Standing | undefined
  /** It is to be read. */
  #dirty = false
  #reading: Promise<void> | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: StoreWatchOptions) {
    this.#options = options
    this.firstRead = new Promise(resolve => (this.#tellRead = resolve))
    this.#stopListening = options.zk.session.listen({ onConnected: this.#read })
    this.#read()
  }

  /** It has been read once; without ZooKeeper, or for rubbish, what was read last stands. */
  get isRead(): boolean {
    return this.#standing !== undefined
  }

  get expected(): ExpectedStore | undefined {
    return this.#standing?.expected
  }

  /** Expects this store instead of what `expected` has said, if that has not changed: where nothing is expected, the first
   * to say so wins. @returns whether it is expected now. @throws ZkError when ZooKeeper is away */
  async expect(store: ExpectedStore, insteadOf: ExpectedStore | undefined): Promise<boolean> {
    const { zk } = this.#options
    const standing = this.#standing
    if (!standing || standing.expected !== insteadOf) return false
    try {
      if (standing.expected) await zk.setData(STORE, printNode(store), standing.version)
      else await create(zk, store)
      return true
    } catch (error) {
      if (!isZkError(error, 'BAD_VERSION', 'NODE_EXISTS', 'NO_NODE')) throw error
      return false
    } finally {
      await this.#readNow()
    }
  }

  /** Expects this store, whatever was expected before. @throws ZkError when ZooKeeper is away */
  async replace(store: ExpectedStore): Promise<void> {
    await expectStore(this.#options.zk, store)
    await this.#readNow()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retryTimer)
    this.#stopListening()
  }

  readonly #read = (): void => {
    void this.#readNow()
  }

  /** Always the same function: the library keeps every other one as one more listener. */
  readonly #onEvent: Watch = () => this.#read()

  /** Resolves when it has been read after this call. */
  #readNow(): Promise<void> {
    this.#dirty = true
    return (this.#reading ??= this.#readUntilClean().finally(() => (this.#reading = undefined)))
  }

  async #readUntilClean(): Promise<void> {
    try {
      while (this.#dirty && !this.#closed && this.#options.zk.connected) {
        this.#dirty = false
        const standing = await this.#look()
        if (this.#closed || standing === undefined) continue
        const before = this.#standing
        this.#standing = standing
        this.#tellRead()
        if (!before || before.version !== standing.version || JSON.stringify(before.expected) !== JSON.stringify(standing.expected)) this.#options.onChange()
      }
    } catch (error) {
      if (!(error instanceof ZkError)) throw error
      clearTimeout(this.#retryTimer)
      if (!this.#closed) this.#retryTimer = setTimeout(this.#read, RETRY_MS).unref()
    }
  }

  /** Reads it, and watches it. @returns undefined for rubbish */
  async #look(): Promise<Standing | undefined> {
    const { zk, log } = this.#options
    try {
      const { data, stat } = await zk.getData(STORE, this.#onEvent)
      return { expected: parseStore(data), version: stat.version }
    } catch (error) {
      if (error instanceof RubbishError) {
        log.warn({ path: STORE, reason: error.message }, 'registry_rubbish')
        return undefined
      }
      if (!isZkError(error, 'NO_NODE')) throw error
      if (await zk.exists(STORE, this.#onEvent)) this.#dirty = true // made between the two looks: read it
      return { expected: undefined, version: 0 }
    }
  }
}

/** Has the cluster expect this store, whatever it expected before. @throws ZkError when ZooKeeper is away */
export async function expectStore(zk: Zk, store: ExpectedStore): Promise<void> {
  try {
    await zk.setData(STORE, printNode(store))
  } catch (error) {
    if (!isZkError(error, 'NO_NODE')) throw error
    await create(zk, store)
  }
}

/** @throws ZkError `NODE_EXISTS`, or when ZooKeeper is away */
async function create(zk: Zk, store: ExpectedStore): Promise<void> {
  await zk.ensure(STORE.slice(0, STORE.lastIndexOf('/')))
  await zk.create(STORE, printNode(store))
}
