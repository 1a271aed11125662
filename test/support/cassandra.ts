import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import type { Test } from 'tap'
import { findJars } from '../../cluster/cassandra/jars.js'
import { DATA_CENTRE, HOST, startLocalNode, unfitJava, type LocalNode, type LocalNodeOptions } from '../../cluster/cassandra/local-node.js'
import { Guard } from '../../cluster/guard.js'
import { tempFolder } from './folder.js'

export { DATA_CENTRE } from '../../cluster/cassandra/local-node.js'

/** Why there can be no Cassandra here, or false: the `skip` of a test. */
export const noCassandra: string | false = missing()

function missing(): string | false {
  try {
    findJars()
  } catch {
    return 'Cassandra\'s jars are not in .cache/cassandra: ./setup.sh --for-long-tests fetches them, with Maven'
  }
  return unfitJava() ?? false
}

/** With a keystore it takes TLS alone, and users with passwords alone, at first `cassandra` with the password `cassandra`. */
export type TestCassandraOptions = Pick<LocalNodeOptions, 'keystore' | 'host' | 'ring' | 'heapMb'> & {
  /** Those of another node, where it is one of several. */
  readonly ports?: readonly [port: number, storagePort: number]
}

/** A real Cassandra of a test's own: one node, or one of several, whose acknowledged writes are on disk. */
export class TestCassandra {
  readonly folder: string
  readonly port: number
  readonly host: string
  readonly storagePort: number
  readonly #options: TestCassandraOptions
  readonly #guard = new Guard()
  #node: LocalNode | undefined

  private constructor(folder: string, port: number, storagePort: number, options: TestCassandraOptions) {
    this.#options = options
    this.folder = folder
    this.port = port
    this.storagePort = storagePort
    this.host = options.host ?? HOST
  }

  static async launch(folder: string, options: TestCassandraOptions = {}): Promise<TestCassandra> {
    const [port, storagePort] = options.ports ?? (await freePorts(options.host ?? HOST, 2))
    const cassandra = new TestCassandra(folder, port, storagePort, options)
    await cassandra.start()
    return cassandra
  }

  /** For a keyspace. @param port of a proxy, where it is reached through one */
  url(keyspace: string, port = this.port): string {
    return `cassandra://${this.host}:${port}/${keyspace}?dc=${DATA_CENTRE}`
  }

  /** With the data it had. */
  async start(): Promise<void> {
    const { folder, port, storagePort } = this
    const { ports: _, ...options } = this.#options
    this.#node = await startLocalNode({ ...options, folder, port, storagePort, passwords: options.keystore !== undefined, onSpawn: pid => this.#guard.protect([pid]) })
  }

  get isUp(): boolean {
    return this.#node !== undefined
  }

  /** It keeps its connections and says nothing, until {@link thaw}. */
  freeze(): void {
    process.kill(this.#node!.pid, 'SIGSTOP')
  }

  thaw(): void {
    process.kill(this.#node!.pid, 'SIGCONT')
  }

  /** SIGKILL: no farewell. */
  async kill(): Promise<void> {
    const { pid, exited } = this.#node!
    process.kill(pid, 'SIGKILL')
    await exited
    this.#node = undefined
  }

  async close(): Promise<void> {
    if (this.#node) await this.kill()
    this.#guard.close()
  }
}

/** Starts one in a folder of its own; both are gone when `t` ends. */
export async function startCassandra(t: Test, options: TestCassandraOptions = {}): Promise<TestCassandra> {
  const folder = tempFolder(t)
  const cassandra = await TestCassandra.launch(folder, options)
  t.after(() => cassandra.close())
  return cassandra
}

async function freePorts(host: string, count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  for (const server of servers) await once(server.listen(0, host), 'listening')
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  for (const server of servers) server.close()
  return ports
}
