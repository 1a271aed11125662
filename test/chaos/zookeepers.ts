import { peerPorts } from '../../cluster/ensemble.js'
import { Ports } from '../../cluster/ports.js'
import { joinConnectStrings } from '../../registry/zookeeper/connect-string.js'
import { TestZooKeeper } from '../support/zookeeper.js'

/** One server of ZooKeeper. */
export interface ZooKeeperServer {
  readonly id: string
  /** Of the JVM; null while it is down, and of one that is not the cluster's own. */
  readonly pid: number | null
  /** For clients, on this machine. */
  readonly port: number
}

const HOST = '127.0.0.1'
const CHROOT = '/live-comments'

/** The ZooKeeper of a run's own: one server or an ensemble, on ports that nobody else takes while they are away. */
export class OwnZooKeepers {
  readonly #servers: ReadonlyMap<string, TestZooKeeper>

  private constructor(servers: ReadonlyMap<string, TestZooKeeper>) {
    this.#servers = servers
  }

  /** @param folder the servers' folders are in it */
  static async start(folder: string, count: number): Promise<OwnZooKeepers> {
    const ports = new Ports()
    const peers = await peerPorts(ports, count)
    const launches = peers.map(async (_, i) => {
      const id = `zookeeper-${i + 1}`
      const ensemble = count > 1 ? { ensemble: { number: i + 1, servers: peers } } : {}
      return [id, await TestZooKeeper.launch(`${folder}/${id}`, { port: await ports.take(HOST), ...ensemble })] as const
    })
    return new OwnZooKeepers(new Map(await Promise.all(launches)))
  }

  get servers(): ZooKeeperServer[] {
    return [...this.#servers].map(([id, { runningPid, port }]) => ({ id, pid: runningPid, port }))
  }

  /** What ZOOKEEPER_CONNECT takes. */
  get url(): string {
    return joinConnectStrings([...this.#servers.values()].map(({ connect }) => `${connect}${CHROOT}`))
  }

  async kill(ids: readonly string[]): Promise<void> {
    await Promise.all(this.#those(ids).map(server => server.kill()))
  }

  async startAgain(ids: readonly string[]): Promise<void> {
    await Promise.all(this.#those(ids).map(server => server.start()))
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(server => server.close()))
  }

  #those(ids: readonly string[]): TestZooKeeper[] {
    return ids.map(id => this.#servers.get(id)!)
  }
}
