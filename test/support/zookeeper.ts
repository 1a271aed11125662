import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Guard } from '../../cluster/guard.js'
import { Zk, type ZkOptions } from '../../registry/zookeeper/client.js'
import { startLocalServer, type LocalServer, type LocalServerOptions } from '../../registry/zookeeper/local-server.js'
import type { SessionListener } from '../../registry/zookeeper/session.js'
import { tempFolder } from './folder.js'

/** How a test's server is started. */
export type TestServerOptions = Pick<LocalServerOptions, 'port' | 'jvmFlags' | 'ensemble'>

const HEAP_MB = 128

/** A real ZooKeeper server of a test's own. */
export class TestZooKeeper {
  readonly port: number
  /** `host:port`, without a chroot. */
  readonly connect: string
  #server: LocalServer | undefined

  private constructor(
    readonly folder: string,
    private readonly options: TestServerOptions,
    server: LocalServer,
    /** Ends it where the test is cut short. */
    private readonly guard: Guard,
  ) {
    this.#server = server
    this.port = server.port
    this.connect = server.connect
  }

  static async launch(folder: string, options: TestServerOptions = {}): Promise<TestZooKeeper> {
    const guard = new Guard()
    const server = await startLocalServer({ ...options, folder, heapMb: HEAP_MB, onSpawn: pid => guard.protect([pid]) })
    return new TestZooKeeper(folder, options, server, guard)
  }

  /** Null while it is down. */
  get runningPid(): number | null {
    return this.#server?.pid ?? null
  }

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

  /** On the same port, with the data it had. @param options what is other than before */
  async start(options: Pick<TestServerOptions, 'jvmFlags'> = {}): Promise<void> {
    this.#server = await startLocalServer({ ...this.options, ...options, folder: this.folder, port: this.port, heapMb: HEAP_MB, onSpawn: pid => this.guard.protect([pid]) })
  }

  /** Throws the data away; to be called between kill and start. */
  wipe(): void {
    if (this.#server) throw new Error('ZooKeeper is running')
    rmSync(join(this.folder, 'data'), { recursive: true })
  }

  /** It keeps its connections and says nothing, until {@link thaw}. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP')
    // A thread that runs goes on for a moment, and may answer what is asked next. macOS has no /proc.
    while (existsSync('/proc/self') && !isStopped(this.pid));
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

  /** For good. */
  async close(): Promise<void> {
    await this.stop()
    this.guard.close()
  }

  #running(): LocalServer {
    if (!this.#server) throw new Error('ZooKeeper is not running')
    return this.#server
  }
}

/** Starts one on a free port, in a folder of its own; both are gone when `t` ends. */
export async function startZooKeeper(t: Test, options: Pick<TestServerOptions, 'jvmFlags'> = {}): Promise<TestZooKeeper> {
  const folder = tempFolder(t)
  const zookeeper = await TestZooKeeper.launch(folder, options)
  t.after(() => zookeeper.close())
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

function isStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every(id => readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8').includes(') T '))
  } catch {
    return false // a thread has ended meanwhile
  }
}
