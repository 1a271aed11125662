import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import { printNode, type DispatcherNode, type EdgeNode, type GatewayNode } from '../protocol/nodes.js'
import { systemClock } from '../runtime/clock.js'
import { createLog, endOnBug, type Log } from '../runtime/log.js'
import { createMetrics } from '../runtime/metrics.js'
import { InternalClient } from '../runtime/peers/client.js'
import type { ProofRule } from '../runtime/peers/proven-peers.js'
import { stopSignal } from '../runtime/stopping.js'
import { openTraces, type TracesConfig } from '../runtime/traces/open.js'
import type { Traces } from '../runtime/traces/traces.js'
import { VERSION } from '../runtime/version.js'
import { lossMessage, refusal, refusalMessage } from './access.js'
import { Announcer } from './announcer.js'
import { CalmLog } from './calm-log.js'
import { mayReplaceNode } from './claim.js'
import { entry, type Entry } from './entry.js'
import { zookeeperAuth } from './variables.js'
import { RegistryWatcher, type Watched } from './watcher.js'
import { Zk } from './zookeeper/client.js'
import type { Credentials } from './zookeeper/credentials.js'
import { ZkError } from './zookeeper/zk-error.js'

/** How long ZooKeeper is waited for before the log says so. */
const WAITING_LINE_MS = 3_000
/** Before a refused first call is tried again. */
const REFUSED_RETRY_MS = 1_000

/** The variables that every part reads to become a node. */
export interface NodeConfig extends TracesConfig {
  readonly NODE_ID: string
  readonly LOG_LEVEL: string
  readonly INTERNAL_TOKEN?: string | undefined
  readonly INTERNAL_PROOF: ProofRule
  readonly ZOOKEEPER_CONNECT: string
  readonly ZOOKEEPER_AUTH?: Credentials | undefined
  readonly ZOOKEEPER_AUTH_FILE?: Credentials | undefined
}

/** Who a node is: what `/internal/ping` answers. The instance is random at each start. */
export interface NodeIdentity {
  readonly id: string
  readonly instance: string
  readonly version: string
}

/** A process that has become a node of the cluster. */
export interface LiveNode {
  readonly identity: NodeIdentity
  readonly log: Log
  /** Logs the error and ends the process. */
  readonly onBug: (error: unknown) => void
  readonly metrics: Registry
  /** Where comments are traced. */
  readonly traces: Traces | undefined
  readonly client: InternalClient
  readonly zk: Zk
  readonly watcher: RegistryWatcher
  /** Resolves when it is time to drain. */
  readonly stopping: Promise<void>
  /** Waits for ZooKeeper, however long that takes. If ZooKeeper refuses us, the process ends with a message and exit status 2.
   * @returns false when it is time to stop before that */
  connected(): Promise<boolean>
  /** Enters the node in a directory of the registry, by its id. */
  announce<T extends EdgeNode | DispatcherNode | GatewayNode>(directory: string, node: T): Entry<T>
  /** Adds to a part's own reason for not being ready what keeps us from ZooKeeper, where something does. */
  notReady(own: string | undefined): string | undefined
  /** Closes the connections to ZooKeeper and to other nodes. */
  close(): Promise<void>
}

/** Starts what every part is made of. @param watch the directories of the registry that it follows */
export function startNode(role: string, config: NodeConfig, { watch, stopDeadlineMs }: { watch: readonly Watched[]; stopDeadlineMs: number }): LiveNode {
  const log = createLog(role, config.NODE_ID, config.LOG_LEVEL)
  const onBug = endOnBug(log)
  process.on('uncaughtException', onBug)
  const stopping = stopSignal(log, stopDeadlineMs)
  const metrics = createMetrics()
  const calm = new CalmLog({ log, clock: systemClock })
  const client = new InternalClient(config.INTERNAL_TOKEN, {
    proof: config.INTERNAL_PROOF,
    onUnproven: (url, proof) => calm.warn({ code: proof === 'none' ? 'NO_PROOF' : 'WRONG_PROOF', url }, 'peer_unproven'),
  })
  const auth = zookeeperAuth(config)
  const zk = new Zk(config.ZOOKEEPER_CONNECT, {
    auth,
    onWarning: err => calm.warn({ err }, 'zookeeper_odd'),
    onSuspended: loss => calm.warn({ ...loss }, 'zookeeper_lost'),
    onSession: () => calm.info({}, 'zookeeper_session'),
  })
  /** Waits for ZooKeeper and reads our directories. @returns the one that refuses us, if one does */
  const admitted = async (signal: AbortSignal): Promise<string | undefined> => {
    for (;;) {
      await zookeeperReady(zk, config.ZOOKEEPER_CONNECT, calm, signal)
      try {
        return await refusal(zk)
      } catch (error) {
        if (!(error instanceof ZkError)) throw error
        // Otherwise the connection was lost again.
        if (!error.retryable) calm.warn({ code: error.code, op: error.op, path: error.path }, 'zookeeper_refuses')
        await sleep(REFUSED_RETRY_MS, undefined, { signal })
      }
    }
  }
  const watcher = new RegistryWatcher({ zk, clock: systemClock, log, metrics, watch })
  const identity = { id: config.NODE_ID, instance: newInstance(), version: VERSION }
  const traces = openTraces(config, { role, node: identity, metrics, log })
  return {
    identity,
    log,
    onBug,
    metrics,
    traces,
    client,
    zk,
    watcher,
    stopping,
    async connected() {
      const gone = new AbortController()
      void stopping.then(() => gone.abort())
      try {
        const refused = await admitted(gone.signal)
        if (refused === undefined) return true
        log.fatal({ path: refused }, 'registry_refused')
        process.stderr.write(`${role}: bad configuration\n${refusalMessage(config.ZOOKEEPER_CONNECT, refused, auth !== undefined)}\n`)
        process.exit(2)
      } catch (error) {
        if (!gone.signal.aborted) throw error
        return false
      }
    },
    announce: (directory, node) => entry(node, printNode, data => new Announcer({ zk, log, path: `${directory}/${identity.id}`, data, mayReplace: mayReplaceNode(identity, client) })),
    notReady(own) {
      const { trouble } = zk.session
      return own !== undefined && trouble ? `${own}; ${lossMessage(trouble)}` : own
    },
    async close() {
      watcher.close()
      await Promise.all([zk.close(), client.close(), traces?.close()])
    },
  }
}

/** Random: it tells this process from a former one of the same id. */
export function newInstance(): string {
  return randomBytes(8).toString('hex')
}

/** Resolves when ZooKeeper is connected, however long that takes, and logs that it waits.
 * @param connect the connect string, for the log
 * @throws AbortError when `signal` comes first */
export async function zookeeperReady(zk: Zk, connect: string, log: CalmLog, signal?: AbortSignal): Promise<void> {
  const since = performance.now()
  const timer = setInterval(() => log.warn({ zookeeper: connect, waitedMs: Math.round(performance.now() - since), ...zk.session.trouble }, 'waiting_for_zookeeper'), WAITING_LINE_MS)
  try {
    await zk.ready(signal)
  } finally {
    clearInterval(timer)
  }
}
