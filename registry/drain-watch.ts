import { DRAIN, parseDrain, RubbishError } from '../protocol/nodes.js'
import type { Log } from '../runtime/log.js'
import type { Watch, Zk } from './zookeeper/client.js'
import { LOOK_AGAIN_MS, nowAndThen } from './zookeeper/now-and-then.js'
import { isZkError, ZkError } from './zookeeper/zk-error.js'

export interface DrainWatchOptions {
  readonly zk: Zk
  readonly log: Log
  /** Of the edge or the gateway. */
  readonly id: string
  readonly instance: string
  /** An operator wishes this instance to leave, or has taken that wish back (false). Called at each change; at start only
   * for a wish. */
  readonly onWish: (wished: boolean) => void
}

/** Before a failed read is tried again. */
const RETRY_MS = 1_000

/** Watches for an operator's wish that this node drain. A wish that names another instance of its id does not count. */
export class DrainWatch {
  readonly #options: DrainWatchOptions
  readonly #path: string
  readonly #stopListening: () => void
  readonly #stopLooking: () => void
  /** As `onWish` last said. */
  #wished = false
  /** The wish is to be read. */
  #dirty = false
  #reading = false
  #retryTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: DrainWatchOptions) {
    this.#options = options
    this.#path = `${DRAIN}/${options.id}`
    this.#stopListening = options.zk.session.listen({ onConnected: this.#read })
    this.#stopLooking = nowAndThen(LOOK_AGAIN_MS, this.#read)
    this.#read()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retryTimer)
    this.#stopListening()
    this.#stopLooking()
  }

  readonly #read = (): void => {
    this.#dirty = true
    if (!this.#reading) void this.#run()
  }

  /** Always the same function: the library keeps every other one as one more listener. */
  readonly #onEvent: Watch = () => this.#read()

  async #run(): Promise<void> {
    this.#reading = true
    try {
      while (this.#dirty && !this.#closed && this.#options.zk.connected) {
        this.#dirty = false
        const wished = await this.#wish()
        if (this.#closed || wished === this.#wished) continue
        this.#wished = wished
        this.#options.onWish(wished)
      }
    } catch (error) {
      if (!(error instanceof ZkError)) throw error
      clearTimeout(this.#retryTimer)
      if (!this.#closed) this.#retryTimer = setTimeout(this.#read, RETRY_MS).unref()
    } finally {
      this.#reading = false
    }
  }

  /** Reads the wish, and watches it. */
  async #wish(): Promise<boolean> {
    const { zk, log, instance } = this.#options
    try {
      const { data } = await zk.getData(this.#path, this.#onEvent)
      return parseDrain(data).instance === instance
    } catch (error) {
      if (error instanceof RubbishError) {
        log.warn({ path: this.#path, reason: error.message }, 'registry_rubbish')
        return false
      }
      if (!isZkError(error, 'NO_NODE')) throw error
      if (await zk.exists(this.#path, this.#onEvent)) this.#dirty = true // made between the two looks: read it
      return false
    }
  }
}
