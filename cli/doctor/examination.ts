import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterIdentity } from '../../protocol/nodes.js'
import { inParallel } from '../../runtime/in-parallel.js'
import type { InternalClient } from '../../runtime/peers/client.js'
import { refusal } from '../../registry/access.js'
import { clusterIdentity } from '../../registry/cluster-identity.js'
import { expectedNodes } from '../../registry/expected-nodes.js'
import { Zk } from '../../registry/zookeeper/client.js'
import { parseConnectString } from '../../registry/zookeeper/connect-string.js'
import { ZkError } from '../../registry/zookeeper/zk-error.js'
import { isAnother, takenOver } from '../cluster-at.js'
import { zookeeperOf, type RunningCluster } from '../running-cluster.js'
import type { ZookeeperAddress } from '../zookeeper-address.js'
import { judgeAccess } from './access.js'
import { judgeCounts, judgeVersions } from './counts.js'
import { drift } from './drift.js'
import { failedCall, noSession, refusedAt } from './failure.js'
import { lasting, merged, note, problem, type Finding } from './finding.js'
import { askNode, judgeNode, type Expected } from './node.js'
import { askServers, judgeServers, mayServe } from './servers.js'
import { askStore, judgeStores } from './store.js'
import { judgeZnodes, readZnodes, type Znodes } from './znodes.js'

const AWAY_MS = 3_000
/** Most time for a session at the second look. */
const AGAIN_MS = 1_000
const SLOW_READ_MS = 200
const READS = 5
/** Pause before the second look. */
const PAUSE_MS = 500

export interface ExaminationOptions {
  readonly address: ZookeeperAddress
  readonly client: InternalClient
  /** The cluster that runs in this folder: it names parts that are down or not announced. */
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
  const since = performance.now()
  let sessionMs: number | null = null
  const zk = new Zk(connect, { callTimeoutMs: AWAY_MS, auth, onSession: () => (sessionMs ??= rounded(performance.now() - since)) })
  try {
    let seen = await look(zk, options, AWAY_MS)
    for (let isLast = false; !isLast && !isHealthy(seen.findings); ) {
      await sleep(PAUSE_MS)
      const again = await look(zk, options, AGAIN_MS)
      isLast = seen.complete || !again.complete
      seen = seen.complete && again.complete ? { ...again, findings: lasting(seen.findings, again.findings) } : again
    }
    const { cluster, readMs, asked, findings } = seen
    return { healthy: isHealthy(findings), ...(cluster === undefined ? {} : { cluster }), zookeeper: { connect, sessionMs, readMs }, asked, findings: merged(findings) }
  } finally {
    await zk.close()
  }
}

/** One look at everything. */
interface Look extends Pick<Diagnosis, 'cluster' | 'asked' | 'findings'> {
  readonly hasSession: boolean
  readonly readMs: number | null
  /** Whether all of the registry could be read: otherwise what is not found may be there all the same. */
  readonly complete: boolean
}

/** @param waitMs most time to wait for a session; not waited for where no server can grant one */
async function look(zk: Zk, options: ExaminationOptions, waitMs: number): Promise<Look> {
  const { address } = options
  const hopeless = new AbortController()
  const asking = askServers(address).then(asked => {
    if (!asked.some(mayServe)) hopeless.abort()
    return judgeServers(asked, address)
  })
  const [servers, registry] = await Promise.all([asking, lookAtRegistry(zk, options, AbortSignal.any([AbortSignal.timeout(waitMs), hopeless.signal]))])
  // Where each server has said why it grants no session, that none does is no news.
  const isExplained = !registry.hasSession && hopeless.signal.aborted
  return { ...registry, findings: isExplained ? servers : [...servers, ...registry.findings] }
}

async function lookAtRegistry(zk: Zk, options: ExaminationOptions, signal: AbortSignal): Promise<Look> {
  const { address } = options
  let seen: Look = { hasSession: false, readMs: null, complete: false, asked: nobody, findings: [] }
  try {
    await zk.ready(signal)
  } catch {
    return { ...seen, findings: [noSession(address, zk.session.trouble)] }
  }
  try {
    seen = { ...seen, hasSession: true }
    const refused = await refusal(zk)
    if (refused !== undefined) return { ...seen, findings: [refusedAt(address, refused)] }
    const cluster = await clusterIdentity(zk)
    const readMs = rounded(await readTime(zk))
    seen = { ...seen, cluster: cluster ?? null, readMs, findings: [...judgeIdentity(cluster, address), ...(readMs > SLOW_READ_MS ? [slow(address.connect, readMs)] : [])] }
    const running = isAnother(cluster, address) ? undefined : ofThisRegistry(address, options.cluster)
    const [nodes, open] = await Promise.all([lookAtNodes(zk, options, running), judgeAccess(zk, address)])
    return { ...seen, complete: true, asked: nodes.asked, findings: [...seen.findings, ...nodes.findings, ...open] }
  } catch (error) {
    if (!(error instanceof ZkError)) throw error
    return { ...seen, findings: [...seen.findings, failedCall(error, address, zk.session.trouble)] }
  }
}

