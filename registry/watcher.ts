import { Counter, Gauge, type Registry } from 'prom-client'
import { DISPATCHERS, EDGES, GATEWAYS, HOLDINGS, HOMES, MAX_EXPECTED, parseDispatcher, parseEdge, parseGateway, parseHoldings, parseHome, parseRebalance, parseSpread, PLACEMENT, REBALANCE, RubbishError, spreadVideo } from '../protocol/nodes.js'
import type { Clock } from '../runtime/clock.js'
import type { Log } from '../runtime/log.js'
import { CalmLog } from './calm-log.js'
import { View, type Change } from './view.js'
import { ChildrenCache, type Entry } from './zookeeper/children-cache.js'
import type { Zk } from './zookeeper/client.js'

/** A directory of the registry that a watcher can follow. */
export type Watched = 'edges' | 'holdings' | 'dispatchers' | 'gateways' | 'placement' | 'homes'

export interface WatcherOptions {
  readonly zk: Zk
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Registry
  /** `holdings` needs `edges`: the view counts holdings only for an edge that it knows. */
  readonly watch: readonly Watched[]
}

interface Directory {
  readonly path: string
  /** The change that an entry makes to the view; without an entry, the change that its deletion makes.
   * @throws RubbishError */
  readonly changeOf: (id: string, entry: Entry | undefined) => Change
}

const DIRECTORIES: Readonly<Record<Watched, Directory>> = {
  edges: { path: EDGES, changeOf: (id, entry) => ({ kind: 'edge', id, node: entry && named(id, parseEdge(entry.data)) }) },
  holdings: { path: HOLDINGS, changeOf: (id, entry) => ({ kind: 'holdings', id, holdings: entry && parseHoldings(entry.data) }) },
  dispatchers: { path: DISPATCHERS, changeOf: (id, entry) => ({ kind: 'dispatcher', id, node: entry && named(id, parseDispatcher(entry.data)) }) },
  gateways: { path: GATEWAYS, changeOf: (id, entry) => ({ kind: 'gateway', id, node: entry && named(id, parseGateway(entry.data)) }) },
  placement: { path: PLACEMENT, changeOf: placementChange },
  homes: { path: HOMES, changeOf: (id, entry) => ({ kind: 'home', id, cluster: entry && parseHome(entry.data, id).cluster }) },
}

/** @throws RubbishError */
function placementChange(name: string, entry: Entry | undefined): Change {
  if (name === REBALANCE) return { kind: 'rebalance', id: name, until: entry && parseRebalance(entry.data).until }
  return { kind: 'spread', id: spreadVideo(name), edges: entry && parseSpread(entry.data, name).edges }
}

const TICK_MS = 500
/** A tick counts for no more: what is longer was a pause of this process. On a busy machine every other tick may be left out. */
const MOST_OF_A_TICK_MS = 2 * TICK_MS
/** Between two log lines about a view that may be out of date. */
const STALE_LINE_MS = 30_000

/** Keeps a View current with ZooKeeper. While ZooKeeper is away, the view stays as it is.
 *
 * A vanished node has some time to come back. That time is counted in ticks at which the registry could be read, so
 * that neither ZooKeeper's absence nor a pause of this process uses it up. */
export class RegistryWatcher {
  readonly view = new View()
  /** Paths whose data, when last read, was none that a node of ours writes. */
  readonly rubbish: ReadonlySet<string>
  /** Paths whose ACL, when last tried, kept us from reading them. */
  readonly unreadable: ReadonlySet<string>
  readonly #rubbish = new Set<string>()
  readonly #unreadable = new Set<string>()
  readonly #rubbishTotal: Counter
  readonly #caches: ChildrenCache[]
  /** Caches that have been read completely since the connection was last lost. */
  readonly #fresh = new Set<ChildrenCache>()
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #zk: Zk
  readonly #clock: Clock
  readonly #log: Log
  readonly #calm: CalmLog
  readonly #stopListening: () => void
  #loaded = false
  /** Since when the view may be out of date, monotonic ms; undefined while it is current. */
  #staleSince: number | undefined
  /** Age of the view in its last log line. */
  #staleSaidMs = 0
  /** The clock of lingering: ms during which the registry could be read. */
  #lingerMs = 0
  #tickedAt: number
  #cancelTick: () => void

  constructor({ zk, clock, log, metrics, watch }: WatcherOptions) {
    this.#zk = zk
    this.#clock = clock
    this.#log = log
    this.#calm = new CalmLog({ log, clock })
    this.rubbish = this.#rubbish
    this.unreadable = this.#unreadable
    this.#rubbishTotal = this.#register(metrics)
    this.#staleSince = clock.now()
    this.#tickedAt = clock.now()
    this.#stopListening = zk.session.listen({ onSuspended: this.#suspended })
    this.#caches = watch.map(name => this.#open(DIRECTORIES[name]))
    this.#cancelTick = clock.tick(TICK_MS, this.#tick)
  }

  /** Everything that is watched has been read once. */
  get loaded(): boolean {
    return this.#loaded
  }

