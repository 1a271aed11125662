import { Counter, Gauge, type Registry } from 'prom-client'
import { DISPATCHERS, EDGES, HOLDINGS, parseDispatcher, parseEdge, parseHoldings, RubbishError } from '../protocol/nodes.js'
import type { Clock } from '../runtime/clock.js'
import type { Log } from '../runtime/log.js'
import { View, type Change } from './view.js'
import { ChildrenCache, type Entry } from './zookeeper/children-cache.js'
import type { Zk } from './zookeeper/client.js'

export type Watched = 'edges' | 'holdings' | 'dispatchers'

export interface WatcherOptions {
  readonly zk: Zk
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Registry
  /** Holdings mean nothing without their edges. */
  readonly watch: readonly Watched[]
}

interface Directory {
  readonly path: string
  /** @throws RubbishError */
  readonly changeOf: (id: string, entry: Entry | undefined) => Change
}

const DIRECTORIES: Readonly<Record<Watched, Directory>> = {
  edges: { path: EDGES, changeOf: (id, entry) => ({ kind: 'edge', id, node: entry && named(id, parseEdge(entry.data)) }) },
  holdings: { path: HOLDINGS, changeOf: (id, entry) => ({ kind: 'holdings', id, holdings: entry && parseHoldings(entry.data) }) },
  dispatchers: { path: DISPATCHERS, changeOf: (id, entry) => ({ kind: 'dispatcher', id, node: entry && named(id, parseDispatcher(entry.data)) }) },
}

const TICK_MS = 500
/** While the view may be out of date, this often it is said. */
const STALE_LINE_MS = 30_000

/** Keeps a View current with ZooKeeper. While ZooKeeper is away the view stays as it was last seen.
 *
 * Lingering is counted in ticks during which the registry could be read: neither the absence of ZooKeeper nor a
 * pause of this process may use up the time that vanished nodes have to come back. */
export class RegistryWatcher {
  readonly view = new View()
  /** Paths that hold what no node of ours writes, as last read. */
  readonly rubbish: ReadonlySet<string>
  /** Paths whose ACL is for others, as last tried. */
  readonly unreadable: ReadonlySet<string>
  readonly #rubbish = new Set<string>()
  readonly #unreadable = new Set<string>()
  readonly #rubbishTotal: Counter
  readonly #caches: ChildrenCache[]
  /** Read to the end at least once since the connection was last lost. */
  readonly #fresh = new Set<ChildrenCache>()
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #zk: Zk
  readonly #clock: Clock
  readonly #log: Log
  #loaded = false
  #staleSince: number | undefined
  #staleSaidMs = 0
  #lingerMs = 0
  #cancelTick: () => void

  constructor({ zk, clock, log, metrics, watch }: WatcherOptions) {
    this.#zk = zk
    this.#clock = clock
    this.#log = log
    this.rubbish = this.#rubbish
    this.unreadable = this.#unreadable
    this.#rubbishTotal = this.#register(metrics)
    this.#staleSince = clock.now()
    zk.on('suspended', this.#suspended)
    this.#caches = watch.map(name => this.#open(DIRECTORIES[name]))
    this.#cancelTick = clock.after(TICK_MS, this.#tick)
  }

  /** All that is watched has been read once. */
  get loaded(): boolean {
    return this.#loaded
  }

  /** How long the view may have been out of date, ms: 0 while ZooKeeper is connected and all has been read since. */
  stalenessMs(): number {
    return this.#staleSince === undefined ? 0 : this.#clock.now() - this.#staleSince
  }

  /** Told of each change after it is in the view. A node that vanishes is told twice: when it vanishes (it may
   * still be in view, lingering) and when it is forgotten. @returns stops it */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#cancelTick()
    this.#zk.off('suspended', this.#suspended)
    for (const cache of this.#caches) cache.close()
    this.#listeners.clear()
  }

  #open({ path, changeOf }: Directory): ChildrenCache {
    const cache = new ChildrenCache(this.#zk, path)
    cache.on('set', (id, entry) => {
      this.#unreadable.delete(`${path}/${id}`)
      this.#apply(`${path}/${id}`, () => changeOf(id, entry))
    })
    cache.on('delete', id => {
      this.#rubbish.delete(`${path}/${id}`)
      this.#unreadable.delete(`${path}/${id}`)
      this.#apply(`${path}/${id}`, () => changeOf(id, undefined))
    })
    cache.on('synced', () => this.#synced(cache))
    cache.on('refused', id => this.#refused(cache, id === undefined ? path : `${path}/${id}`, id === undefined))
    return cache
  }

  /** Rubbish leaves the view as it was. */
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
    if (this.#loaded && this.#staleSince !== undefined) this.#log.info({ staleMs: Math.round(this.stalenessMs()) }, 'registry_current')
    this.#loaded = true
    this.#staleSince = undefined
    this.#staleSaidMs = 0
  }

  /** An entry that may not be read is passed over, as rubbish is; a directory that may not is a view that stays as it was. */
  #refused(cache: ChildrenCache, path: string, whole: boolean): void {
    if (!this.#unreadable.has(path)) this.#log.error({ path }, 'registry_refused')
    this.#unreadable.add(path)
    if (!whole) return
    this.#fresh.delete(cache)
    this.#staleSince ??= this.#clock.now()
  }

  readonly #suspended = (): void => {
    this.#fresh.clear()
    this.#staleSince ??= this.#clock.now()
  }

  readonly #tick = (): void => {
    this.#cancelTick = this.#clock.after(TICK_MS, this.#tick)
    if (this.#staleSince !== undefined) return this.#sayStale()
    this.#lingerMs += TICK_MS
    for (const change of this.view.expire(this.#lingerMs)) this.#tell(change)
  }

  /** Before the first reading there is no view: whoever waits for it says so. */
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

/** @throws RubbishError when the node says it is another */
function named<T extends { readonly id: string }>(id: string, node: T): T {
  if (node.id !== id) throw new RubbishError('its id is not its name')
  return node
}
