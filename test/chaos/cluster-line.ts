import { randomBytes } from 'node:crypto'
import type { ClusterRecord } from '../../cluster/folder.js'
import { Homes } from '../../registry/homes.js'
import { TcpProxy } from '../support/tcp-proxy.js'

/** Each way, ms: a line around half the world. */
const SLOW_MS = 150
/** No gateway listens there. */
const NOBODY = 9

/** What can happen to a line: its connections break, and none can be made; no byte passes, and none is lost; every byte takes long;
 * calls arrive, and their answers are lost. */
export type LineTrouble = 'cut' | 'silent' | 'slow' | 'half-open'

/** The line between two clusters: before each gateway of each a proxy, by which the other cluster calls it. */
export class ClusterLine {
  readonly #to: ReadonlyMap<string, readonly TcpProxy[]>
  readonly #token = randomBytes(16).toString('hex')

  private constructor(to: ReadonlyMap<string, readonly TcpProxy[]>) {
    this.#to = to
  }

  /** @param gateways how many each cluster has */
  static async open(names: readonly string[], gateways: number): Promise<ClusterLine> {
    const proxies = () => Promise.all(Array.from({ length: gateways }, () => TcpProxy.listen(NOBODY)))
    return new ClusterLine(new Map(await Promise.all(names.map(async name => [name, await proxies()] as const))))
  }

  /** What that cluster's environment must hold. */
  env(name: string): NodeJS.ProcessEnv {
    const urls = this.#others(name).flatMap(([peer, proxies]) => proxies.map(({ port }) => `${peer}=http://127.0.0.1:${port}`))
    return { CLUSTER_NAME: name, PEERS: urls.join(','), PEER_TOKEN: this.#token }
  }

  /** The name of the cluster that is the video's home. */
  homeOf(videoId: string): string {
    const [name = ''] = this.#to.keys()
    return new Homes(name, this.#others(name).map(([peer]) => ({ name: peer, urls: [] })), undefined, new Map()).of(videoId)
  }

  /** Where the cluster's gateways listen. */
  update(name: string, { gateways }: ClusterRecord): void {
    for (const [i, { internalUrl }] of gateways.entries()) if (internalUrl) this.#to.get(name)![i]!.targetPort = Number(new URL(internalUrl).port)
  }

  /** Both ways, or for the calls to one cluster alone, which are all that cluster is asked and pushed.
   * @returns ends it */
  trouble(how: LineTrouble, to: string | undefined): () => void {
    const proxies = [...this.#to].flatMap(([name, those]) => (to === undefined || to === name ? those : []))
    for (const proxy of proxies) {
      if (how === 'cut') proxy.gone = true
      else if (how === 'silent') proxy.silent = true
      else if (how === 'slow') proxy.delayMs = SLOW_MS
      else proxy.losing = true
    }
    return () => proxies.forEach(heal)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#to.values()].flat().map(proxy => proxy.close()))
  }

  #others(name: string) {
    return [...this.#to].filter(([other]) => other !== name)
  }
}

function heal(proxy: TcpProxy): void {
  proxy.gone = false
  proxy.silent = false
  proxy.delayMs = 0
  proxy.losing = false
}
