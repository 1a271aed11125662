import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterIdentity } from '../../../protocol/nodes.js'
import type { InternalClient } from '../../../runtime/peers/client.js'
import { refusal, refusalMessage } from '../../access.js'
import { Zk } from '../../zookeeper/client.js'
import { parseConnectString, parseServers, printServer } from '../../zookeeper/connect-string.js'
import { isZkError } from '../../zookeeper/zk-error.js'
import { clusterAt } from '../cluster-at.js'
import { inParallel } from '../connection.js'
import { zookeeperOf, type RunningCluster } from '../running-cluster.js'
import type { ZookeeperAddress } from '../zookeeper-address.js'
import { judgeAccess, takesConnections } from './access.js'
import { drift } from './drift.js'
import { lasting, merged, note, problem, type Finding } from './finding.js'
import { askNode, judgeNode, type Expected } from './node.js'
import { judgeZnodes, readZnodes, type Znodes } from './znodes.js'

const AWAY_MS = 3_000
const SLOW_MS = 200
const READS = 5
/** Pause before the second look. */
const PAUSE_MS = 500

export interface ExaminationOptions {
  readonly address: ZookeeperAddress
  readonly client: InternalClient
  /** The cluster that runs in this folder: it names gateways, which announce nothing, and parts that are down. */
  readonly cluster: RunningCluster | undefined
}

/** The output of `doctor --json`. */
export interface Diagnosis {
  /** True if there is no problem; notes do not count. */
  readonly healthy: boolean
  /** Which cluster's registry it is; null where it has no name, absent where it could not be read. */
  readonly cluster?: ClusterIdentity | null
  readonly zookeeper: {
    readonly connect: string
    /** Time to open a session, which is a write, ms; null if ZooKeeper is unreachable. */
    readonly sessionMs: number | null
    /** Median time of a few reads, ms; null if nothing may be read. */
    readonly readMs: number | null
  }
  /** Number of processes that were asked. */
  readonly asked: { readonly gateways: number; readonly dispatchers: number; readonly edges: number }
  readonly findings: readonly Finding[]
}

/** Examines everything. If there are problems it looks again half a second later, and only those that are still there
 * count: nodes come and go in the middle of a look. */
export async function examine(options: ExaminationOptions): Promise<Diagnosis> {
  const { connect, auth } = options.address
  const zk = new Zk(connect, { callTimeoutMs: AWAY_MS, auth })
  const since = performance.now()
  try {
    await zk.ready(AbortSignal.timeout(AWAY_MS))
    const sessionMs = rounded(performance.now() - since)
    const refused = await refusal(zk)
    if (refused !== undefined) return { healthy: false, zookeeper: { connect, sessionMs, readMs: null }, asked: nobody, findings: [refuses(options.address, refused)] }
    const identity = (await clusterAt(zk, options.address)) ?? null
    const readMs = rounded(await readTime(zk))
    let { findings, asked } = await look(zk, options)
    if (findings.some(({ level }) => level === 'problem')) {
      await sleep(PAUSE_MS)
      const again = await look(zk, options)
      findings = lasting(findings, again.findings)
      asked = again.asked
    }
    if (readMs > SLOW_MS) findings.push(slow(connect, readMs))
    findings.push(...(await judgeAccess(zk, options.address)))
    return { healthy: findings.every(({ level }) => level === 'note'), cluster: identity, zookeeper: { connect, sessionMs, readMs }, asked, findings: merged(findings) }
  } catch (error) {
    if (!(error instanceof Error) || !(isZkError(error, 'CONNECTION_LOSS', 'TIMEOUT', 'SESSION_EXPIRED') || error.name === 'AbortError')) throw error
    return { healthy: false, zookeeper: { connect, sessionMs: null, readMs: null }, asked: nobody, findings: await away(options.address) }
  } finally {
    await zk.close()
  }
}

