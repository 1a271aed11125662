import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../folder.js'
import type { Ports } from '../ports.js'
import { secureNode, urlOf } from './access.js'
import { HOST, startLocalNode, type LocalNode } from './local-node.js'

export interface CassandraOptions {
  readonly folder: string
  /** Of the role that alone may use it. */
  readonly password: string
  readonly ports: Ports
  readonly restart: boolean
  readonly say: (line: string) => void
  readonly changed: () => void
}

const RESTART_MS = 1_000
const PROGRESS_MS = 3_000
/** MB; the JVM has rather more beside its heap. */
const HEAP_MB = 256

/** The cluster's own Cassandra: one node, closed to other users of the machine, restarted on the same port when it dies. */
export class Cassandra implements Member {
  readonly id = 'cassandra-1'
  readonly internalUrl = null
  pid: number | null = null
  readonly #options: CassandraOptions
  #ports: { readonly port: number; readonly storagePort: number } | undefined
  #node: LocalNode | undefined
  readonly #stopped = new AbortController()

  constructor(options: CassandraOptions) {
    this.#options = options
  }

  /** What STORE_URL takes; null while its port is not known. */
  get url(): string | null {
    return this.#ports ? urlOf(this.#ports.port) : null
  }

  /** Starts it, makes the store in it where there is none, and waits until it serves.
   * @throws Error if Java or Cassandra is missing, or it does not come up */
  async start(): Promise<void> {
    const { ports } = this.#options
    this.#ports = { port: await ports.take(HOST), storagePort: await ports.take(HOST) }
    await this.#launch('ready')
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#stopped.abort()
    if (!this.#node) return this.kill() // it is still starting
    const force = setTimeout(() => this.kill(), deadlineMs)
    await this.#node.stop()
    clearTimeout(force)
  }

  /** Loses nothing: what it has acknowledged is on disk. */
  kill(): void {
    this.#stopped.abort()
    if (this.pid === null) return
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      // Gone already.
    }
  }

  get #isStopping(): boolean {
    return this.#stopped.signal.aborted
  }

  async #launch(how: string): Promise<void> {
    const { folder, password, say } = this.#options
    const began = performance.now()
    const progress = setInterval(() => say(`${this.id.padEnd(12)} starting: ${Math.round((performance.now() - began) / 1000)} s; it takes 10 to 30`), PROGRESS_MS)
    try {
      const node = await startLocalNode({ folder, ...this.#ports!, heapMb: HEAP_MB, passwords: true, onSpawn: pid => this.#setPid(pid) })
      this.#node = node
      if (this.#isStopping) return await node.stop()
      void node.exited.then(({ code, signal }) => this.#ended(signal ? `was killed by ${signal}` : `ended with status ${code}`))
      await secureNode(this.#ports!.port, password, this.#stopped.signal)
      say(`${this.id.padEnd(12)} ${how}: pid ${node.pid}, ${this.url}`)
    } finally {
      clearInterval(progress)
    }
  }

  #setPid(pid: number | null): void {
    this.pid = pid
    this.#options.changed()
  }

  async #ended(how: string): Promise<void> {
    const { restart, say } = this.#options
    this.#node = undefined
    this.#setPid(null)
    if (this.#isStopping) return
    if (!restart) return say(`${this.id} ${how}`)
    say(`${this.id} ${how}; restarting it in ${RESTART_MS / 1000} s`)
    for (;;) {
      await sleep(RESTART_MS)
      if (this.#isStopping) return
      try {
        return await this.#launch('ready again')
      } catch (error) {
        if (this.#isStopping) return
        say(`${this.id} cannot be started: ${(error as Error).message}`)
        if (this.#node) return // it runs, and when it ends it is started again
        this.#setPid(null)
      }
    }
  }
}