async function lookAtNodes(zk: Zk, { address, client }: ExaminationOptions, cluster: RunningCluster | undefined): Promise<Pick<Look, 'asked' | 'findings'>> {
  const [znodes, expectedCounts] = await Promise.all([readZnodes(zk), expectedNodes(zk)])
  const nodes = nodesOf(znodes, cluster)
  const edges = znodes.edges.flatMap(({ content }) => content ?? [])
  const [answered, drifted] = await Promise.all([
    inParallel(nodes, async node => {
      const asked = await askNode(client, node)
      // One that does not answer is not asked for more.
      return { findings: judgeNode(node, asked, edges.length), store: node.kind === 'dispatcher' && 'answers' in asked ? await askStore(client, node) : undefined }
    }),
    drift(zk, client, edges),
  ])
  const count = (kind: Expected['kind']) => nodes.filter(node => node.kind === kind).length
  return {
    findings: [
      ...judgeZnodes(znodes, parseConnectString(address.connect)),
      ...judgeCounts(znodes, expectedCounts),
      ...judgeVersions(znodes),
      ...judgeCluster(znodes, cluster),
      ...answered.flatMap(({ findings }) => findings),
      ...drifted,
      ...judgeStores(answered.flatMap(({ store }) => store ?? [])),
    ],
    asked: { gateways: count('gateway'), dispatchers: count('dispatcher'), edges: count('edge') },
  }
}

/** The nodes that are announced, and gateways of this folder's cluster that are not: older ones announce nothing. */
function nodesOf({ gateways, edges, dispatchers }: Znodes, cluster: RunningCluster | undefined): Expected[] {
  const announced = ([['gateway', gateways], ['edge', edges], ['dispatcher', dispatchers]] as const).flatMap(([kind, znodes]) => znodes.flatMap(({ content }) => (content ? { ...content, kind } : [])))
  const known = new Set(gateways.map(({ id }) => id))
  const others = (cluster?.gateways ?? []).flatMap(({ id, pid, internalUrl }) => (pid !== null && internalUrl !== null && !known.has(id) ? { kind: 'gateway' as const, id, internalUrl } : []))
  return [...announced, ...others]
}

/** Ignores the cluster.json of a cluster with another registry. */
function ofThisRegistry({ connect }: ZookeeperAddress, cluster: RunningCluster | undefined): RunningCluster | undefined {
  return cluster && zookeeperOf(cluster) === connect ? cluster : undefined
}

function* judgeIdentity(found: ClusterIdentity | undefined, address: ZookeeperAddress): Generator<Finding> {
  if (isAnother(found, address)) yield problem('cluster_is_another', address.connect, takenOver(found, address), `It is examined all the same. Start the one that you mean, or name it with --data FOLDER or --zookeeper HOST:PORT/CHROOT.`)
}

/** Finds parts of the cluster in this folder that are down or not in the registry. */
function* judgeCluster({ gateways, edges, dispatchers }: Znodes, cluster: RunningCluster | undefined): Generator<Finding> {
  if (!cluster) return
  const announced = new Set([...gateways, ...edges, ...dispatchers].map(({ id }) => id))
  for (const { id, pid } of [...cluster.gateways, ...cluster.dispatchers, ...cluster.edges]) {
    if (pid === null) yield problem('node_down', id, 'is down', `its supervisor restarts it after a second, unless --no-restart is set; the end of data/logs/${id}.log and ${id}.err says why it ended.`)
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

const nobody: Diagnosis['asked'] = { gateways: 0, dispatchers: 0, edges: 0 }

function slow(connect: string, readMs: number): Finding {
  return note('zookeeper_slow', connect, `ZooKeeper takes ${readMs} ms for a read`, 'Its machine, its disk or the network is busy: changes of the registry are seen that late.')
}

function isHealthy(findings: readonly Finding[]): boolean {
  return findings.every(({ level }) => level === 'note')
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10