async function look(zk: Zk, { address, client, cluster }: ExaminationOptions): Promise<{ findings: Finding[]; asked: Diagnosis['asked'] }> {
  const znodes = await readZnodes(zk)
  const nodes = expected(znodes, ofThisRegistry(address, cluster))
  const edges = znodes.edges.flatMap(({ content }) => content ?? [])
  const [judged, drifted] = await Promise.all([
    inParallel(nodes, async node => judgeNode(node, await askNode(client, node), edges.length)),
    inParallel(edges, edge => drift(zk, client, edge)),
  ])
  const count = (kind: Expected['kind']) => nodes.filter(node => node.kind === kind).length
  return {
    findings: [...judgeZnodes(znodes, parseConnectString(address.connect)), ...judgeCluster(znodes, ofThisRegistry(address, cluster)), ...judged.flat(), ...drifted.flat()],
    asked: { gateways: count('gateway'), dispatchers: count('dispatcher'), edges: count('edge') },
  }
}

function expected(znodes: Znodes, cluster: RunningCluster | undefined): Expected[] {
  const gateways = (cluster?.gateways ?? []).flatMap(({ id, pid, internalUrl }) => (pid !== null && internalUrl !== null ? { kind: 'gateway' as const, id, internalUrl } : []))
  const members = (['edges', 'dispatchers'] as const).flatMap(kind => znodes[kind].flatMap(({ content }) => (content ? { ...content, kind: kind === 'edges' ? ('edge' as const) : ('dispatcher' as const) } : [])))
  return [...gateways, ...members]
}

/** Ignores the cluster.json of a cluster with another registry. */
function ofThisRegistry({ connect }: ZookeeperAddress, cluster: RunningCluster | undefined): RunningCluster | undefined {
  return cluster && zookeeperOf(cluster) === connect ? cluster : undefined
}

/** Finds parts of the cluster in this folder that are down or not in the registry. */
function* judgeCluster({ edges, dispatchers }: Znodes, cluster: RunningCluster | undefined): Generator<Finding> {
  if (!cluster) return
  const announced = new Set([...edges, ...dispatchers].map(({ id }) => id))
  for (const { id, pid } of [...cluster.gateways, ...cluster.dispatchers, ...cluster.edges]) {
    if (pid === null) yield problem('node_down', id, 'is down', `npm start restarts it after a second, unless --no-restart is set; the end of data/logs/${id}.log and ${id}.err says why it ended.`)
  }
  for (const { id, pid } of [...cluster.dispatchers, ...cluster.edges]) {
    if (pid !== null && !announced.has(id)) yield problem('node_unannounced', id, 'runs but is not in the registry: nobody sends it anything', `data/logs/${id}.log says what it waits for. A frozen process loses its session (kill -CONT ${pid} resumes it).`)
  }
}

async function readTime(zk: Zk): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < READS; i++) {
    const since = performance.now()
    await zk.exists('/')
    times.push(performance.now() - since)
  }
  return times.sort((a, b) => a - b)[Math.floor(READS / 2)]!
}

function refuses({ connect, auth }: ZookeeperAddress, path: string): Finding {
  return problem('zookeeper_refuses', path, refusalMessage(connect, path, auth !== undefined), 'Give the credentials of the parts with --zookeeper-auth-file, ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE.')
}

const nobody: Diagnosis['asked'] = { gateways: 0, dispatchers: 0, edges: 0 }

function slow(connect: string, readMs: number): Finding {
  return note('zookeeper_slow', connect, `ZooKeeper takes ${readMs} ms for a read`, 'Its machine, its disk or the network is busy: changes of the registry are seen that late.')
}

/** Which of its servers accept connections. */
async function away({ connect, source }: ZookeeperAddress): Promise<Finding[]> {
  const { servers } = parseConnectString(connect)
  return Promise.all(
    parseServers(servers).map(async server => {
      const taken = await takesConnections(server.host, server.port)
      return problem(
        'zookeeper_away',
        printServer(server),
        taken ? `ZooKeeper accepts connections but does not answer (${source})` : `nothing listens where ZooKeeper should (${source})`,
        taken
          ? 'It is frozen, stopped (kill -CONT resumes it) or overloaded, or something else listens there. The cluster goes on with its last view; nodes that come or go are not noticed until ZooKeeper is back.'
          : 'Start it (npm start does by itself), or name another one with --zookeeper HOST:PORT/CHROOT. The cluster goes on with its last view.',
      )
    }),
  )
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10
