import { DISPATCHERS, type DispatcherNode } from '../protocol/nodes.js'
import { CalmLog } from '../registry/calm-log.js'
import { StoreWatch } from '../registry/expected-store.js'
import { homesOf } from '../registry/homes.js'
import { startNode } from '../registry/start.js'
import type { View } from '../registry/view.js'
import { systemClock } from '../runtime/clock.js'
import { UnreadConnections } from '../runtime/http/unread.js'
import { InternalClient } from '../runtime/peers/client.js'
import { internalServer } from '../runtime/peers/internal-server.js'
import { urlOf } from '../runtime/variables.js'
import { VERSION } from '../runtime/version.js'
import { DispatcherPart } from './assemble.js'
import { chooseStore, usable } from './chosen-store.js'
import { ClockCheck, zookeeperStamp } from './clock-check.js'
import { dispatcherConfig, type DispatcherConfig } from './config.js'
import { DamageLog } from './damage-log.js'
import { HookClient } from './hooks/hook-client.js'
import { DispatcherMetrics } from './metrics.js'
import { ReviewClient } from './review-client.js'
import { Review } from './review.js'
import { Rules } from './rules.js'
import { Standing } from './standing.js'
import { routeStore } from './store-server.js'
import { watchWords } from './words-file.js'

const STOP_DEADLINE_MS = 10_000
/** Once ZooKeeper is connected, the expected store and the time are known by then, or have to come later. */
const KNOWN_MS = 3_000

/** Runs a dispatcher until it is stopped. A store that a later version wrote, or a taken port: a message and
 * exit status 1. */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const config = dispatcherConfig(argv, env)
  try {
    await run(config)
  } catch (error) {
    process.stderr.write(`dispatcher: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  }
  process.exit(0)
}

async function run(config: DispatcherConfig): Promise<void> {
  const live = startNode('dispatcher', config, { watch: ['edges', 'holdings', 'dispatchers', ...(config.PEERS ? (['homes'] as const) : [])], stopDeadlineMs: STOP_DEADLINE_MS })
  const { identity, log, onBug, metrics, client, watcher, zk } = live
  const damage = new DamageLog(log, systemClock)
  const { store, machine } = await chooseStore(config, {
    log,
    metrics,
    onWrite: reason => standing.wrote(reason),
    onDamage: (videoId, reason) => damage.met(videoId, reason),
    onSettled: (videoId, lastId) => part.dispatcher.settled(videoId, lastId),
  })
  const expectation = new StoreWatch({ zk, log, onChange: () => void standing.look() })
  const clockCheck = new ClockCheck({ clock: systemClock, stamp: zookeeperStamp(zk, config.NODE_ID), onMeasured: () => void standing.look() })
  const standing = new Standing({
    store,
    expectation,
    others: () => othersIn(watcher.view, config.NODE_ID),
    clockOff: () => clockCheck.off,
    machine,
    clock: systemClock,
    log,
  })
  await usable(store)
  await standing.look()

  const rules = new Rules({
    clock: systemClock,
    maxLength: config.CONTENT_MAX_LENGTH,
    links: config.CONTENT_LINKS,
    duplicateMs: 1000 * config.CONTENT_DUPLICATE_SECONDS,
  })
  if (config.CONTENT_WORDS_FILE !== undefined) {
    watchWords(
      config.CONTENT_WORDS_FILE,
      words => {
        rules.words = words
        log.info({ words: words.size }, 'words_read')
      },
      error => log.error({ reason: error.message }, 'words_not_read'),
    )
  }
  const dispatcherMetrics = new DispatcherMetrics(metrics)
  const calm = new CalmLog({ log, clock: systemClock })
  // Who did what is asked long afterwards: it is written whatever LOG_LEVEL leaves out.
  const audit = log.child({}, { level: 'info' })
  const homes = homesOf(config, watcher.view)
  const peerClient = homes && new InternalClient(config.PEER_TOKEN, { proof: 'none' })
  const reviewClient = config.REVIEW_URL === undefined ? undefined : new ReviewClient(config.REVIEW_URL)
  const hookClient = config.HOOK_URL === undefined ? undefined : new HookClient(config.HOOK_URL)
  const part = new DispatcherPart({
    identity,
    store,
    view: watcher.view,
    viewLoaded: () => watcher.loaded,
    viewIsCurrent: () => watcher.stalenessMs() === 0,
    clock: systemClock,
    random: Math.random,
    client,
    rules,
    review:
      reviewClient &&
      new Review({
        ask: reviewClient.ask,
        clock: systemClock,
        metrics: dispatcherMetrics,
        timeoutMs: config.REVIEW_TIMEOUT_MS,
        onFailure: config.REVIEW_FAILURE,
        onTrouble: reason => (reason === undefined ? log.info('review_answers') : log.error({ reason, onFailure: config.REVIEW_FAILURE }, 'review_failed')),
      }),
    hook: hookClient && {
      post: hookClient.post,
      secrets: config.HOOK_SECRET ?? config.HOOK_SECRET_FILE ?? [],
      onTrouble: reason => (reason === undefined ? log.info('hook_answers') : log.error({ reason }, 'hook_failed')),
    },
    metrics: dispatcherMetrics,
    traces: live.traces,
    peers:
      homes && peerClient && {
        homes,
        client: peerClient,
        onChange: (peer, failure) => (failure === undefined ? log.info({ peer }, 'peer_reached') : log.error({ peer, failure }, 'peer_unreachable')),
        onMisplaced: (videoId, home) => calm.warn({ videoId, home }, 'entries_away_from_home'),
        onDiffering: (peer, theirs) => calm.warn({ code: peer, ours: homes.rule, theirs }, 'peer_differs'),
      },
    onBug,
    standing,
    audit: record => audit.info(record, 'act'),
    trace: log.isLevelEnabled('debug')
      ? {
          stored: ({ videoId, id }) => log.debug({ videoId, id: String(id) }, 'comment_stored'),
          forwarded: ({ videoId, id }, to) => log.debug({ videoId, id: String(id), to }, 'comment_forwarded'),
        }
      : undefined,
    announceNode: node => live.announce(DISPATCHERS, node),
  })
  watcher.onChange(change => part.viewChanged(change))

  const server = internalServer({ token: config.INTERNAL_TOKEN, metrics, identity, url: () => internalUrl, notReady: () => live.notReady(part.notReady()), onBug, log, unread: new UnreadConnections({ clock: systemClock, log, metrics }) })
  part.route(server)
  routeStore(server, { standing, check: limitMs => store.check(limitMs) })
  const port = server.listen(config.INTERNAL_HOST, config.INTERNAL_PORT)
  const internalUrl = config.INTERNAL_URL ?? urlOf(config.INTERNAL_HOST, port)
  log.info({ internalUrl, version: VERSION }, 'listening')

  if (await live.connected()) {
    const timeUp = new Promise(resolve => setTimeout(resolve, KNOWN_MS).unref())
    await Promise.race([Promise.all([expectation.firstRead, clockCheck.measure()]), timeUp, live.stopping])
    await standing.look()
    part.announce(internalUrl)
  }
  await live.stopping

  await part.stop()
  server.close()
  clockCheck.close()
  await standing.close()
  expectation.close()
  await Promise.all([live.close(), store.close(), reviewClient?.close(), hookClient?.close(), peerClient?.close()])
  log.info('stopped')
}

/** The other dispatchers. */
function othersIn(view: View, self: string): { announced: DispatcherNode[]; possible: DispatcherNode[] } {
  const possible = [...view.allDispatchers()].filter(({ id }) => id !== self)
  return { announced: possible.filter(({ id }) => !view.lingers(id)), possible }
}
