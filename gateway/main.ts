import { InternalClient } from '../registry/node/client.js'
import { systemClock } from '../registry/node/clock.js'
import { newInstance, urlOf } from '../registry/node/config.js'
import { internalServer } from '../registry/node/internal.js'
import { createLog, endOnBug } from '../registry/node/log.js'
import { createMetrics } from '../registry/node/metrics.js'
import { stopSignal } from '../registry/node/stop.js'
import { VERSION } from '../registry/node/version.js'
import { zookeeperReady } from '../registry/node/zookeeper-wait.js'
import { RegistryWatcher } from '../registry/watcher.js'
import { Zk } from '../registry/zookeeper/client.js'
import { gatewayConfig } from './config.js'
import { Gateway } from './gateway.js'
import { GatewayMetrics } from './metrics.js'
import { connectWith } from './relay.js'
import { PublicServer } from './server.js'
import { viewerLimit } from './viewer-limit.js'

/** Posts in flight are answered within 8 s. */
const POSTS_MS = 9_000
const STOP_DEADLINE_MS = 20_000

/** Runs a gateway until it is told to stop. It announces nothing: it only watches who is there. */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const config = gatewayConfig(argv, env)
  const log = createLog('gateway', config.NODE_ID, config.LOG_LEVEL)
  const onBug = endOnBug(log)
  process.on('uncaughtException', onBug)
  const stopping = stopSignal(log, STOP_DEADLINE_MS)
  const register = createMetrics()
  const client = new InternalClient(config.INTERNAL_TOKEN)
  const zk = new Zk(config.ZOOKEEPER_CONNECT)
  zk.on('warn', err => log.warn({ err }, 'zookeeper_odd'))
  zk.on('suspended', () => log.warn('zookeeper_lost'))
  zk.on('session', () => log.info('zookeeper_session'))
  const watcher = new RegistryWatcher({ zk, clock: systemClock, log, metrics: register, watch: ['edges', 'holdings', 'dispatchers'] })

  const gateway = new Gateway({
    clock: systemClock,
    random: Math.random,
    view: watcher.view,
    client,
    connect: connectWith(client.headers),
    videoShare: config.EDGE_VIDEO_SHARE,
  })
  watcher.onChange(change => gateway.viewChanged(change))
  const metrics = new GatewayMetrics(register)
  metrics.watch(register, gateway)

  let draining = false
  const notReady = () => (draining ? 'draining' : watcher.loaded ? undefined : 'waiting for the registry')
  const identity = { id: config.NODE_ID, instance: newInstance(), version: VERSION }
  const internal = internalServer({ token: config.INTERNAL_TOKEN, metrics: register, identity, notReady, onBug })
  const limit = viewerLimit()
  const server = new PublicServer({
    gateway,
    metrics,
    allowedOrigins: config.ALLOWED_ORIGINS,
    viewerLimit: limit,
    notReady,
    viewLoaded: () => watcher.loaded,
    onBug,
  })
  const internalPort = internal.listen(config.INTERNAL_HOST, config.INTERNAL_PORT)
  const port = server.listen(config.HOST, config.PORT)
  log.info(
    { publicUrl: config.PUBLIC_URL ?? urlOf(config.HOST, port), internalUrl: config.INTERNAL_URL ?? urlOf(config.INTERNAL_HOST, internalPort), viewerLimit: limit, version: VERSION },
    'listening',
  )

  const gone = new AbortController()
  void stopping.then(() => gone.abort())
  await zookeeperReady(zk, config.ZOOKEEPER_CONNECT, log, gone.signal).catch((error: unknown) => {
    if (!gone.signal.aborted) throw error
  })
  await stopping

  draining = true
  server.stop()
  log.info({ viewers: gateway.joins.size, posts: gateway.poster.inFlight }, 'draining')
  await gateway.joins.endAll(config.DRAIN_MS)
  const until = systemClock.now() + POSTS_MS
  while (gateway.poster.inFlight > 0 && systemClock.now() < until) await delay(20)
  await delay(150) // the last answers leave
  server.close()
  gateway.close()
  internal.close()
  watcher.close()
  await Promise.all([zk.close(), client.close()])
  log.info('stopped')
}

function delay(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
