import type { Registry } from 'prom-client'
import { refusal, refusalMessage } from './access.js'
import { InternalClient } from './node/client.js'
import { systemClock } from './node/clock.js'
import { newInstance, zookeeperAuth } from './node/config.js'
import { createLog, endOnBug, type Log } from './node/log.js'
import { createMetrics } from './node/metrics.js'
import { stopSignal } from './node/stop.js'
import { VERSION } from './node/version.js'
import { zookeeperReady } from './node/zookeeper-wait.js'
import { RegistryWatcher, type Watched } from './watcher.js'
import { Zk } from './zookeeper/client.js'
import type { Credentials } from './zookeeper/credentials.js'
import { ZkError } from './zookeeper/zk-error.js'

export interface NodeConfig {
  readonly NODE_ID: string
  readonly LOG_LEVEL: string
  readonly INTERNAL_TOKEN?: string | undefined
  readonly ZOOKEEPER_CONNECT: string
  readonly ZOOKEEPER_AUTH?: Credentials | undefined
  readonly ZOOKEEPER_AUTH_FILE?: Credentials | undefined
}

/** A process that has become a node of the cluster. */
export interface LiveNode {
  /** What `/internal/ping` answers; the instance is random at each start. */
  readonly identity: { readonly id: string; readonly instance: string; readonly version: string }
  readonly log: Log
  /** Ends the process, with the error in the log. */
  readonly onBug: (error: unknown) => void
  readonly metrics: Registry
  readonly client: InternalClient
  readonly zk: Zk
  readonly watcher: RegistryWatcher
  /** Resolves when it is time to drain. */
  readonly stopping: Promise<void>
  /** Waits for ZooKeeper, however long that takes. Where it refuses us, the process ends with a message and exit status 2.
   * @returns false when it is time to stop before that */
  connected(): Promise<boolean>
  /** Leaves the registry's connection and those to other nodes. */
  close(): Promise<void>
}

/** What every part starts with. @param watch what of the registry it follows */
export function startNode(role: string, config: NodeConfig, { watch, stopDeadlineMs }: { watch: readonly Watched[]; stopDeadlineMs: number }): LiveNode {
  const log = createLog(role, config.NODE_ID, config.LOG_LEVEL)
  const onBug = endOnBug(log)
  process.on('uncaughtException', onBug)
  const stopping = stopSignal(log, stopDeadlineMs)
  const metrics = createMetrics()
  const client = new InternalClient(config.INTERNAL_TOKEN)
  const auth = zookeeperAuth(config)
  const zk = new Zk(config.ZOOKEEPER_CONNECT, { auth })
  zk.on('warn', err => log.warn({ err }, 'zookeeper_odd'))
  zk.on('suspended', () => log.warn('zookeeper_lost'))
  zk.on('session', () => log.info('zookeeper_session'))
  /** Connected, and looked around. @returns the path that refuses us, if one does */
  const admitted = async (signal: AbortSignal): Promise<string | undefined> => {
    for (;;) {
      await zookeeperReady(zk, config.ZOOKEEPER_CONNECT, log, signal)
      try {
        return await refusal(zk)
      } catch (error) {
        if (!(error instanceof ZkError)) throw error // else the connection went again
      }
    }
  }
  const watcher = new RegistryWatcher({ zk, clock: systemClock, log, metrics, watch })
  return {
    identity: { id: config.NODE_ID, instance: newInstance(), version: VERSION },
    log,
    onBug,
    metrics,
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
    async close() {
      watcher.close()
      await Promise.all([zk.close(), client.close()])
    },
  }
}
