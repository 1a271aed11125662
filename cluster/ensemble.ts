import { joinConnectStrings } from '../registry/zookeeper/connect-string.js'
import type { PeerPorts } from '../registry/zookeeper/local-server.js'
import type { Ports } from './ports.js'
import { HOST, ZooKeeper, type ZooKeeperOptions } from './zookeeper.js'

export interface EnsembleOptions extends Pick<ZooKeeperOptions, 'chroot' | 'restart' | 'say' | 'changed'> {
  /** How many servers: one stands alone, several elect a leader, and serve while most of them run. */
  readonly servers: number
  /** Of a server that stands alone; each of several has one of that name and its number. */
  readonly folder: string
  readonly ports: Ports
}

/** The ZooKeeper of the cluster's own: one server, or several. */
export class Ensemble {
  readonly #options: EnsembleOptions
  #members: readonly ZooKeeper[] = []

  constructor(options: EnsembleOptions) {
    this.#options = options
  }

  get members(): readonly ZooKeeper[] {
    return this.#members
  }

  /** What ZOOKEEPER_CONNECT takes. */
  get connect(): string {
    return joinConnectStrings(this.#members.map(({ url }) => url))
  }

  /** Starts all servers and waits until they serve. @throws Error when Java or ZooKeeper is missing, or one does not come up */
  async start(): Promise<void> {
    const { servers, folder, ...rest } = this.#options
    const peers = servers > 1 ? await peerPorts(rest.ports, servers) : undefined
    this.#members = Array.from({ length: servers }, (_, i) => {
      const number = i + 1
      return new ZooKeeper({ ...rest, number, ensemble: peers, folder: peers ? `${folder}-${number}` : folder })
    })
    await Promise.all(this.#members.map(member => member.start()))
  }

  async stop(deadlineMs: number): Promise<void> {
    await Promise.all(this.#members.map(member => member.stop(deadlineMs)))
  }

  kill(): void {
    for (const member of this.#members) member.kill()
  }
}

/** Ports on which the servers of an ensemble hear each other, all different. */
export async function peerPorts(ports: Ports, servers: number): Promise<PeerPorts[]> {
  const all: PeerPorts[] = []
  while (all.length < servers) all.push({ peers: await ports.take(HOST), election: await ports.take(HOST) })
  return all
}
