import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startCommand } from '../runtime/called-as.js'
import { systemClock } from '../runtime/clock.js'
import { lossMessage, refusal, refusalMessage, refusesUs } from '../registry/access.js'
import { RegistryWatcher, type Watched } from '../registry/watcher.js'
import { Zk } from '../registry/zookeeper/client.js'
import type { Loss } from '../registry/zookeeper/loss.js'
import { isZkError, ZkError } from '../registry/zookeeper/zk-error.js'
import { clusterAt, clusterLine } from './cluster-at.js'
import { Problem } from './output.js'
import type { ZookeeperAddress } from './zookeeper-address.js'

const LIMIT_MS = 5_000
const POLL_MS = 5

/** Runs `task` on a connection to ZooKeeper. @throws Problem if ZooKeeper is unreachable, refuses us, or answers a call with
 * an error that `task` does not expect */
export async function withZookeeper<T>(address: ZookeeperAddress, task: (zk: Zk) => Promise<T>): Promise<T> {
  const zk = new Zk(address.connect, { callTimeoutMs: LIMIT_MS, auth: address.auth })
  try {
    await zk.ready(AbortSignal.timeout(LIMIT_MS)).catch(() => {
      throw away(address, zk.session.trouble)
    })
    const refused = await refusal(zk)
    if (refused !== undefined) throw refuses(address, refused)
    return await task(zk)
  } catch (error) {
    if (isZkError(error, 'NO_AUTH')) throw refuses(address, error.path, error)
    throw error instanceof ZkError ? failed(address, error, zk.session.trouble) : error
  } finally {
    await zk.close()
  }
}

export interface Reading {
  readonly address: ZookeeperAddress
  /** Called with a line for people beside the answer: which cluster it is, which entries are skipped. */
  readonly note: (line: string) => void
}

/** Runs `task` on the whole registry as it is now. @throws Problem if ZooKeeper is unreachable */
export function withRegistry<T>(reading: Reading, watch: readonly Watched[], task: (registry: RegistryWatcher, zk: Zk) => T | Promise<T>): Promise<T> {
  return withWatcher(reading, watch, async (zk, registry) => task(registry, zk))
}

/** Runs `task` on the whole registry, which is kept current. @throws Problem if ZooKeeper is unreachable at first */
export function withLiveRegistry<T>(reading: Reading, task: (zk: Zk, registry: RegistryWatcher) => Promise<T>): Promise<T> {
  return withWatcher(reading, ['edges', 'holdings', 'dispatchers', 'gateways'], task)
}

function withWatcher<T>({ address, note }: Reading, watch: readonly Watched[], task: (zk: Zk, registry: RegistryWatcher) => Promise<T>): Promise<T> {
  return withZookeeper(address, async zk => {
    const cluster = await clusterAt(zk, address)
    if (address.isDefault) note(clusterLine(cluster, address))
    const watcher = new RegistryWatcher({ zk, clock: systemClock, log: pino({ level: 'silent' }), metrics: new Registry(), watch })
    try {
      // As long as something comes: a large registry takes a while.
      let deadline = performance.now() + LIMIT_MS
      const stopListening = watcher.onChange(() => (deadline = performance.now() + LIMIT_MS))
      while (!watcher.loaded) {
        if (performance.now() > deadline) throw away(address, zk.session.trouble)
        await new Promise(resolve => setTimeout(resolve, POLL_MS))
      }
      stopListening()
      for (const path of watcher.unreadable) note(`ignored: ${path} cannot be read with our credentials`)
      for (const path of watcher.rubbish) note(`ignored: ${path} was not written by a node of this software`)
      return await task(zk, watcher)
    } finally {
      watcher.close()
    }
  })
}

function refuses({ connect, auth }: ZookeeperAddress, path: string, cause?: Error): Problem {
  return new Problem('ZOOKEEPER_REFUSES', refusalMessage(connect, path, auth !== undefined), { cause })
}

function away({ connect, source }: ZookeeperAddress, trouble: Loss | undefined): Problem {
  return new Problem(
    'ZOOKEEPER_AWAY',
    `no answer from ZooKeeper at ${connect} (${source}) within ${LIMIT_MS / 1000} s.${trouble ? ` ${lossMessage(trouble)}.` : ''}\n` +
      `Is the cluster running (${startCommand})? If its ZooKeeper is elsewhere, name it with --data FOLDER, --zookeeper HOST:PORT/CHROOT or ZOOKEEPER_CONNECT.`,
  )
}

function failed({ connect, source }: ZookeeperAddress, error: ZkError, trouble: Loss | undefined): Problem {
  if (refusesUs(error.code)) return new Problem('ZOOKEEPER_REFUSES', lossMessage({ code: error.code, server: connect }), { cause: error })
  const why = trouble ? `.\n${lossMessage(trouble)}` : ''
  return new Problem('ZOOKEEPER_FAILS', `ZooKeeper at ${connect} (${source}): ${error.op} ${error.path} fails with ${error.code}${why}`, { cause: error })
}
