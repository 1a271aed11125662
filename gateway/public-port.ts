import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Gauge, type Registry as Metrics } from 'prom-client'
import { sleep, type Clock } from '../runtime/clock.js'
import type { HttpServer } from '../runtime/http/server.js'

export interface PublicPortOptions {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly server: HttpServer
  /** The server that redirects to the other one, if there is one. */
  readonly redirect: HttpServer | undefined
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly redirectPort: number | undefined
  /** Whether other gateways on this machine may listen on both ports. */
  readonly shared: boolean
}

/** A post that came before the registry has been read would find no dispatcher. Without ZooKeeper the port opens after this
 * time all the same, if nobody else serves it. */
const FIRST_READ_MS = 2_000
const LOOK_EVERY_MS = 10
const LOOK_FOR_OTHERS_EVERY_MS = 200
/** The kernel's lists of TCP sockets, and the state of one that listens. */
const SOCKETS = ['/proc/net/tcp', '/proc/net/tcp6']
const LISTENS = '0A'
/** There since Linux 5.14. */
const MIGRATE = '/proc/sys/net/ipv4/tcp_migrate_req'

/** When a gateway listens on its public port. The kernel gives each of the gateways that share a port its part of the new
 * connections, whatever state the gateway is in, so one that is not ready leaves the port to the others. */
export class PublicPort {
  readonly #options: PublicPortOptions
  #isOpen = false
  /** An operator has asked for a drain, or the gateway stops. */
  #isLeaving = false

  constructor(options: PublicPortOptions) {
    this.#options = options
    const { shared, metrics } = options
    if (shared && existsSync(MIGRATE)) new Gauge({ name: 'live_tcp_migrate_req', help: 'net.ipv4.tcp_migrate_req, where gateways share a port: 1 if connections that a stopping one has not accepted go to another.', registers: [metrics], collect: migrates })
  }

  /** Why no connection comes here, or undefined. */
  notReady(): string | undefined {
    return this.#isOpen ? undefined : 'the public port is not open'
  }

  /** Opens it once the gateway is ready; after a while also before, but not if others serve it. It stays closed if the gateway
   * is to stop meanwhile.
   * @returns the port
   * @throws LiveError if the port is taken or the host not ours */
  async open(isReady: () => boolean, stopping: Promise<void>): Promise<number> {
    const { clock, port } = this.#options
    void stopping.then(() => (this.#isLeaving = true))
    const waits = () => !isReady() && !this.#isLeaving
    const readBy = clock.now() + FIRST_READ_MS
    while (waits() && clock.now() < readBy) await sleep(clock, LOOK_EVERY_MS)
    while (waits() && (await this.#others()) > 0) await sleep(clock, LOOK_FOR_OTHERS_EVERY_MS)
    return this.#isLeaving ? port : this.#listen()
  }

  /** Leaves it to the others. If there are none, it stays open, as a port that is not shared does. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    if ((await this.#others()) > 0 && this.#isLeaving) await this.#stopListening()
    if (!this.#isLeaving) this.comeBack() // the drain was called off meanwhile
  }

  /** After a drain that was called off. */
  comeBack(): void {
    this.#isLeaving = false
    if (!this.#isOpen) this.#listen()
  }

  /** Accepts no new connections. */
  async close(): Promise<void> {
    this.#isLeaving = true
    await this.#stopListening()
  }

  #listen(): number {
    const { server, redirect, host, port, redirectPort, shared } = this.#options
    const opened = server.listen(host, port, shared)
    if (redirectPort !== undefined) redirect?.listen(host, redirectPort, shared)
    this.#isOpen = true
    return opened
  }

  async #stopListening(): Promise<void> {
    const { server, redirect } = this.#options
    await Promise.all([server.stopListening(), redirect?.stopListening()])
    this.#isOpen = false
  }

  /** How many others listen on the port. */
  async #others(): Promise<number> {
    const { port, shared } = this.#options
    return shared ? (await listenersOn(port)) - Number(this.#isOpen) : 0
  }
}

async function migrates(this: Gauge): Promise<void> {
  this.set(Number(await readFile(MIGRATE, 'utf8')))
}

/** How many sockets of this network namespace listen on a port, whatever the address. */
async function listenersOn(port: number): Promise<number> {
  const listener = new RegExp(`^ *\\d+: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F:]+ ${LISTENS} `, 'gm')
  const tables = await Promise.all(SOCKETS.map(file => readFile(file, 'utf8').catch(() => ''))) // there may be no IPv6
  return tables.reduce((count, table) => count + (table.match(listener)?.length ?? 0), 0)
}
