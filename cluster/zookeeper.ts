import { setTimeout as sleep } from 'node:timers/promises'
import { startLocalServer, type LocalServer } from '../registry/zookeeper/local-server.js'
import type { Member } from './folder.js'
import { isFree, type Ports } from './ports.js'

export interface ZooKeeperOptions {
  readonly folder: string
  readonly chroot: string
  readonly ports: Ports
  readonly restart: boolean
  readonly say: (line: string) => void
  readonly changed: () => void
}

const HOST = '127.0.0.1'
const USUAL_PORT = 2181
const RESTART_MS = 1_000

/** A ZooKeeper of the cluster's own, started again on the same port when it dies. */
export class ZooKeeper implements Member {
  readonly id = 'zookeeper-1'
  readonly internalUrl = null
  pid: number | null = null
  readonly #options: ZooKeeperOptions
  #port = 0
  #server: LocalServer | undefined
  #stopping = false

  constructor(options: ZooKeeperOptions) {
    this.#options = options
  }

  /** What ZOOKEEPER_CONNECT takes. */
  get url(): string {
    return `${HOST}:${this.#port}${this.#options.chroot}`
  }

  /** Starts it and waits until it serves. @throws Error when Java or ZooKeeper is missing, or it does not come up */
  async start(): Promise<void> {
    const { ports, say } = this.#options
    this.#port = (await isFree(HOST, USUAL_PORT)) ? USUAL_PORT : await ports.take(HOST)
    try {
      await this.#launch()
    } catch (error) {
      // Another cluster that starts at the same time was first to take the usual port.
      if (this.#stopping || this.#port !== USUAL_PORT || (await isFree(HOST, USUAL_PORT))) throw error
      this.#port = await ports.take(HOST)
      await this.#launch()
    }
    say(`${this.id.padEnd(12)} ready: pid ${this.pid}, ${this.url}`)
  }

  async stop(deadlineMs: number): Promise<void> {
    if (!this.#server) return this.kill() // it is being started
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
    const server = await startLocalServer({ folder: this.#options.folder, port: this.#port, onSpawn: pid => this.#setPid(pid) })
    this.#server = server
    if (this.#stopping) return server.stop()
    void server.exited.then(({ code, signal }) => this.#ended(signal ? `was ended by ${signal}` : `ended with status ${code}`))
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
    say(`${this.id} ${how} and is started again in ${RESTART_MS / 1000} s`)
    for (;;) {
      await sleep(RESTART_MS)
      if (this.#stopping) return
      try {
        await this.#launch()
        return say(`${this.id.padEnd(12)} ready again: pid ${this.pid}, ${this.url}`)
      } catch (error) {
        this.#setPid(null)
        say(`${this.id} cannot be started: ${(error as Error).message}`)
      }
    }
  }
}
