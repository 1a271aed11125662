import { DRAIN, parseDrain, RubbishError } from '../protocol/nodes.js'
import type { Log } from '../runtime/log.js'
import type { Watch, Zk } from './zookeeper/client.js'
import { isZk, ZkError } from './zookeeper/zk-error.js'

export interface DrainWatchOptions {
  readonly zk: Zk
  readonly log: Log
  readonly edgeId: string
  readonly instance: string
  /** An operator wishes this instance to leave, or (false) no longer does. Not called at start where nobody does. */
  readonly onWish: (wished: boolean) => void
}

const RETRY_MS = 1_000

/** Watches for an operator's wish that an edge drain. One that names another instance of the id is not for us. */
export class DrainWatch {
  readonly #options: DrainWatchOptions
  readonly #path: string
  #wished = false
  #closed = false
  #dirty = false
  #reading = false
  #retry: NodeJS.Timeout | undefined

  constructor(options: DrainWatchOptions) {
    this.#options = options
    this.#path = `${DRAIN}/${options.edgeId}`
    options.zk.on('connected', this.#read)
    this.#read()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#options.zk.off('connected', this.#read)
  }

  readonly #read = (): void => {
    this.#dirty = true
    if (!this.#reading) void this.#run()
  }

  /** One function for good: the library keeps every other one as a further listener. */
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
      clearTimeout(this.#retry)
      if (!this.#closed) this.#retry = setTimeout(this.#read, RETRY_MS).unref()
    } finally {
      this.#reading = false
    }
  }

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
      if (!isZk(error, 'NO_NODE')) throw error
      if (await zk.exists(this.#path, this.#onEvent)) this.#dirty = true // it came meanwhile: read it
      return false
    }
  }
}
