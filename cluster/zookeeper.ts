import { setTimeout as sleep } from 'node:timers/promises'
import { modeOf } from '../registry/zookeeper/four-letter-word.js'
import { startLocalServer, type LocalServer, type PeerPorts } from '../registry/zookeeper/local-server.js'
import type { Member } from './folder.js'
import { isFree, type Ports } from './ports.js'

export interface ZooKeeperOptions {
  /** 1 for the first. */
  readonly number: number
  readonly folder: string
  readonly chroot: string
  /** The servers of its ensemble, itself included; without, it stands alone. */
  readonly ensemble?: readonly PeerPorts[] | undefined
  readonly ports: Ports
  readonly restart: boolean
  readonly say: (line: string) => void
  readonly changed: () => void
}

export const HOST = '127.0.0.1'
const USUAL_PORT = 2181
const RESTART_MS = 1_000
/** Between two looks at whether it serves. */
const POLL_MS = 100
/** MB; one that stands alone has the usual one. */
const ENSEMBLE_HEAP_MB = 128

/** One ZooKeeper server of the cluster's own, restarted on the same port when it dies. */
export class ZooKeeper implements Member {
  readonly id: string
  readonly internalUrl = null
  pid: number | null = null
  readonly #options: ZooKeeperOptions
  #port = 0
  #server: LocalServer | undefined
  #stopping = false

  constructor(options: ZooKeeperOptions) {
    this.#options = options
    this.id = `zookeeper-${options.number}`
  }

  /** The value for ZOOKEEPER_CONNECT, for this server alone. */
  get url(): string {
    return `${HOST}:${this.#port}${this.#options.chroot}`
  }

  /** Starts it and waits until it serves. @throws Error if Java or ZooKeeper is missing, or it does not come up */
  async start(): Promise<void> {
    const { ports, ensemble } = this.#options
    this.#port = !ensemble && (await isFree(HOST, USUAL_PORT)) ? USUAL_PORT : await ports.take(HOST)
    try {
      await this.#launch()
    } catch (error) {
      // Another cluster that starts at the same time took the usual port first.
      if (this.#stopping || this.#port !== USUAL_PORT || (await isFree(HOST, USUAL_PORT))) throw error
      this.#port = await ports.take(HOST)
      await this.#launch()
    }
    await this.#serves('ready')
  }

  async stop(deadlineMs: number): Promise<void> {
    if (!this.#server) return this.kill() // it is still starting
    this.#stopping = true
    const force = setTimeout(() => this.kill(), deadlineMs)
    await this.#server.stop()
    clearTimeout(force)
  }

  kill(): void {
    this.#stopping = true
    if (this.pid === null) return
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      // Gone already.
    }
  }

  async #launch(): Promise<void> {
    const { folder, number, ensemble } = this.#options
    const place = ensemble && { ensemble: { number, servers: ensemble }, heapMb: ENSEMBLE_HEAP_MB }
    const server = await startLocalServer({ folder, port: this.#port, onSpawn: pid => this.#setPid(pid), ...place })
    this.#server = server
    if (this.#stopping) return server.stop()
    void server.exited.then(({ code, signal }) => this.#ended(signal ? `was killed by ${signal}` : `ended with status ${code}`))
  }

  /** Waits until it serves, and says so, unless it ends before: without most of its ensemble it does not serve. */
  async #serves(how: string): Promise<void> {
    const { pid } = this
    for (;;) {
      const mode = await modeOf(HOST, this.#port)
      if (this.#stopping || this.pid !== pid) return
      if (mode !== undefined) return this.#options.say(`${this.id.padEnd(12)} ${how}: pid ${pid}, ${this.url}${mode === 'standalone' ? '' : `, ${mode}`}`)
      await sleep(POLL_MS)
    }
  }

  #setPid(pid: number | null): void {
    this.pid = pid
    this.#options.changed()
  }

  async #ended(how: string): Promise<void> {
    const { restart, say } = this.#options
    this.#server = undefined
    this.#setPid(null)
    if (this.#stopping) return
    if (!restart) return say(`${this.id} ${how}`)
    say(`${this.id} ${how}; restarting it in ${RESTART_MS / 1000} s`)
    for (;;) {
      await sleep(RESTART_MS)
      if (this.#stopping) return
      try {
        await this.#launch()
        return await this.#serves('ready again')
      } catch (error) {
        this.#setPid(null)
        say(`${this.id} cannot be started: ${(error as Error).message}`)
      }
    }
  }
}
