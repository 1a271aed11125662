import type { Cluster, Running, Start } from './parts.js'
import { Process } from './process.js'

/** A part's place in the cluster: an id and an address, and one incarnation after the other. A supervisor starts
 * it again whenever it has ended. */
export class Slot {
  readonly id: string
  readonly url: string
  running: Running
  /** It was told to stop, and has not yet. */
  stopping = false
  /** When it last became well. */
  wellSince = 0
  readonly #cluster: Cluster
  readonly #start: Start
  #incarnations = 0
  #wished = false

  constructor(cluster: Cluster, id: string, start: Start) {
    this.#cluster = cluster
    this.id = id
    this.url = `http://${id}:1`
    this.#start = start
    this.running = this.#begin()
  }

  get process(): Process {
    return this.running.process
  }

  get up(): boolean {
    return this.process.state === 'up' && !this.stopping && !this.#wished
  }

  /** An operator wishes it to drain, or no longer does. */
  wish(wished: boolean): void {
    const { process, running } = this
    if (!running.wish || process.state !== 'up' || this.stopping || this.#wished === wished) return
    this.#tell(wished ? 'is wished to drain' : 'may stay')
    this.#wished = wished
    this.wellSince = this.#cluster.world.now
    process.run(() => running.wish!(wished))
  }

  /** SIGKILL; the supervisor brings it back. @param dark its host goes with it: nobody refuses a connection meanwhile */
  kill(backAfterMs: number, dark = false): void {
    if (this.process.state === 'dead') return
    this.#tell(dark ? 'is killed, and its host is gone' : 'is killed')
    this.process.kill()
    this.#cluster.disk.unlock(this.process)
    if (dark) this.#cluster.network.dark.add(this.url)
    this.#cluster.world.after(backAfterMs, () => {
      this.#tell('starts')
      this.stopping = false
      this.#cluster.network.dark.delete(this.url)
      this.running = this.#begin()
    })
  }

  /** SIGSTOP, and SIGCONT after a while. @param holdsLock in the middle of a transaction: nobody commits meanwhile */
  freeze(ms: number, holdsLock = false): void {
    const { process, session } = this.running
    if (process.state !== 'up') return
    this.#tell(`freezes for ${Math.round(ms)} ms`)
    process.freeze()
    if (holdsLock) this.#cluster.disk.lock(process)
    this.#cluster.registry.expireUnlessHeard(session)
    this.#cluster.world.after(ms, () => this.#thaw(process))
  }

  thaw(): void {
    this.#thaw(this.process)
  }

  /** SIGTERM; the supervisor brings it back. */
  stop(): void {
    if (!this.up) return
    this.#tell('is told to stop')
    this.stopping = true
    const { running } = this
    this.process.run(() => void running.stop().then(() => {
      if (this.running === running) this.kill(this.#cluster.world.random.between(200, 1_500))
    }))
  }

  #thaw(process: Process): void {
    if (process.state !== 'frozen') return
    this.#tell('thaws')
    this.#cluster.disk.unlock(process)
    process.thaw()
    this.wellSince = this.#cluster.world.now
  }

  #begin(): Running {
    this.wellSince = this.#cluster.world.now
    this.#wished = false
    const process = new Process(this.#cluster.world, `${this.id}.${++this.#incarnations}`, error => this.#cluster.onBug(process.name, error))
    return this.#start(this.#cluster, process, this.url)
  }

  #tell(what: string): void {
    this.#cluster.world.tell?.(`! ${this.process.name} ${what}`)
  }
}
