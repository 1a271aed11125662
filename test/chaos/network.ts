import type { ClusterRecord } from '../../cluster/folder.js'
import { parseConnectString, parseServers } from '../../registry/zookeeper/connect-string.js'
import { TcpProxy } from '../support/tcp-proxy.js'

const PRELOAD = new URL('reached-through.js', import.meta.url).href
/** No part listens there: until the real one is known, a proxy's connections are refused. */
const NOBODY = 9

/** The network between the parts of a cluster: one proxy before each edge, dispatcher and ZooKeeper server. */
export class Network {
  readonly #parts: ReadonlyMap<string, TcpProxy>
  readonly zookeepers: readonly TcpProxy[]

  private constructor(parts: ReadonlyMap<string, TcpProxy>, zookeepers: readonly TcpProxy[]) {
    this.#parts = parts
    this.zookeepers = zookeepers
  }

  /** @param ids the parts to be reached through a proxy; the others are reached as they are
   * @param zookeepers how many servers ZooKeeper has */
  static async open(ids: readonly string[], zookeepers: number): Promise<Network> {
    const parts = new Map<string, TcpProxy>()
    for (const id of ids) parts.set(id, await TcpProxy.listen(NOBODY))
    return new Network(parts, await Promise.all(Array.from({ length: zookeepers }, () => TcpProxy.listen(NOBODY))))
  }

  /** What the cluster's environment must hold. */
  get env(): NodeJS.ProcessEnv {
    const urls = Object.fromEntries([...this.#parts].map(([id, { port }]) => [id, `http://127.0.0.1:${port}`]))
    return {
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${PRELOAD}`.trim(),
      CHAOS_INTERNAL_URLS: JSON.stringify(urls),
      CHAOS_ZOOKEEPER: this.zookeepers.map(({ port }) => `127.0.0.1:${port}`).join(','),
    }
  }

  /** Where everybody listens. */
  update({ zookeeper, edges, dispatchers }: ClusterRecord): void {
    for (const { id, internalUrl } of [...edges, ...dispatchers]) {
      const proxy = this.#parts.get(id)
      if (proxy && internalUrl) proxy.targetPort = Number(new URL(internalUrl).port)
    }
    const servers = zookeeper.flatMap(({ url }) => parseServers(parseConnectString(url!).servers))
    for (const [i, { port }] of servers.entries()) this.zookeepers[i]!.targetPort = port
  }

  to(id: string): TcpProxy | undefined {
    return this.#parts.get(id)
  }

  /** Everything passes again. */
  heal(): void {
    for (const proxy of [...this.#parts.values(), ...this.zookeepers]) {
      proxy.silent = false
      proxy.delayMs = 0
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#parts.values(), ...this.zookeepers].map(proxy => proxy.close()))
  }
}
