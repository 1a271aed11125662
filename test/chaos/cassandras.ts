import { parseCassandraUrl } from '../../dispatcher/store/cassandra/address.js'
import { Cluster } from '../../dispatcher/store/cassandra/cluster.js'
import { initStore } from '../../dispatcher/store/cassandra/init.js'
import { DATA_CENTRE, noCassandra, TestCassandra } from '../support/cassandra.js'
import { TcpProxy } from '../support/tcp-proxy.js'

const KEYSPACE = 'chaos'
/** Three and the rest of a cluster are to fit into one machine. */
const HEAP_MB = 256
/** Tokens are 64 bits: the nodes divide them among themselves. */
const TOKENS = 2n ** 64n

/** The Cassandra of a run's own: one node behind a proxy, or several, each of which has all comments. */
export class OwnCassandras {
  readonly nodes: readonly TestCassandra[]
  /** What the dispatchers' environment must hold. */
  readonly env: NodeJS.ProcessEnv
  /** Before the only node. Nodes of several are known to dispatchers by their own addresses. */
  readonly proxy: TcpProxy | undefined

  private constructor(nodes: readonly TestCassandra[], proxy: TcpProxy | undefined) {
    this.nodes = nodes
    this.proxy = proxy
    const hosts = proxy ? `127.0.0.1:${proxy.port}` : nodes.map(({ host, port }) => `${host}:${port}`).join(',')
    this.env = { STORE_URL: `cassandra://${hosts}/${KEYSPACE}?dc=${DATA_CENTRE}` }
  }

  /** Makes the tables too. Several nodes have addresses of their own, 127.0.0.2 and on, which Linux has without being asked.
   * @param folder the nodes' folders are in it */
  static async start(folder: string, count: number): Promise<OwnCassandras> {
    if (noCassandra !== false) throw new Error(noCassandra)
    const nodes: TestCassandra[] = []
    try {
      for (let i = 0; i < count; i++) {
        const [first] = nodes
        const ring = { seed: hostOf(0), token: String(-(TOKENS / 2n) + (BigInt(i) * TOKENS) / BigInt(count)) }
        const several = count > 1 ? { host: hostOf(i), ring, heapMb: HEAP_MB, ...(first ? { ports: [first.port, first.storagePort] as const } : {}) } : {}
        nodes.push(await TestCassandra.launch(`${folder}/cassandra-${i + 1}`, several))
      }
      const address = parseCassandraUrl(nodes[0]!.url(KEYSPACE))
      const cql = new Cluster({ address })
      await initStore({ cql, keyspace: KEYSPACE, dataCentre: DATA_CENTRE, replication: new Map([[DATA_CENTRE, count]]) }).finally(() => cql.close())
      return new OwnCassandras(nodes, count === 1 ? await TcpProxy.listen(nodes[0]!.port) : undefined)
    } catch (error) {
      await Promise.all(nodes.map(node => node.close()))
      throw error
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.nodes.map(node => node.close()), this.proxy?.close()])
  }
}

function hostOf(i: number): string {
  return `127.0.0.${i + 2}`
}
