import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Guard } from '../../cluster/guard.js'
import { Zk, type ZkOptions } from '../../registry/zookeeper/client.js'
import { startLocalServer, type LocalServer, type LocalServerOptions } from '../../registry/zookeeper/local-server.js'
import type { SessionListener } from '../../registry/zookeeper/session.js'

/** A real ZooKeeper of a test's own. */
export class TestZooKeeper {
  #server: LocalServer | undefined
  readonly #guard: Guard

  /** @param guard ends it where the test is cut short */
  constructor(
    readonly folder: string,
    server: LocalServer,
    guard: Guard,
  ) {
    this.#server = server
    this.#guard = guard
    this.port = server.port
    this.connect = server.connect
  }

  readonly port: number
  /** `host:port`, without a chroot. */
  readonly connect: string

  get pid(): number {
    return this.#running().pid
  }

  /** SIGKILL: no farewell. */
  async kill(): Promise<void> {
    const server = this.#running()
    process.kill(server.pid, 'SIGKILL')
    await server.exited
    this.#server = undefined
  }

  /** On the same port, with the data it had. */
  async start(options: Pick<LocalServerOptions, 'jvmFlags'> = {}): Promise<void> {
    this.#server = await startLocalServer({ ...options, folder: this.folder, port: this.port, heapMb: 128, onSpawn: pid => this.#guard.protect([pid]) })
  }

  /** Throws the data away; to be called between kill and start. */
  wipe(): void {
    if (this.#server) throw new Error('ZooKeeper is running')
    rmSync(join(this.folder, 'data'), { recursive: true })
  }

  /** It keeps its connections and says nothing, until {@link thaw}. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  async stop(): Promise<void> {
    if (!this.#server) return
    this.thaw()
    await this.#server.stop()
    this.#server = undefined
  }

  #running(): LocalServer {
    if (!this.#server) throw new Error('ZooKeeper is not running')
    return this.#server
  }
}

/** Starts one on a free port, in a folder of its own; both are gone when `t` ends. */
export async function startZooKeeper(t: Test, options: Pick<LocalServerOptions, 'jvmFlags'> = {}): Promise<TestZooKeeper> {
  const folder = mkdtempSync(join(tmpdir(), 'zookeeper-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const guard = new Guard()
  t.after(() => guard.close())
  const server = await startLocalServer({ ...options, folder, heapMb: 128, onSpawn: pid => guard.protect([pid]) })
  const zookeeper = new TestZooKeeper(folder, server, guard)
  t.after(() => zookeeper.stop())
  return zookeeper
}

/** A connected client, closed when `t` ends. */
export async function openZk(t: Test, connect: string, options: ZkOptions = {}): Promise<Zk> {
  const zk = new Zk(connect, options)
  t.after(() => zk.close())
  await zk.ready(AbortSignal.timeout(10_000))
  return zk
}

/** Resolves the next time that this happens to the client's session.
 * @throws Error when that takes longer than `timeoutMs` */
export function next(zk: Zk, event: Exclude<keyof SessionListener, 'onWarning'>, timeoutMs = 30_000): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(() => reject(new Error(`no ${event} within ${timeoutMs} ms`))), timeoutMs)
    const stop = zk.session.listen({ [event]: () => end(resolve) })
    const end = (settle: () => void) => {
      clearTimeout(timer)
      stop()
      settle()
    }
  })
}
