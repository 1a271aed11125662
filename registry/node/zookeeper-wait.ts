import type { Zk } from '../zookeeper/client.js'
import type { Log } from './log.js'

const LINE_MS = 3_000

/** Resolves when ZooKeeper is connected, however long that takes; says every few seconds what it waits for.
 * @param connect the connect string, for the log
 * @throws AbortError when `signal` comes first */
export async function zookeeperReady(zk: Zk, connect: string, log: Log, signal?: AbortSignal): Promise<void> {
  const since = performance.now()
  const timer = setInterval(() => log.warn({ zookeeper: connect, waitedMs: Math.round(performance.now() - since) }, 'waiting_for_zookeeper'), LINE_MS)
  try {
    await zk.ready(signal)
  } finally {
    clearInterval(timer)
  }
}