  /** Whether the view may be out of date: ZooKeeper is not connected, or not everything has been read since it was, or a read
   * failed. Who owns a video is then not settled, however the view looks. A ZooKeeper that falls silent is noticed within two
   * thirds of the session timeout, 3.4 s: for so long a view that is out of date can pass for current. */
  get stale(): boolean {
    return this.#staleSince !== undefined
  }

  /** How long the view may have been out of date, ms; 0 while ZooKeeper is connected and everything has been read since. */
  stalenessMs(): number {
    return this.#staleSince === undefined ? 0 : this.#clock.now() - this.#staleSince
  }

  /** Calls the listener with each change, after the change is in the view. For a node that vanishes it is called when the
   * node vanishes, though the node may linger in view, and again when the node leaves the view. @returns stops that */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#cancelTick()
    this.#stopListening()
    for (const cache of this.#caches) cache.close()
    this.#listeners.clear()
  }

  #open({ path, changeOf }: Directory): ChildrenCache {
    const cache: ChildrenCache = new ChildrenCache({
      zk: this.#zk,
      path,
      most: MAX_EXPECTED,
      onCrowded: entries => this.#calm.warn({ code: path, entries, most: MAX_EXPECTED }, 'registry_crowded'),
      onSet: (id, entry) => {
        this.#unreadable.delete(`${path}/${id}`)
        this.#apply(`${path}/${id}`, () => changeOf(id, entry))
      },
      onDelete: id => {
        this.#rubbish.delete(`${path}/${id}`)
        this.#unreadable.delete(`${path}/${id}`)
        this.#apply(`${path}/${id}`, () => changeOf(id, undefined))
      },
      onSynced: () => this.#synced(cache),
      onBehind: () => this.#behind(cache),
      onRefused: id => (id === undefined ? this.#directoryRefused(cache) : this.#refused(`${path}/${id}`)),
    })
    return cache
  }

  /** An entry that is rubbish leaves the view as it was. */
  #apply(path: string, changeOf: () => Change): void {
    let change: Change
    try {
      change = changeOf()
    } catch (error) {
      if (!(error instanceof RubbishError)) throw error
      this.#rubbishTotal.inc()
      if (!this.#rubbish.has(path)) this.#log.warn({ path, reason: error.message }, 'registry_rubbish')
      this.#rubbish.add(path)
      return
    }
    this.#rubbish.delete(path)
    this.view.apply(change, this.#lingerMs)
    this.#tell(change)
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }

  #synced(cache: ChildrenCache): void {
    this.#unreadable.delete(cache.path)
    this.#fresh.add(cache)
    if (this.#fresh.size < this.#caches.length) return
    if (this.#loaded && this.#staleSince !== undefined) this.#calm.info({ staleMs: Math.round(this.stalenessMs()) }, 'registry_current')
    this.#loaded = true
    this.#staleSince = undefined
    this.#staleSaidMs = 0
  }

  /** An entry that we may not read is passed over, as rubbish is. */
  #refused(path: string): void {
    if (!this.#unreadable.has(path)) this.#log.error({ path }, 'registry_refused')
    this.#unreadable.add(path)
  }

  /** While we may not read a directory, the view may be out of date. */
  #directoryRefused(cache: ChildrenCache): void {
    this.#refused(cache.path)
    this.#behind(cache)
  }

  #behind(cache: ChildrenCache): void {
    this.#fresh.delete(cache)
    this.#staleSince ??= this.#clock.now()
  }

  readonly #suspended = (): void => {
    this.#fresh.clear()
    this.#staleSince ??= this.#clock.now()
  }

  readonly #tick = (): void => {
    this.#cancelTick = this.#clock.tick(TICK_MS, this.#tick)
    const now = this.#clock.now()
    const sinceMs = now - this.#tickedAt
    this.#tickedAt = now
    if (this.#staleSince !== undefined) return this.#sayStale()
    this.#lingerMs += Math.min(sinceMs, MOST_OF_A_TICK_MS)
    for (const change of this.view.expire(this.#lingerMs)) this.#tell(change)
  }

  /** Logs the view's age now and then. Before the first reading there is no view that could be out of date. */
  #sayStale(): void {
    const staleMs = Math.round(this.stalenessMs())
    if (!this.#loaded || staleMs < this.#staleSaidMs + STALE_LINE_MS) return
    this.#staleSaidMs = staleMs
    this.#log.warn({ staleMs }, 'registry_stale')
  }

  #register(metrics: Registry): Counter {
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({ name, help, registers: [metrics], collect() { this.set(read()) } })
    gauge('live_registry_staleness_seconds', 'How long the view may have been out of date; 0 while it is current.', () => this.stalenessMs() / 1000)
    gauge('live_registry_connected', 'Whether ZooKeeper is connected.', () => Number(this.#zk.connected))
    gauge('live_registry_edges', 'Edges in view.', () => [...this.view.edges()].length)
    gauge('live_registry_videos', 'Videos that some edge in view holds.', () => this.view.videoCount)
    return new Counter({ name: 'live_registry_rubbish_total', help: 'Reads of a registry entry that was not what a node of ours writes.', registers: [metrics] })
  }
}

/** @throws RubbishError when the node's id is not its name */
function named<T extends { readonly id: string }>(id: string, node: T): T {
  if (node.id !== id) throw new RubbishError('its id is not its name')
  return node
}
