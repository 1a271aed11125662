import type { ClusterRecord } from '../../cluster/folder.js'
import { TcpProxy } from '../support/tcp-proxy.js'

const PRELOAD = new URL('reached-through.js', import.meta.url).href
/** No part listens there: until the real one is known, a proxy's connections are refused. */
const NOBODY = 9

/** The network between the parts of a cluster: one proxy before each edge and dispatcher, and one before ZooKeeper. */
export class Network {
  readonly #parts: ReadonlyMap<string, TcpProxy>
  readonly zookeeper: TcpProxy

  private constructor(parts: ReadonlyMap<string, TcpProxy>, zookeeper: TcpProxy) {
    this.#parts = parts
    this.zookeeper = zookeeper
  }

  /** @param ids the parts to be reached through a proxy; the others are reached as they are */
  static async open(ids: readonly string[]): Promise<Network> {
    const parts = new Map<string, TcpProxy>()
    for (const id of ids) parts.set(id, await TcpProxy.listen(NOBODY))
    return new Network(parts, await TcpProxy.listen(NOBODY))
  }

  /** What the cluster's environment must hold. */
  get env(): NodeJS.ProcessEnv {
    const urls = Object.fromEntries([...this.#parts].map(([id, { port }]) => [id, `http://127.0.0.1:${port}`]))
    return {
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${PRELOAD}`.trim(),
      CHAOS_INTERNAL_URLS: JSON.stringify(urls),
      CHAOS_ZOOKEEPER: `127.0.0.1:${this.zookeeper.port}`,
    }
  }

  /** Where everybody listens. */
  update({ zookeeper, edges, dispatchers }: ClusterRecord): void {
    for (const { id, internalUrl } of [...edges, ...dispatchers]) {
      const proxy = this.#parts.get(id)
      if (proxy && internalUrl) proxy.targetPort = Number(new URL(internalUrl).port)
    }
    const port = /^[^/]*:(\d+)/.exec(zookeeper[0]?.url ?? '')?.[1]
    if (port) this.zookeeper.targetPort = Number(port)
  }

  to(id: string): TcpProxy | undefined {
    return this.#parts.get(id)
  }

  /** Everything passes again. */
  heal(): void {
    for (const proxy of [...this.#parts.values(), this.zookeeper]) {
      proxy.silent = false
      proxy.delayMs = 0
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#parts.values(), this.zookeeper].map(proxy => proxy.close()))
  }
}
